"""Descriptors and functionals of `calmline analyze` beside openSMILE's eGeMAPSv02, on the same recordings.

    descriptors.py CALMLINE FOLDER [--clips N]
    descriptors.py --names > prosody/tests/golden/opensmile-names.txt

FOLDER holds WAV files (8 or 16 kHz), e.g. a condition of `calmline eval pitch`. Prints per column Pearson's correlation
and both means, then what both cost (processor seconds per second of audio, one thread, same files, same run). Functionals
are of the last 3 s every 0.5 s on both sides, as on a live call; openSMILE has to be run anew for each window.
Windows: openSMILE's 20 ms begin at the stamp, ours are centred on the hop that begins there. So ours gets the recording
without its first 5 ms, and is shifted by two hops where openSMILE's window is 60 ms. What only a voice has is compared
where both hear one and agree on its pitch within 5 %.
"""

import argparse
import io
import os
import pathlib
import resource
import subprocess
import tempfile
import time

for variable in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"):
    os.environ.setdefault(variable, "1")

import numpy as np
import opensmile
import pandas
import soundfile

PITCH = 10
EDGE = 10
LONG_WINDOW_HOPS = 2
WINDOW_S, STEP_S = 3.0, 0.5


def smile(level):
    return opensmile.Smile(feature_set=opensmile.FeatureSet.eGeMAPSv02, feature_level=level)


def table(program, wav, *arguments):
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    command = [program, "analyze", str(wav), "--csv", "--features", *arguments]
    text = subprocess.run(command, check=True, capture_output=True, text=True).stdout
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    cost_s = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
    return pandas.read_csv(io.StringIO(text)).iloc[:, 3:].to_numpy(), cost_s


def paired(theirs, ours, column):
    """The values of one column where they can be compared."""
    shift = LONG_WINDOW_HOPS if column in (PITCH, 13, 14, 15) or column > 15 else 0
    ours = ours[shift:]
    count = min(len(theirs), len(ours))
    theirs, ours = theirs[EDGE : count - EDGE], ours[EDGE : count - EDGE]
    there = np.ones(len(ours), bool)
    if column >= PITCH:
        there = (ours[:, PITCH] > 0) & (theirs[:, PITCH] > 0) & (np.abs(ours[:, PITCH] - theirs[:, PITCH]) < 0.85)
        there &= (ours[:, column] != 0) & (theirs[:, column] != 0) & (theirs[:, column] > -200)
    return theirs[there, column], ours[there, column]


def report(names, pairs):
    for name, (theirs, ours) in zip(names, pairs):
        r = np.corrcoef(theirs, ours)[0, 1] if len(theirs) > 2 else np.nan
        print(f"{name:48} r {r:6.3f}  openSMILE {theirs.mean():10.4g}  calmline {ours.mean():10.4g}  n {len(ours)}")


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("program", nargs="?")
    parser.add_argument("folder", type=pathlib.Path, nargs="?")
    parser.add_argument("--clips", type=int, default=60)
    parser.add_argument("--names", action="store_true")
    args = parser.parse_args()

    descriptors = smile(opensmile.FeatureLevel.LowLevelDescriptors)
    functionals = smile(opensmile.FeatureLevel.Functionals)
    if args.names:
        print(*descriptors.feature_names, *functionals.feature_names, sep="\n")
        return
    if args.folder is None:
        parser.error("expected CALMLINE and FOLDER, or --names")
    all_wavs = sorted(args.folder.glob("*.wav"))
    wavs = all_wavs[:: max(1, len(all_wavs) // args.clips)][: args.clips]
    rows, windows = [], []
    cost_s = {"openSMILE descriptors": 0.0, "openSMILE functionals": 0.0, "calmline descriptors and functionals": 0.0}
    audio_s = 0.0
    with tempfile.TemporaryDirectory() as folder:
        cut = pathlib.Path(folder) / "cut.wav"
        for wav in wavs:
            samples, rate = soundfile.read(wav, dtype="int16")
            soundfile.write(cut, samples[rate // 200 :], rate, subtype="PCM_16")
            signal = (samples / 32768.0).astype(np.float32)
            audio_s += len(signal) / rate
            began = time.process_time()
            theirs = descriptors.process_signal(signal, rate).to_numpy()
            cost_s["openSMILE descriptors"] += time.process_time() - began
            began = time.process_time()
            for end in np.arange(STEP_S, len(signal) / rate, STEP_S):
                functionals.process_signal(signal[int(max(end - WINDOW_S, 0.0) * rate) : int(end * rate)], rate)
            cost_s["openSMILE functionals"] += time.process_time() - began
            rows.append((theirs, table(args.program, cut, "lld")[0]))
            ours, _ = table(args.program, cut, "functionals")
            windows.append((functionals.process_signal(signal, rate).to_numpy()[0], ours[0]))
            _, cost = table(args.program, cut, "functionals", "--window-s", "3")
            cost_s["calmline descriptors and functionals"] += cost

    print(f"{len(wavs)} recordings of {args.folder.name}, {audio_s:.0f} s\n\ndescriptors")
    pairs = [[np.concatenate(side) for side in zip(*(paired(t, o, i) for t, o in rows))] for i in range(25)]
    report(descriptors.feature_names, pairs)
    print("\nfunctionals of whole recordings")
    theirs, ours = (np.array(side) for side in zip(*windows))
    report(functionals.feature_names, zip(theirs.T, ours.T))
    print("\nprocessor seconds per second of audio (calmline: with starting the program and reading the file)")
    for name, seconds in cost_s.items():
        print(f"{name:40} {seconds / audio_s:.5f}")


if __name__ == "__main__":
    main()
