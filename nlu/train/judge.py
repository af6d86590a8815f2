"""Figures: how right the clips are, and how soon a stream's anger is found by the real listener."""

import json
import subprocess
import zlib

import numpy

import streams
from corpora import CLASSES
from network import softmax

TURNS = 4
SEED = 3
RESAMPLES = 400
BINS = 10
# The window of a clip from which on they are whole: 2.5 s after the first speech.
WHOLE_WINDOWS = 4
# Figures that are told with their interval of 95 %.
ESTIMATED = ("accuracy", "uar", "anger_f1", "anger_auc", "calibration_error")


WAYS = ("model", "numbers alone", "signal")


class Stream:
    """One speaker: up to 5 neutral clips, then up to 5 angry ones (`onset_s`), or up to 10 neutral ones (None)."""

    def __init__(self, path, speaker, onset_s):
        self.path, self.speaker, self.onset_s = path, speaker, onset_s
        self.corpus = speaker.split("/")[0]


def clips_of(rows, found):
    """Per clip: its first row, and the mean over its windows of `found` (N, C); the first ones, which hold less of it, count less, as in
    nlu/src/evaluation/clips.rs."""
    starts = rows.starts()
    of_clip = numpy.repeat(starts[:-1], numpy.diff(starts))
    weights = numpy.minimum(numpy.arange(len(found)) - of_clip + 1, WHOLE_WINDOWS).astype(found.dtype)
    sums = lambda of: numpy.add.reduceat(of, starts[:-1], axis=0)
    return starts[:-1], sums(found * weights[:, None]) / sums(weights)[:, None]


def figures(rows, found, among):
    """Figures over the clips of one corpus, each named as the likeliest of the classes `among`."""
    firsts, found = clips_of(rows, found)
    places = [CLASSES.index(name) for name in among]
    truth = numpy.array([places.index(CLASSES.index(label)) for label in rows.labels[firsts]])
    chosen = found[:, places] / found[:, places].sum(axis=1, keepdims=True)
    angry = found[:, CLASSES.index("anger")]
    random = numpy.random.default_rng(SEED)
    whole = estimates(truth, chosen, angry, places)
    drawn = [random.integers(0, len(truth), len(truth)) for _ in range(RESAMPLES)]
    spread = [estimates(truth[d], chosen[d], angry[d], places) for d in drawn]
    interval = {name: numpy.quantile([one[name] for one in spread], (0.025, 0.975)).tolist() for name in ESTIMATED}
    best = chosen.argmax(axis=1)
    confusion = [[int(((truth == a) & (best == b)).sum()) for b in range(len(among))] for a in range(len(among))]
    told = {"clips": len(truth), "silent": rows.silent, "classes": list(among), "confusion": confusion}
    return told | {name: [whole[name], *interval[name]] for name in ESTIMATED}


def estimates(truth, chosen, angry, places):
    best = chosen.argmax(axis=1)
    anger = places.index(CLASSES.index("anger"))
    hits = ((truth == anger) & (best == anger)).sum()
    return {
        "accuracy": float((truth == best).mean()),
        "uar": float(numpy.mean([(best[truth == c] == c).mean() for c in set(truth)])),
        "anger_f1": float(2 * hits / max((truth == anger).sum() + (best == anger).sum(), 1)),
        "anger_auc": area(angry, truth == anger),
        "calibration_error": float(sum(abs(gap) for _, _, gap in reliability(chosen, truth == best)) / len(truth)),
    }


def area(score, positive):
    """Area under the receiver operating curve, ties at half."""
    _, inverse, counts = numpy.unique(score, return_inverse=True, return_counts=True)
    ranks = (numpy.cumsum(counts) - (counts - 1) / 2)[inverse]
    wins = ranks[positive].sum() - positive.sum() * (positive.sum() + 1) / 2
    return float(wins / (positive.sum() * (~positive).sum()))


def reliability(found, right):
    """Per bin of the leading class's probability: its sum, how many were right, and the difference."""
    confidence = found.max(axis=1)
    bins = numpy.minimum((confidence * BINS).astype(int), BINS - 1)
    told, true = numpy.bincount(bins, confidence, BINS), numpy.bincount(bins, right, BINS)
    return list(zip(told, true, told - true))


def reliability_of(rows, found, among):
    """As [`reliability`], of the clips of one corpus."""
    firsts, found = clips_of(rows, found)
    places = [CLASSES.index(name) for name in among]
    truth = numpy.array([places.index(CLASSES.index(label)) for label in rows.labels[firsts]])
    chosen = found[:, places] / found[:, places].sum(axis=1, keepdims=True)
    bins = reliability(chosen, truth == chosen.argmax(axis=1))
    counts = numpy.bincount(numpy.minimum((chosen.max(axis=1) * BINS).astype(int), BINS - 1), minlength=BINS)
    return [[float(told), float(true), int(count)] for (told, true, _), count in zip(bins, counts)]


def fitted_temperature(logits, labels, possible):
    """By what the logits are divided so that the held-out labels are likeliest among the possible ones."""
    tried = numpy.geomspace(0.4, 4.0, 70)
    at = numpy.arange(len(labels))
    likelihood = [numpy.log(softmax(numpy.where(possible, logits / t, -1e9))[at, labels] + 1e-9).mean() for t in tried]
    return float(tried[int(numpy.argmax(likelihood))])


def chosen_clips(clips, seed):
    """Four choices of each kind per speaker who has 4 neutral clips (and 3 angry ones): calm clips, the angry ones behind them, and
    what decides by chance from there on."""
    for speaker in sorted({clip.speaker for clip in clips}):
        calm = [clip for clip in clips if clip.speaker == speaker and clip.label == "neutral"]
        angry = [clip for clip in clips if clip.speaker == speaker and clip.label == "anger"]
        for turn in range(TURNS):
            random = numpy.random.default_rng([seed, turn, zlib.crc32(speaker.encode())])
            if len(calm) < 4:
                continue
            if len(angry) >= 3:
                first = list(random.choice(calm, min(5, len(calm)), replace=False))
                then = list(random.choice(angry, min(5, len(angry)), replace=False))
                yield first, then, random
            yield list(random.permutation(calm)[:10]), [], random


def in_twenties(clips, seed):
    """Every speaker's recordings in their order, 20 at most at a time, and what decides by chance from there on."""
    for speaker in sorted({clip.speaker for clip in clips}):
        mine = [clip for clip in clips if clip.speaker == speaker]
        random = numpy.random.default_rng([seed, zlib.crc32(speaker.encode())])
        for start in range(0, len(mine), 20):
            yield mine[start : start + 20], random


def onset_s(spans, first, then):
    """When anger begins in clips of which the angry ones come behind the `first`; None without any."""
    return spans[len(first)][0] + speech_start_s(then[0].samples) if then else None


def onset_streams(clips, folder):
    """The chosen clips of every speaker, one after the other."""
    folder.mkdir(parents=True, exist_ok=True)
    made = []
    for first, then, random in chosen_clips(clips, SEED):
        spans, samples = streams.Line(first + then, random, False).together(first + then)
        made.append(write(folder, len(made), first[0].speaker, onset_s(spans, first, then), samples))
    return made


def calm_streams(clips, folder):
    """Every speaker's recordings one after the other, 20 at most in a stream; nobody is called angry in them."""
    folder.mkdir(parents=True, exist_ok=True)
    made = []
    for some, random in in_twenties(clips, SEED):
        _, samples = streams.Line(some, random, False).together(some)
        made.append(write(folder, len(made), some[0].speaker, None, samples))
    return made


def write(folder, number, speaker, onset_s, samples):
    path = folder / f"{number:05}.wav"
    streams.write(path, samples)
    return Stream(path, speaker, onset_s)


def speech_start_s(samples):
    """When the clip first comes within 25 dB of its loudest 10 ms."""
    power = (samples[: len(samples) // 80 * 80].reshape(-1, 80) ** 2).mean(axis=1)
    return float(numpy.argmax(power > power.max() / 316)) * 0.01


def onset_figures(mine, files, program):
    """One figure per stream and way of listening, by the project's own listener: with the model in `files`, its numbers alone, or none."""
    judged = []
    for way, arguments in zip(WAYS, (files, files[:2], [])):
        for corpus in sorted({stream.corpus for stream in mine}):
            chosen = [stream for stream in mine if stream.corpus == corpus]
            listed = "".join(f"{s.path}\t{'-' if s.onset_s is None else s.onset_s}\n" for s in chosen)
            done = subprocess.run([program, *arguments], input=listed, text=True, check=True, capture_output=True)
            judged.append({"way": way, "corpus": corpus, **json.loads(done.stdout.splitlines()[-1])})
    return judged


def sum_up(judged):
    """Per way and corpus: shares of all onsets, false alarms per hour of all calm speech."""
    table = {}
    for way in WAYS:
        for corpus in sorted({one["corpus"] for one in judged}):
            mine = [one for one in judged if one["way"] == way and one["corpus"] == corpus]
            onsets, hours = sum(one["onsets"] for one in mine), sum(one["calm_hours"] for one in mine)
            share = lambda name: sum(one[name] * one["onsets"] for one in mine) / max(onsets, 1)
            table[f"{way} {corpus}"] = {
                "onsets": onsets,
                "early": sum(one["early"] for one in mine),
                "high_within_2_s": share("high_within_2_s"),
                "high_within_4_s": share("high_within_4_s"),
                "high_at_all": share("high_at_all"),
                "calm_hours": hours,
                "false_highs": sum(one["false_highs_per_hour"] * one["calm_hours"] for one in mine),
            }
    return table
