"""Makes a folder for `calmline eval pitch` out of human speech.

    human.py SHARED_DATA DIR [--per-corpus N] [--seed S] [--corpora a,b,c]

Writes DIR/source (16 kHz), DIR/truth and DIR/babble. The truth is what Praat (autocorrelation), RAPT and SwiftF0 agree
on, each on the undisturbed wide-band recording: voiced where all three are and lie within 5 % of their median, unvoiced
where all three are, unknown elsewhere. Babble is mixed from speakers who are not judged.
`calmline eval pitch DIR --make` then makes the conditions.
"""

import argparse
import csv
import pathlib
import random

import numpy as np
import soundfile
import soxr

import trackers

RATE = 16_000
STEP_S = 0.01
BABBLE_CLIPS = 24


def clips_of(corpus):
    """(path, speaker) of every clip, in a fixed order."""
    if (corpus / "manifest.csv").exists():
        rows = list(csv.DictReader((corpus / "manifest.csv").open()))
        return [(corpus / row["file"], row["speaker"]) for row in rows]
    rows = list(csv.DictReader((corpus / "manifest.tsv").open(), delimiter="\t"))
    return [(corpus / pathlib.Path(row["path"]).name, row.get("speaker", row["path"])) for row in rows]


def read(path):
    samples, rate = soundfile.read(path, dtype="float32", always_2d=True)
    mono = samples.mean(axis=1)
    return soxr.resample(mono, rate, RATE) if rate != RATE else mono


def at(times, f0, grid):
    """The value of the frame nearest to each point; 0 beyond the ends."""
    times, f0 = np.asarray(times), np.asarray(f0)
    after = np.clip(np.searchsorted(times, grid), 1, len(times) - 1)
    nearest = np.where(grid - times[after - 1] < times[after] - grid, after - 1, after)
    return np.where(np.abs(times[nearest] - grid) < 0.012, f0[nearest], 0.0)


def grid_of(samples):
    return np.arange(STEP_S / 2, len(samples) / RATE, STEP_S)


def consensus(tracks):
    """Of tracks (T, N) on one grid: their median where all are voiced and lie within 5 % of it, 0 where none is."""
    middle = np.median(tracks, axis=0)
    voiced = (tracks > 0).all(axis=0) & (np.abs(tracks / np.maximum(middle, 1) - 1) < 0.05).all(axis=0)
    unvoiced = (tracks == 0).all(axis=0)
    return np.where(voiced, middle, np.where(unvoiced, 0.0, np.nan))


def write_truth(path, grid, f0):
    with path.open("w") as out:
        out.write("time_s,f0_hz\n")
        out.writelines(f"{t:.3f},{'' if np.isnan(f) else f'{f:.3f}'}\n" for t, f in zip(grid, f0))


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("shared", type=pathlib.Path)
    parser.add_argument("out", type=pathlib.Path)
    parser.add_argument("--per-corpus", type=int, default=40)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--corpora", default="casia,emodb4,ravdess")
    args = parser.parse_args()

    chosen = random.Random(args.seed)
    swift = trackers.SwiftF0()
    for folder in ("source", "truth", "babble"):
        (args.out / folder).mkdir(parents=True, exist_ok=True)
    babble = []
    for name in args.corpora.split(","):
        clips = clips_of(args.shared / name)
        speakers = sorted({speaker for _, speaker in clips})
        spare = set(chosen.sample(speakers, max(1, len(speakers) // 4))) if len(speakers) > 1 else set()
        babble += [path for path, speaker in clips if speaker in spare]
        judged = [path for path, speaker in clips if speaker not in spare]
        for number, path in enumerate(sorted(chosen.sample(judged, min(args.per_corpus, len(judged))))):
            samples = read(path)
            grid = grid_of(samples)
            tools = (trackers.praat(samples, RATE, "ac"), trackers.rapt(samples, RATE), swift(samples, RATE))
            f0 = consensus(np.stack([at(*track, grid) for track in tools]))
            soundfile.write(args.out / "source" / f"{name}-{number:03}.wav", samples, RATE, subtype="PCM_16")
            write_truth(args.out / "truth" / f"{name}-{number:03}.csv", grid, f0)
    for number, path in enumerate(chosen.sample(babble, min(BABBLE_CLIPS, len(babble)))):
        soundfile.write(args.out / "babble" / f"{number:03}.wav", read(path), RATE, subtype="PCM_16")


if __name__ == "__main__":
    main()
