"""Rows of features with their labels, made by the project's own program from composed streams."""

import subprocess
import zlib

import numpy

import streams

# Line number, seconds, scores of pitch, level, rate, tilt: what the program writes before a row's values.
HEAD = 6
SEED = 7
# Speakers of the Urdu corpus have few clips each and mostly one emotion: they are held out in five groups.
GROUPED = "urdu"
GROUPS = 5


class Rows:
    """`values` (N, F), `scores` (N, 4) of the signal, and per row the label (-1: mixed), speaker and corpus."""

    def __init__(self, values, scores, labels, speakers, corpora):
        self.values, self.scores, self.labels = values, scores, labels
        self.speakers, self.corpora = speakers, corpora

    def only(self, chosen):
        parts = (self.values, self.scores, self.labels, self.speakers, self.corpora)
        return Rows(*(part[chosen] for part in parts))


def joined(one, other):
    parts = ("values", "scores", "labels", "speakers", "corpora")
    return Rows(*(numpy.concatenate([getattr(one, part), getattr(other, part)]) for part in parts))


def build_rows(clips, folder, kind, rounds, program):
    """Composes `rounds` streams of every speaker's clips, writes them, and lets `program` extract the rows."""
    folder.mkdir(parents=True, exist_ok=True)
    paths, spans = [], []
    for turn in range(rounds):
        for speaker in sorted({clip.speaker for clip in clips}):
            random = numpy.random.default_rng([SEED, turn, zlib.crc32(speaker.encode())])
            mine = [clip for clip in clips if clip.speaker == speaker]
            for placed, samples in streams.compose(mine, random, kind):
                paths.append(folder / f"{len(paths):05}.wav")
                streams.write(paths[-1], samples)
                spans.append(placed)
    out = folder / "rows.f32"
    listed = "\n".join(str(path) for path in paths)
    subprocess.run([program, out], input=listed, text=True, check=True)
    names = subprocess.run([program, "--names"], text=True, check=True, capture_output=True).stdout.split()
    table = numpy.fromfile(out, "<f4").reshape(-1, HEAD + len(names))
    print(f"{kind}: {len(paths)} streams, {len(table)} rows", flush=True)
    numbers = table[:, 0].astype(int)
    labels = [streams.label_at(spans[n], at_s) for n, at_s in zip(numbers, table[:, 1])]
    return Rows(
        table[:, HEAD:].copy(),
        table[:, 2:HEAD].copy(),
        numpy.array([-1 if label is None else label for label in labels]),
        numpy.array([spans[n][0][4] for n in numbers]),
        numpy.array([spans[n][0][3] for n in numbers]),
    )


def folds_of(speakers, everyone):
    """The fold of each speaker: the speaker, or one of five groups for the Urdu ones."""
    grouped = sorted({speaker for speaker in everyone if speaker.startswith(GROUPED)})
    name = {s: f"{GROUPED}/group {i % GROUPS}" for i, s in enumerate(grouped)}
    return numpy.array([name.get(speaker, speaker) for speaker in speakers])
