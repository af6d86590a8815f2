"""Streams of speech as calls carry them: one speaker's clips in runs of one emotion, through a telephone line.

A stream is a list of spans (start, end, class) and its samples. Training needs streams, not clips, because the
server's features hold the speaker's baseline, and the baseline is learnt from what was said before.
"""

import wave

import numpy
import scipy.signal

from corpora import OTHER, RATE


def compose(clips, random, kind):
    """Streams that use every clip of one speaker once. `kind` is 'train' (augmented) or 'test' (the line alone)."""
    by_label = {}
    for clip in clips:
        by_label.setdefault(clip.word, []).append(clip)
    for pool in by_label.values():
        random.shuffle(pool)
    streams = []
    while any(by_label.values()):
        streams.append(render(order(by_label, random), random, kind))
    return streams


def order(by_label, random):
    """Up to 16 clips: 0, 2, 4 or 6 neutral ones first, then runs of 1 to 4 of one emotion."""
    chosen = []
    calm = by_label.get("neutral") or by_label.get("calm") or []
    for _ in range(int(random.choice([0, 2, 4, 6]))):
        if calm:
            chosen.append(calm.pop())
    while len(chosen) < 16 and any(by_label.values()):
        words = sorted(word for word, pool in by_label.items() if pool)
        pool = by_label[words[random.integers(len(words))]]
        for _ in range(int(random.integers(1, 5))):
            if pool:
                chosen.append(pool.pop())
    return chosen


def render(clips, random, kind):
    """The clips one after the other with pauses, then gain, noise, saturation and G.711."""
    augmented = kind == "train"
    speed = random.uniform(0.88, 1.14) if augmented and random.random() < 0.7 else 1.0
    # Some lines level the loudness: then anger must be heard in the timbre.
    levelling = random.uniform(0.5, 1.0) if augmented and random.random() < 0.35 else 0.0
    reference = numpy.median([level_db(clip.samples) for clip in clips])
    target = random.uniform(-36, -16) if augmented else -26.0
    pieces, spans, at = [], [], 0
    for clip in clips:
        samples = clip.samples
        if speed != 1.0:
            samples = scipy.signal.resample_poly(samples, 100, int(round(100 * speed)))
        gain = target - reference + levelling * (reference - level_db(samples))
        gain += random.normal(0, 1.0) if augmented else 0.0
        pause = numpy.zeros(int(random.uniform(0.1, 0.5) * RATE))
        pieces += [pause, samples * 10 ** (gain / 20)]
        start = at + len(pause)
        at = start + len(samples)
        spans.append((start / RATE, at / RATE, clip.label, clip.corpus, clip.speaker))
    samples = numpy.concatenate([*pieces, numpy.zeros(RATE // 2)])
    if augmented and random.random() < 0.6:
        samples = samples + noise(len(samples), random) * 10 ** ((target - random.uniform(12, 40)) / 20)
    else:
        samples = samples + noise(len(samples), random) * 10 ** (-66 / 20)
    return spans, line(samples, random)


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


def label_at(spans, at_s, window_s=1.5, share=0.6):
    """The class that fills at least `share` of the speech of the last `window_s`; None when none does."""
    filled = {}
    for start, end, label, _, _ in spans:
        overlap = min(end, at_s) - max(start, at_s - window_s)
        if overlap > 0:
            filled[label] = filled.get(label, 0) + overlap
    if not filled:
        return None
    label = max(filled, key=filled.get)
    total = sum(filled.values())
    return label if filled[label] >= share * total and total >= 0.5 else None


__all__ = ["compose", "render", "write", "label_at", "OTHER"]
