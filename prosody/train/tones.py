"""Makes a folder for `calmline eval pitch` out of tones: sines, and sums of few harmonics, steady and gliding.

    tones.py DIR [--count N] [--seed S]

Voices alone would teach the tracker to distrust a tone. `calmline eval pitch DIR --make` then makes the conditions.
"""

import argparse
import pathlib
import wave

import numpy as np

RATE, SECONDS, EDGE_S = 16_000, 3.0, 0.2


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("out", type=pathlib.Path)
    parser.add_argument("--count", type=int, default=24)
    parser.add_argument("--seed", type=int, default=1)
    args = parser.parse_args()

    rng = np.random.default_rng(args.seed)
    for folder in ("source", "truth"):
        (args.out / folder).mkdir(parents=True, exist_ok=True)
    time_s = np.arange(int(RATE * SECONDS)) / RATE
    for number in range(args.count):
        harmonics = int(rng.choice([1, 1, 2, 3, 5, 8]))
        # A lone low sine does not pass a telephone.
        low = 220 if harmonics == 1 else 62
        hz = np.exp(rng.uniform(np.log(low), np.log(590)))
        octaves = rng.choice([0, 0.15]) * np.sin(2 * np.pi * rng.uniform(0.2, 1.5) * time_s)
        contour = np.clip(hz * 2**octaves, 62, 595)
        phase = 2 * np.pi * np.cumsum(contour) / RATE
        sound = sum(rng.uniform(0.3, 1) * np.sin(k * phase + rng.uniform(0, 6)) for k in range(1, harmonics + 1))
        there = (time_s > EDGE_S) & (time_s < SECONDS - EDGE_S)
        sound = rng.uniform(0.05, 0.3) * there * sound / np.abs(sound).max() + 1e-5 * rng.normal(size=len(sound))
        with wave.open(str(args.out / "source" / f"tone-{number:02}.wav"), "wb") as out:
            out.setparams((1, 2, RATE, 0, "NONE", ""))
            out.writeframes((sound * 32767).astype("<i2").tobytes())
        with (args.out / "truth" / f"tone-{number:02}.csv").open("w") as out:
            out.write("time_s,f0_hz\n")
            step = RATE // 1000
            out.writelines(f"{t:.3f},{f:.3f}\n" for t, f in zip(time_s[::step], (contour * there)[::step]))


if __name__ == "__main__":
    main()
