"""Folders for `calmline eval pitch` in which a tool is judged by the others alone.

    others.py HUMAN OUT

The truth of HUMAN (`human.py`, with tracks by `tracks.py`) is what three tools agree on, so none of the three can be far from
it. OUT/TOOL, for each of them, has for truth what the other two agree on in the undisturbed wide-band recording, and the
tracks of that tool only: beside it, ours is judged by two that it has nothing in common with, and so is the tool.
"""

import pathlib
import sys

import numpy as np
import soundfile

from human import at, consensus, grid_of, write_truth

JUDGES = ("praat-ac", "rapt", "swift-f0")


def track(path):
    table = np.genfromtxt(path, delimiter=",", skip_header=1)
    return table[:, 0], table[:, 1]


def main(human, out):
    for tool in JUDGES:
        folder = out / tool
        for name in ("truth", f"tracks/{tool}"):
            (folder / name).mkdir(parents=True, exist_ok=True)
        for condition in human.glob("wide-*"):
            for name in (condition.name, f"tracks/{tool}/{condition.name}"):
                if not (folder / name).exists():
                    (folder / name).symlink_to((human / name).resolve())
        others = [other for other in JUDGES if other != tool]
        for wav in sorted((human / "wide-clean").glob("*.wav")):
            grid = grid_of(soundfile.read(wav, dtype="float32")[0])
            tracks = [at(*track(human / "tracks" / other / "wide-clean" / f"{wav.stem}.csv"), grid) for other in others]
            write_truth(folder / "truth" / f"{wav.stem}.csv", grid, consensus(np.stack(tracks)))


if __name__ == "__main__":
    main(pathlib.Path(sys.argv[1]), pathlib.Path(sys.argv[2]))
