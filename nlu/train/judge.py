"""Figures: how right the windows are, and how soon a stream's anger is found by the real listener."""

import json
import subprocess
import zlib

import numpy

import streams
from corpora import OTHER

# The weights of the signal-only score in nlu/src/signal.rs.
SIGNAL = numpy.array([0.55, 0.75, 0.15, 0.45])
SIGNAL_BIAS = -2.6
TURNS = 4
SEED = 3


class Stream:
    """One speaker: up to 5 neutral clips, then up to 5 angry ones (`onset_s`), or up to 10 neutral ones (None)."""

    def __init__(self, path, speaker, onset_s):
        self.path, self.speaker, self.onset_s = path, speaker, onset_s
        self.corpus = speaker.split("/")[0]


def figures(rows, found):
    """Figures over the windows of one corpus; other emotions count in the areas only."""
    named = (rows.labels >= 0) & (rows.labels != OTHER)
    truth, best = rows.labels[named], found[named].argmax(axis=1)
    present = sorted(set(truth))
    f1 = [2 * ((truth == c) & (best == c)).sum() / max((truth == c).sum() + (best == c).sum(), 1) for c in range(4)]
    known = rows.labels >= 0
    return {
        "windows": int(named.sum()),
        "accuracy": float((truth == best).mean()),
        "uar": float(numpy.mean([(best[truth == c] == c).mean() for c in present])),
        "macro_f1": float(numpy.mean([f1[c] for c in present])),
        "anger_f1": float(f1[1]),
        "anger_auc_rest": area(found[known, 1], rows.labels[known] == 1),
        "anger_auc_neutral": against_neutral(found[:, 1], rows.labels),
        "neutral_called_anger": float((best[truth == 0] == 1).mean()),
        "calibration_error": calibration_error(found[named], truth == best),
        "confusion": [[int(((truth == a) & (best == b)).sum()) for b in range(4)] for a in range(4)],
    }


def signal_figures(rows):
    """The areas of the signal-only score."""
    score = rows.scores @ SIGNAL + SIGNAL_BIAS
    known = rows.labels >= 0
    return {
        "anger_auc_rest": area(score[known], rows.labels[known] == 1),
        "anger_auc_neutral": against_neutral(score, rows.labels),
    }


def against_neutral(score, labels):
    chosen = (labels == 0) | (labels == 1)
    return area(score[chosen], labels[chosen] == 1)


def area(score, positive):
    """Area under the receiver operating curve, ties at half."""
    _, inverse, counts = numpy.unique(score, return_inverse=True, return_counts=True)
    ranks = (numpy.cumsum(counts) - (counts - 1) / 2)[inverse]
    wins = ranks[positive].sum() - positive.sum() * (positive.sum() + 1) / 2
    return float(wins / (positive.sum() * (~positive).sum()))


def calibration_error(found, right):
    """Expected calibration error of the leading class, 10 bins."""
    confidence = found.max(axis=1)
    bins = numpy.minimum((confidence * 10).astype(int), 9)
    gaps = [abs(confidence[bins == b].sum() - right[bins == b].sum()) for b in range(10)]
    return float(sum(gaps) / len(right))


def onset_streams(clips, folder):
    """Four streams of each kind per speaker who has 4 neutral clips (and 3 angry ones)."""
    folder.mkdir(parents=True, exist_ok=True)
    made = []
    for speaker in sorted({clip.speaker for clip in clips}):
        calm = [clip for clip in clips if clip.speaker == speaker and clip.label == 0]
        angry = [clip for clip in clips if clip.speaker == speaker and clip.label == 1]
        for turn in range(TURNS):
            random = numpy.random.default_rng([SEED, turn, zlib.crc32(speaker.encode())])
            if len(calm) < 4:
                continue
            if len(angry) >= 3:
                first = list(random.choice(calm, min(5, len(calm)), replace=False))
                then = list(random.choice(angry, min(5, len(angry)), replace=False))
                spans, samples = streams.render(first + then, random, "test")
                onset_s = spans[len(first)][0] + speech_start_s(then[0].samples)
                made.append(write(folder, len(made), speaker, onset_s, samples))
            spans, samples = streams.render(list(random.permutation(calm)[:10]), random, "test")
            made.append(write(folder, len(made), speaker, None, samples))
    return made


def calm_streams(clips, folder):
    """Every speaker's recordings one after the other, 20 at most in a stream; nobody is called angry in them."""
    folder.mkdir(parents=True, exist_ok=True)
    made = []
    for speaker in sorted({clip.speaker for clip in clips}):
        mine = [clip for clip in clips if clip.speaker == speaker]
        random = numpy.random.default_rng([SEED, zlib.crc32(speaker.encode())])
        for start in range(0, len(mine), 20):
            _, samples = streams.render(mine[start : start + 20], random, "test")
            made.append(write(folder, len(made), speaker, None, samples))
    return made


def write(folder, number, speaker, onset_s, samples):
    path = folder / f"{number:05}.wav"
    streams.write(path, samples)
    return Stream(path, speaker, onset_s)


def speech_start_s(samples):
    """When the clip first comes within 25 dB of its loudest 10 ms."""
    power = (samples[: len(samples) // 80 * 80].reshape(-1, 80) ** 2).mean(axis=1)
    return float(numpy.argmax(power > power.max() / 316)) * 0.01


def onset_figures(mine, model, program):
    """One figure per stream and way of listening, by the project's own listener."""
    judged = []
    for way, arguments in (("model", [model.with_suffix(".onnx"), model.with_suffix(".json")]), ("signal", [])):
        for corpus in sorted({stream.corpus for stream in mine}):
            chosen = [stream for stream in mine if stream.corpus == corpus]
            listed = "".join(f"{s.path}\t{'-' if s.onset_s is None else s.onset_s}\n" for s in chosen)
            done = subprocess.run([program, *arguments], input=listed, text=True, check=True, capture_output=True)
            judged.append({"way": way, "corpus": corpus, **json.loads(done.stdout.splitlines()[-1])})
    return judged


def sum_up(judged):
    """Per way and corpus: shares of all onsets, false alarms per hour of all calm speech."""
    table = {}
    for way in ("model", "signal"):
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
