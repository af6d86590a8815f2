"""Speech as calls carry it: through a telephone line, a clip at a time or several one after the other.

A stream is a list of spans (start, end, label) and its samples.
"""

import wave

import numpy
import scipy.signal

from corpora import RATE

CALM_DB = -26.0
# Levels of the augmented: telephones are spoken into from near, recordings are made anyhow.
LEVELS_DB = {"telephone": (-34.0, -16.0), "wide": (-46.0, -14.0)}
# Silence behind a clip, samples.
TAIL = 6 * RATE // 10


class Line:
    """What one speaker's voice goes through. Augmented, it also makes another voice of it: faster or slower, brighter or duller."""

    def __init__(self, clips, random, augmented, band="telephone"):
        some = lambda share: augmented and random.random() < share
        self.random, self.augmented = random, augmented
        self.speed = random.uniform(0.86, 1.18) if augmented else 1.0
        self.tilt = random.uniform(-0.35, 0.35) if some(0.6) else 0.0
        # Some lines level the loudness: then anger must be heard in the timbre.
        self.levelling = random.uniform(0.5, 1.0) if some(0.35) else 0.0
        self.target_db = random.uniform(*LEVELS_DB[band]) if augmented else CALM_DB
        self.noise_db = self.target_db - (random.uniform(12, 40) if some(0.6) else 40.0)
        self.reference_db = numpy.median([level_db(clip.samples) for clip in clips])

    def voice(self, clip):
        """The clip's samples before noise and companding."""
        samples = clip.samples
        if self.speed != 1.0:
            samples = scipy.signal.resample_poly(samples, 100, int(round(100 * self.speed)))
        if self.tilt:
            samples = scipy.signal.lfilter([1.0, self.tilt], [1.0], samples)
        gain_db = self.target_db - self.reference_db + self.levelling * (self.reference_db - level_db(clip.samples))
        gain_db += self.random.normal(0, 1.0) if self.augmented else 0.0
        return samples * 10 ** (gain_db / 20)

    def end(self, samples):
        """What comes out at the far end, as int16."""
        return line(samples + noise(len(samples), self.random) * 10 ** (self.noise_db / 20), self.random)

    def alone(self, clip):
        """One clip with silence behind it, as `calmline eval speech` judges it."""
        before = int(self.random.uniform(0, 0.5) * RATE) if self.augmented else 0
        return self.end(numpy.concatenate([numpy.zeros(before), self.voice(clip), numpy.zeros(TAIL)]))

    def together(self, clips):
        """The clips one after the other with pauses: spans and samples."""
        pieces, spans, at = [], [], 0
        for clip in clips:
            pause = numpy.zeros(int(self.random.uniform(0.1, 0.5) * RATE))
            pieces += [pause, self.voice(clip)]
            start = at + len(pause)
            at = start + len(pieces[-1])
            spans.append((start / RATE, at / RATE, clip.label))
        return spans, self.end(numpy.concatenate([*pieces, numpy.zeros(RATE // 2)]))


def recorded(clip):
    """The clip as it was recorded with silence behind it, as `calmline eval speech` hears a file."""
    return as_int16(numpy.concatenate([clip.samples, numpy.zeros(TAIL)]))


def level_db(samples):
    """Level of the louder half of the clip, dB."""
    frames = samples[: len(samples) // 160 * 160].reshape(-1, 160)
    power = numpy.sort((frames**2).mean(axis=1))[len(frames) // 2 :]
    return 10 * numpy.log10(power.mean() + 1e-12)


def noise(length, random):
    """Noise of level 0 dB, white or falling with frequency."""
    white = random.normal(0, 1, length)
    if random.random() < 0.5:
        white = scipy.signal.lfilter([1.0], [1.0, -0.9], white)
    return white / numpy.sqrt((white**2).mean())


def line(samples, random):
    """Saturation, 16 bits, and the companding of G.711 (A-law or mu-law by chance), as int16."""
    clipped = numpy.clip(samples, -1, 1)
    return a_law(clipped) if random.random() < 0.5 else mu_law(clipped)


def mu_law(x):
    """x -> G.711 mu-law and back (continuous law, 8 bits)."""
    code = numpy.round(numpy.sign(x) * numpy.log1p(255 * numpy.abs(x)) / numpy.log(256) * 127) / 127
    return as_int16(numpy.sign(code) * (256 ** numpy.abs(code) - 1) / 255)


def a_law(x):
    """x -> G.711 A-law and back (continuous law, 8 bits)."""
    a = 87.6
    size = numpy.abs(x)
    scale = 1 + numpy.log(a)
    code = numpy.where(size < 1 / a, a * size / scale, (1 + numpy.log(numpy.maximum(a * size, 1))) / scale)
    code = (numpy.floor(code * 127) + 0.5) / 127
    back = numpy.where(code < 1 / scale, code * scale / a, numpy.exp(code * scale - 1) / a)
    return as_int16(numpy.sign(x) * back)


def as_int16(x):
    return numpy.clip(numpy.round(x * 32768), -32768, 32767).astype(numpy.int16)


def write(path, samples):
    with wave.open(str(path), "wb") as out:
        out.setnchannels(1)
        out.setsampwidth(2)
        out.setframerate(RATE)
        out.writeframes(samples.tobytes())
