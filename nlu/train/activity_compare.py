"""Voice activity over a noisy telephone: the one in use beside WebRTC's and Silero's, on the same signals.

    activity_compare.py ACTIVITY LABELLED TALKERS

ACTIVITY is `cargo build --release -p nlu --example activity`'s program; LABELLED holds WAV files with a `.scv` beside each,
TALKERS recordings (anything soundfile reads) to mix babble from. All is band-limited to 300-3400 Hz at 8 kHz; noise stands
so far below the labelled speech. Prints F1 and false alarms over steps of 16 ms, and processor seconds per second.
Needs numpy, scipy, soundfile, onnxruntime, webrtcvad-wheels, silero-vad (its model file only).
"""

import importlib.util
import os
import pathlib
import subprocess
import sys
import tempfile
import time

os.environ.setdefault("OMP_NUM_THREADS", "1")

import numpy as np
import onnxruntime
import soundfile
import webrtcvad
from scipy import signal

RATE = 8_000
STEP_S = 0.016
CONDITIONS = [("clean", None), ("white", 20), ("white", 10), ("white", 5), ("babble", 20), ("babble", 10), ("babble", 5)]
TALKERS = 8
BAND = signal.butter(8, [300, 3400], "band", fs=RATE, output="sos")


def telephone(path):
    samples, rate = soundfile.read(path, dtype="float32", always_2d=True)
    return signal.sosfilt(BAND, signal.resample_poly(samples.mean(axis=1), RATE, rate))


def spans(path):
    fields = path.read_text().strip().split(",")[1:]
    return [(float(a), float(b)) for a, b, label in zip(fields[::3], fields[1::3], fields[2::3]) if label == "1"]


def truth_at(times, speech):
    return np.array([any(a <= t < b for a, b in speech) for t in times])


def babble(talkers, count, random):
    total = np.zeros(count)
    for _ in range(TALKERS):
        talker = talkers[random.integers(len(talkers))]
        total += np.resize(np.roll(talker, random.integers(len(talker))), count) / (talker.std() + 1e-9)
    return total


def webrtc(mode):
    def decide(samples):
        vad, frame = webrtcvad.Vad(mode), RATE // 50
        pcm = (np.clip(samples, -1, 1) * 32767).astype("<i2")
        decisions = [vad.is_speech(pcm[i : i + frame].tobytes(), RATE) for i in range(0, len(pcm) - frame, frame)]
        return (np.arange(len(decisions)) + 0.5) * 0.02, np.array(decisions)

    return decide


def silero():
    package = pathlib.Path(importlib.util.find_spec("silero_vad").origin).parent
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = options.inter_op_num_threads = 1
    session = onnxruntime.InferenceSession(str(package / "data" / "silero_vad.onnx"), options)

    def decide(samples):
        state, context, chances = np.zeros((2, 1, 128), np.float32), np.zeros(32, np.float32), []
        for i in range(0, len(samples) - 256, 256):
            window = np.concatenate([context, samples[i : i + 256]]).astype(np.float32)
            context = window[-32:]
            chance, state = session.run(None, {"input": window[None], "state": state, "sr": np.array(RATE)})
            chances.append(chance[0, 0])
        return (np.arange(len(chances)) + 0.5) * 0.032, np.array(chances) >= 0.5

    return decide


def main(program, labelled, talkers):
    random = np.random.default_rng(1)
    voices = [telephone(path) for path in sorted(talkers.iterdir())[:24] if path.suffix in (".wav", ".ogg", ".flac")]
    tools = {"webrtc 2": webrtc(2), "webrtc 3": webrtc(3), "silero": silero()}
    for kind, db in CONDITIONS:
        counts, cost_s, audio_s = {name: np.zeros(4) for name in tools}, dict.fromkeys(tools, 0.0), 0.0
        with tempfile.TemporaryDirectory() as folder:
            for path in sorted(labelled.glob("*.wav")):
                samples, speech = telephone(path), spans(path.with_suffix(".scv"))
                if db is not None:
                    noise = random.normal(size=len(samples)) if kind == "white" else babble(voices, len(samples), random)
                    noise = signal.sosfilt(BAND, noise)
                    power = np.mean(samples[truth_at(np.arange(len(samples)) / RATE, speech)] ** 2)
                    samples = samples + noise * np.sqrt(power / np.mean(noise**2) / 10 ** (db / 10))
                samples = samples / max(1.0, np.abs(samples).max())
                audio_s += len(samples) / RATE
                soundfile.write(pathlib.Path(folder) / path.name, samples, RATE, subtype="PCM_16")
                (pathlib.Path(folder) / path.with_suffix(".scv").name).write_text(path.with_suffix(".scv").read_text())
                steps = (np.arange(int(len(samples) / RATE / STEP_S)) + 0.5) * STEP_S
                truth = truth_at(steps, speech)
                for name, decide in tools.items():
                    began = time.process_time()
                    times, decisions = decide(samples)
                    cost_s[name] += time.process_time() - began
                    found = decisions[np.clip(np.searchsorted(times, steps), 0, len(times) - 1)]
                    pairs = [truth & found, ~truth & found, truth & ~found, ~truth & ~found]
                    counts[name] += [pair.sum() for pair in pairs]
            wavs = [str(path) for path in sorted(pathlib.Path(folder).glob("*.wav"))]
            own = subprocess.run([program, *wavs], check=True, capture_output=True, text=True).stdout.splitlines()[-1]
        print(f"{kind} {'' if db is None else db} in use: {own}")
        for name, (hits, alarms, misses, rejections) in counts.items():
            f1 = 2 * hits / (2 * hits + alarms + misses)
            print(f"  {name:9} F1 {f1:.3f} false alarms {alarms / (alarms + rejections):.3f} "
                  f"cost {cost_s[name] / audio_s:.5f}")


if __name__ == "__main__":
    main(sys.argv[1], pathlib.Path(sys.argv[2]), pathlib.Path(sys.argv[3]))
