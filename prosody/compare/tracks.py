"""Runs the public pitch trackers over a folder of `calmline eval pitch` and leaves their tracks there.

    tracks.py DIR [TOOL ...]

Writes DIR/tracks/TOOL/CONDITION/SIGNAL.csv and DIR/tracks/TOOL/cost.csv (processor seconds per second of audio, one
thread, by condition). What is there already is kept.
"""

import csv
import os
import pathlib
import sys
import time

for variable in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"):
    os.environ.setdefault(variable, "1")

import soundfile

import trackers


def write(path, times, f0):
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("w") as out:
        out.write("time_s,f0_hz\n")
        out.writelines(f"{t:.5f},{f:.3f}\n" for t, f in zip(times, f0))


def main(data, wanted):
    tools = trackers.all_of_them()
    folders = sorted(p for p in data.iterdir() if p.is_dir() and p.name.split("-")[0] in ("wide", "tel"))
    for name, track in tools.items():
        if wanted and name not in wanted:
            continue
        costs = []
        for folder in folders:
            cpu_s = audio_s = 0.0
            for wav in sorted(folder.glob("*.wav")):
                out = data / "tracks" / name / folder.name / f"{wav.stem}.csv"
                if out.exists():
                    continue
                samples, rate = soundfile.read(wav, dtype="float32")
                began = time.process_time()
                times, f0 = track(samples, rate)
                cpu_s += time.process_time() - began
                audio_s += len(samples) / rate
                write(out, times, f0)
            if audio_s:
                costs.append((folder.name, cpu_s / audio_s))
        if costs:
            with (data / "tracks" / name / "cost.csv").open("a", newline="") as out:
                csv.writer(out).writerows(costs)
        print(name, "done", flush=True)


if __name__ == "__main__":
    main(pathlib.Path(sys.argv[1]), set(sys.argv[2:]))
