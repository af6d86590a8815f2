"""Spectra of recordings, and what calls make of them: everything that changes a voice or a line is done on power spectra.

The energies are those of `prosody/src/logmel.rs` at 8 kHz: windows of 25 ms every 10 ms, pre-emphasis 0.97, "povey".
"""

import functools

import numpy

HOP, WINDOW, SIZE = 80, 200, 256
BINS = SIZE // 2
BANDS, LOW_HZ, HIGH_HZ = 40, 125.0, 3_800.0
FLOOR = numpy.float32(2.0**-23)
# Energies further below the loudest one than this are raised to it, natural logarithm (56 dB).
RANGE = 13.0
SCALE = 4.0


def power(samples):
    """Power spectra, (frames, BINS), as half-precision logarithms."""
    frames = (len(samples) + HOP // 2) // HOP
    before = (WINDOW - HOP) // 2
    padded = numpy.pad(samples.astype(numpy.float64), (before, WINDOW), mode="symmetric")
    windows = numpy.lib.stride_tricks.sliding_window_view(padded, WINDOW)[: frames * HOP : HOP]
    windows = windows - windows.mean(axis=1, keepdims=True)
    emphasised = windows - 0.97 * numpy.concatenate([windows[:, :1], windows[:, :-1]], axis=1)
    hann = 0.5 - 0.5 * numpy.cos(2 * numpy.pi * numpy.arange(WINDOW) / (WINDOW - 1))
    spectrum = numpy.fft.rfft(emphasised * hann**0.85, SIZE)[:, :BINS]
    return numpy.log(numpy.maximum(numpy.abs(spectrum) ** 2, 1e-10)).astype(numpy.float16)


def mel(hz):
    return 1127.0 * numpy.log(1.0 + hz / 700.0)


@functools.lru_cache(maxsize=64)
def bands(warp):
    """Weights of the bins in each band, (BINS, BANDS). A warp above 1 moves the voice's resonances down."""
    edges = numpy.linspace(mel(LOW_HZ), mel(HIGH_HZ), BANDS + 2)
    hz = numpy.arange(BINS) * 8_000 / SIZE
    if warp != 1.0:
        # Piecewise, so that the upper edge stays where it is.
        knee = 0.8 * HIGH_HZ / max(warp, 1.0)
        rest = (HIGH_HZ - knee * warp) / (HIGH_HZ - knee)
        hz = numpy.where(hz <= knee, hz * warp, knee * warp + (hz - knee) * rest)
    place = mel(hz)[:, None]
    left, centre, right = edges[:-2], edges[1:-1], edges[2:]
    rising, falling = (place - left) / (centre - left), (right - place) / (right - centre)
    weights = numpy.minimum(rising, falling).clip(0.0)
    weights[place[:, 0] <= 0] = 0.0
    empty = weights.sum(axis=0) == 0
    for band in numpy.flatnonzero(empty):
        weights[numpy.abs(place[:, 0] - centre[band]).argmin(), band] = 1.0
    return weights.astype(numpy.float32)


def energies(powers, warp=1.0):
    """Logarithms of energies of power spectra, (frames, BANDS)."""
    return numpy.log(numpy.maximum(powers @ bands(warp), FLOOR))


def levelled(logs):
    """Energies as the network takes them: no line, no level; as `nlu/src/recognition/built_in/front.rs` does it."""
    logs = numpy.maximum(logs, logs.max() - RANGE)
    loudness = logs.mean(axis=1)
    usual = logs[loudness >= loudness.mean()].mean(axis=0)
    return ((logs - usual) / SCALE).astype(numpy.float32)


# ---- what calls make of it


def spoken_at(logs, tempo, dice=None):
    """Log spectra in another tempo (above 1 is faster), frames in between taken from their neighbours; with `dice` the
    tempo sways by a fifth or so within the sentence."""
    count = max(int(round(len(logs) / tempo)), 2)
    places = numpy.linspace(0, len(logs) - 1, count)
    if dice is not None:
        knots = max(count // 30, 2)
        pace = numpy.exp(numpy.interp(numpy.linspace(0, knots - 1, count), numpy.arange(knots), dice.normal(0, 0.18, knots)))
        places = numpy.cumsum(pace) - pace[0]
        places *= (len(logs) - 1) / max(places[-1], 1e-6)
    left = places.astype(int).clip(0, len(logs) - 2)
    share = (places - left).astype(numpy.float32)[:, None]
    logs = logs.astype(numpy.float32)
    return logs[left] * (1 - share) + logs[left + 1] * share


def trimmed(logs, below=9.0, keep=2):
    """A word without the silence around it, by its loudest frame."""
    loud = logs.astype(numpy.float32).max(axis=1)
    voiced = numpy.flatnonzero(loud > loud.max() - below)
    return logs[max(voiced[0] - keep, 0) : voiced[-1] + 1 + keep]


def joined(pieces, dice):
    """Words one after the other, by 0-4 frames upon each other, at one level."""
    whole = pieces[0].astype(numpy.float32)
    for piece in pieces[1:]:
        piece = piece.astype(numpy.float32) + (level(whole) - level(piece)) + dice.normal(0, 0.5)
        upon = min(int(dice.integers(0, 5)), len(piece) - 1, len(whole) - 1)
        if upon:
            share = (numpy.arange(1, upon + 1, dtype=numpy.float32) / (upon + 1))[:, None]
            between = numpy.logaddexp(whole[-upon:] + numpy.log(1 - share), piece[:upon] + numpy.log(share))
            whole = numpy.concatenate([whole[:-upon], between, piece[upon:]])
        else:
            whole = numpy.concatenate([whole, piece])
    return whole


def level(logs):
    return numpy.sort(logs.astype(numpy.float32).mean(axis=1))[-max(len(logs) // 4, 1) :].mean()


def on_the_line(logs, dice):
    """Energies of a call: pauses around, a room, an equaliser, a band, noise, a codec's noise; then masks."""
    logs = logs.astype(numpy.float32)
    before, behind = int(dice.integers(4, 32)), int(dice.integers(8, 48))
    powers = numpy.exp(numpy.pad(logs, ((before, behind), (0, 0)), constant_values=-18.0))
    if dice.random() < 0.35:
        powers = in_a_room(powers, dice)
    hz = numpy.arange(BINS) * 8_000 / SIZE
    curve = dice.normal(0, 4) * (hz / 4_000 - 0.5) + smooth(dice, 5, 1.6)
    if dice.random() < 0.7:
        low, high = dice.uniform(120, 330), dice.uniform(3_300, 3_700)
        curve = curve - 0.5 * numpy.log1p((low / numpy.maximum(hz, 15)) ** 8) * 2 - numpy.log1p((hz / high) ** 24)
    powers = powers * numpy.exp(curve).astype(numpy.float32)
    loud = numpy.sort(powers.mean(axis=1))[-max(len(logs) // 5, 1) :].mean()
    powers = powers / loud * numpy.exp(dice.uniform(-9, 3))
    loud = numpy.exp(numpy.log(powers.mean(axis=1).max()))
    powers = powers + noise(powers.shape, dice, loud)
    warp = round(float(dice.uniform(0.82, 1.22)), 2)
    return masked(levelled(energies(powers.astype(numpy.float32), warp)), dice)


def noise(shape, dice, loud):
    """Noise of a line or a room, 6 to 55 dB below the speech, as random as power spectra of noise are."""
    below = dice.uniform(1.5, 6) if dice.random() < 0.25 else dice.uniform(5, 12.5)
    hz = numpy.arange(BINS) / BINS
    shapes = numpy.exp(dice.normal(0, 3) * (hz - 0.5) + smooth(dice, 4, 1.0))
    swell = numpy.exp(numpy.interp(numpy.arange(shape[0]), numpy.linspace(0, shape[0], 6), dice.normal(0, 0.5, 6)))
    level = loud * numpy.exp(-below) * shapes / shapes.mean()
    return (dice.exponential(1.0, shape) * level * swell[:, None]).astype(numpy.float32)


def in_a_room(powers, dice):
    """Power that decays: 60 dB in 0.15 to 0.6 s, 3 to 20 dB below the direct sound."""
    decay = numpy.exp(-13.8 / (dice.uniform(15, 60)))
    share = numpy.exp(-dice.uniform(0.7, 4.6)) * (1 - decay)
    late = numpy.zeros_like(powers)
    held = numpy.zeros(powers.shape[1], numpy.float32)
    for at in range(1, len(powers)):
        held = decay * held + powers[at - 1]
        late[at] = held
    return powers + share * late


def smooth(dice, knots, deviation):
    return numpy.interp(numpy.linspace(0, 1, BINS), numpy.linspace(0, 1, knots), dice.normal(0, deviation, knots))


def masked(values, dice):
    """SpecAugment: up to two bands and two stretches of time are taken away."""
    for _ in range(int(dice.integers(0, 3))):
        width = int(dice.integers(1, 7))
        first = int(dice.integers(0, BANDS - width))
        values[:, first : first + width] = 0.0
    for _ in range(int(dice.integers(0, 3))):
        length = int(dice.integers(1, 9))
        first = int(dice.integers(0, max(len(values) - length, 1)))
        values[first : first + length] = 0.0
    return values
