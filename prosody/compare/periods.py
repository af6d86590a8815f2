"""Jitter and shimmer of voices whose periods are known, by calmline, Praat and openSMILE.

    periods.py CALMLINE FOLDER

FOLDER is one of `cargo run --release -p prosody --example irregular_voices -- FOLDER 100`. Prints per band and tool the
correlation with the truth and the mean absolute error.
"""

import csv
import io
import pathlib
import subprocess
import sys

import numpy as np
import opensmile
import pandas
import parselmouth
import soundfile
from parselmouth.praat import call

JITTER, SHIMMER = 11, 12


def voiced_means(table):
    return [table[table[:, i] != 0, i].mean() for i in (JITTER, SHIMMER)]


def ours(program, wav):
    command = [program, "analyze", str(wav), "--features", "lld", "--csv"]
    text = subprocess.run(command, check=True, capture_output=True, text=True).stdout
    return voiced_means(pandas.read_csv(io.StringIO(text)).iloc[:, 3:].to_numpy())


def praat(wav):
    sound = parselmouth.Sound(str(wav))
    pulses = call(sound, "To PointProcess (periodic, cc)", 60, 600)
    jitter = call(pulses, "Get jitter (local)", 0, 0, 0.0001, 0.02, 1.3)
    return [jitter, call([sound, pulses], "Get shimmer (local_dB)", 0, 0, 0.0001, 0.02, 1.3, 1.6)]


def main(program, folder):
    smile = opensmile.Smile(
        feature_set=opensmile.FeatureSet.eGeMAPSv02, feature_level=opensmile.FeatureLevel.LowLevelDescriptors
    )
    tools = {
        "calmline": lambda wav: ours(program, wav),
        "Praat": praat,
        "openSMILE": lambda wav: voiced_means(smile.process_signal(*soundfile.read(wav, dtype="float32")).to_numpy()),
    }
    rows = list(csv.DictReader((folder / "truth.csv").open()))
    truth = np.array([[float(row["jitter"]), float(row["shimmer_db"])] for row in rows])
    for band in ("wide", "tel"):
        for name, tool in tools.items():
            told = np.array([tool(folder / f"{band}-{int(row['number']):03}.wav") for row in rows])
            figures = []
            for i in range(2):
                known = ~np.isnan(told[:, i])
                r = np.corrcoef(truth[known, i], told[known, i])[0, 1]
                figures += [r, np.abs(truth[known, i] - told[known, i]).mean()]
            print(f"{band:5} {name:10} jitter r {figures[0]:.3f} error {100 * figures[1]:.3f} %  "
                  f"shimmer r {figures[2]:.3f} error {figures[3]:.3f} dB")


if __name__ == "__main__":
    main(sys.argv[1], pathlib.Path(sys.argv[2]))
