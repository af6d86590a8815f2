"""Public pitch trackers behind one call: samples in, times (middle of each frame) and F0 out, 0 where unvoiced.

All search 60-600 Hz in steps of 10 ms (SwiftF0: 16 ms) and have their defaults otherwise. A tool whose stamps fit known
glides and vibratos better when all are shifted by one constant gets it, so that a convention is no error.
"""

import numpy as np

LOW_HZ, HIGH_HZ, STEP_S = 60.0, 600.0, 0.01
PRAAT_SHIFT_S = {"ac": -0.002, "cc": -0.007}
RAPT_SHIFT_S = 0.005


def praat(samples, rate, method):
    import parselmouth

    sound = parselmouth.Sound(samples, rate)
    if method == "ac":
        pitch = sound.to_pitch_ac(time_step=STEP_S, pitch_floor=LOW_HZ, pitch_ceiling=HIGH_HZ)
    else:
        pitch = sound.to_pitch_cc(time_step=STEP_S, pitch_floor=LOW_HZ, pitch_ceiling=HIGH_HZ)
    return pitch.xs() + PRAAT_SHIFT_S[method], pitch.selected_array["frequency"]


def rapt(samples, rate):
    import pysptk

    hop = int(rate * STEP_S)
    f0 = pysptk.rapt((samples * 32768).astype(np.float32), rate, hop, LOW_HZ, HIGH_HZ, otype="f0")
    return np.arange(len(f0)) * STEP_S + RAPT_SHIFT_S, f0


def swipe(samples, rate):
    import pysptk

    hop = int(rate * STEP_S)
    f0 = pysptk.swipe(samples.astype(np.float64) * 32768, rate, hop, min=LOW_HZ, max=HIGH_HZ, otype="f0")
    return np.arange(len(f0)) * STEP_S, f0


def dio(samples, rate):
    import pyworld

    x = samples.astype(np.float64)
    f0, times = pyworld.dio(x, rate, f0_floor=LOW_HZ, f0_ceil=HIGH_HZ, frame_period=1000 * STEP_S)
    return times, pyworld.stonemask(x, f0, times, rate)


class SwiftF0:
    def __init__(self):
        import swift_f0

        self.detector = swift_f0.SwiftF0(threads=1, spin=False)

    def __call__(self, samples, rate):
        result = self.detector.detect(samples.astype(np.float32), rate, LOW_HZ, HIGH_HZ)
        return result.timestamps, np.where(result.confidence >= 0.5, result.pitch_hz, 0.0)


class OpenSmile:
    """The sub-harmonic summation of eGeMAPSv02, out of its 25 descriptors; the stamp is the start of 60 ms."""

    def __init__(self):
        import opensmile

        self.smile = opensmile.Smile(
            feature_set=opensmile.FeatureSet.eGeMAPSv02, feature_level=opensmile.FeatureLevel.LowLevelDescriptors
        )

    def __call__(self, samples, rate):
        frame = self.smile.process_signal(samples.astype(np.float32), rate)
        semitones = frame["F0semitoneFrom27.5Hz_sma3nz"].to_numpy()
        start = frame.index.get_level_values("start").total_seconds().to_numpy()
        return start + 0.03, np.where(semitones > 0, 27.5 * 2.0 ** (semitones / 12.0), 0.0)


def all_of_them():
    """Name → tracker, the cheap ones first."""
    return {
        "rapt": rapt,
        "dio": dio,
        "praat-ac": lambda samples, rate: praat(samples, rate, "ac"),
        "praat-cc": lambda samples, rate: praat(samples, rate, "cc"),
        "swipe": swipe,
        "swift-f0": SwiftF0(),
        "opensmile": OpenSmile(),
    }
