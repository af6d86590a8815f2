"""Samples at 8 kHz of many recordings in one file, with what is said in them and by whom."""

import json
import pathlib

import numpy
import soundfile
from scipy.signal import resample_poly

RATE = 8_000


def decoded(path):
    """A recording at 8 kHz, [-1, 1]."""
    samples, rate = soundfile.read(path, dtype="float32", always_2d=True)
    return at_rate(samples.mean(axis=1), rate)


def at_rate(samples, rate):
    """Samples of another rate, mono, at 8 kHz."""
    common = numpy.gcd(rate, RATE)
    return resample_poly(samples, RATE // common, rate // common).astype(numpy.float32)


def keep(path, recordings):
    """Writes recordings: (samples, text or syllables, speaker) each."""
    pathlib.Path(path).parent.mkdir(parents=True, exist_ok=True)
    lengths, about, pieces = [], [], []
    for samples, said, speaker in recordings:
        pieces.append((numpy.clip(samples, -1, 1) * 32_767).astype(numpy.int16))
        lengths.append(len(samples))
        about.append({"said": said, "speaker": speaker})
    numpy.savez(path, samples=numpy.concatenate(pieces), lengths=numpy.array(lengths), about=json.dumps(about, ensure_ascii=False))


def kept(path):
    """What `keep` has written."""
    with numpy.load(path) as file:
        about = json.loads(str(file["about"]))
        pieces = numpy.split(file["samples"], numpy.cumsum(file["lengths"])[:-1])
    for samples, each in zip(pieces, about, strict=True):
        yield samples.astype(numpy.float32) / 32_768, each["said"], each["speaker"]
