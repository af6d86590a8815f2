"""Writes nlu/src/recognition/built_in/golden.json: what the exported graph hears in a clip of fixtures/audio, by the
trainer's own front end; the program's tests hold both together."""

import json
import pathlib

import numpy

import recordings
from judge import Ear
from tokens import Tokens
from train import collapsed

ROOT = pathlib.Path(__file__).resolve().parents[3]
CLIP, FIRST, BEYOND = "fixtures/audio/angry-caller.wav", 24 * 8_000, 27 * 8_000
# Of each step, so many of the likeliest tokens.
LIKELIEST = 2


def main():
    tokens, ear = Tokens(), Ear(ROOT / "nlu/models")
    samples = recordings.decoded(ROOT / CLIP)[FIRST:BEYOND]
    heard = ear.likelihoods(samples)
    likeliest = numpy.argsort(-heard, axis=1)[:, :LIKELIEST]
    golden = {
        "clip": CLIP,
        "samples": [FIRST, BEYOND],
        "said": " ".join(tokens.names[each] for each in collapsed(heard.argmax(axis=1))),
        "likeliest": [[[int(token), round(float(heard[step, token]), 3)] for token in each] for step, each in enumerate(likeliest)],
    }
    path = ROOT / "nlu/src/recognition/built_in/golden.json"
    path.write_text(json.dumps(golden, ensure_ascii=False) + "\n", encoding="utf-8")
    print(golden["said"])


if __name__ == "__main__":
    main()
