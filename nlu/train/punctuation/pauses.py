"""How pauses go with commas: read sentences whose text is known (bznsyp), and no times of words. A pause is put behind the
character at which it would be if all characters took the same time of speech.

    python pauses.py SHARED_FOLDER
"""

import pathlib
import subprocess
import sys

import numpy

from dialogues import COMMA, marked

RATE = 8000
FRAME = 80
# Frames this far below the loudest ones are silence, dB.
SILENCE_DB = 32.0
LEAST_S = (0.1, 0.15, 0.2, 0.3)
# A pause this near to a comma is that comma's, characters.
NEAR = 1.5


def pauses(samples):
    """Pauses inside the speech: length, seconds, and the share of the speech before them."""
    frames = samples[: len(samples) // FRAME * FRAME].reshape(-1, FRAME)
    level = 10 * numpy.log10((frames**2).mean(axis=1) + 1e-12)
    speech = numpy.flatnonzero(level > numpy.percentile(level, 95) - SILENCE_DB)
    gaps = numpy.diff(speech) - 1
    return [(gap / 100, (at + 1) / len(speech)) for at, gap in enumerate(gaps) if gap >= 10]


def main(shared):
    folder = pathlib.Path(shared) / "data" / "speech_zh_misc"
    rows = [line.split("\t") for line in (folder / "manifest.tsv").read_text(encoding="utf-8").splitlines()[1:]]
    rows = [row for row in rows if "bznsyp" in row[0]]
    table = {least: [0, 0, 0, 0] for least in LEAST_S}
    for row in rows:
        command = ["ffmpeg", "-v", "error", "-i", folder / pathlib.Path(row[0]).name, "-ar", str(RATE), "-ac", "1", "-f", "s16le", "-"]
        heard = subprocess.run(command, check=True, capture_output=True).stdout
        tokens, marks = marked(row[-1])
        commas = [at for at, mark in enumerate(marks[:-1]) if mark == COMMA]
        found = pauses(numpy.frombuffer(heard, numpy.int16) / 32768.0)
        for least, counts in table.items():
            places = [share * len(tokens) - 1 for length, share in found if length >= least]
            counts[0] += len(commas)
            counts[1] += sum(any(abs(place - comma) <= NEAR for place in places) for comma in commas)
            counts[2] += len(tokens) - 1 - len(commas)
            counts[3] += sum(all(abs(place - comma) > NEAR for comma in commas) for place in places)
    for least, (commas, paused, others, elsewhere) in table.items():
        odds = numpy.log(((paused + 0.5) / (commas + 1)) / ((elsewhere + 0.5) / (others + 1)))
        print(f"{least} s: {paused} of {commas} commas, {elsewhere} pauses at {others} other places, log odds {odds:.1f}")


if __name__ == "__main__":
    main(*sys.argv[1:])
