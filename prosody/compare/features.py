"""Values of Praat and openSMILE for a folder of `calmline eval features`.

    features.py DIR

Writes DIR/values/TOOL/CONDITION.csv: jitter (local, %), shimmer (local, dB), harmonics-to-noise ratio (dB) and medians of
formants 1-3 (Hz), per signal. `calmline eval features DIR` then shows them beside its own. Means of openSMILE's
descriptors are over the hops in which it tells one. Signals of which only other values are known are passed over. Prints
the processor seconds per second of audio of each.
"""

import csv
import os
import pathlib
import sys
import time

for variable in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"):
    os.environ.setdefault(variable, "1")

import numpy as np
import opensmile
import parselmouth
import soundfile
from parselmouth.praat import call

NAMES = ("jitter", "shimmer", "hnr", "formant1", "formant2", "formant3")
LOWEST_HZ, HIGHEST_HZ = 60, 600
SMILE_JITTER, SMILE_SHIMMER, SMILE_HNR, SMILE_FORMANTS = 11, 12, 13, (16, 19, 22)


def praat(samples, rate_hz):
    sound = parselmouth.Sound(samples.astype(np.float64), rate_hz)
    pulses = call(sound, "To PointProcess (periodic, cc)", LOWEST_HZ, HIGHEST_HZ)
    harmonicity = sound.to_harmonicity_cc(minimum_pitch=LOWEST_HZ).values
    pitch = sound.to_pitch_ac(pitch_floor=LOWEST_HZ, pitch_ceiling=HIGHEST_HZ)
    # Five formants below 5,500 Hz as Praat advises; at 8 kHz four below half the rate.
    formants = sound.to_formant_burg(max_number_of_formants=5 if rate_hz > 8_000 else 4, maximum_formant=min(5_500, rate_hz / 2))
    voiced = [t for t, hz in zip(pitch.xs(), pitch.selected_array["frequency"]) if hz > 0]
    medians = [np.nanmedian([formants.get_value_at_time(i, t) for t in voiced] or [np.nan]) for i in (1, 2, 3)]
    heard = harmonicity[harmonicity > -199]
    return [
        100 * call(pulses, "Get jitter (local)", 0, 0, 0.0001, 0.02, 1.3),
        call([sound, pulses], "Get shimmer (local_dB)", 0, 0, 0.0001, 0.02, 1.3, 1.6),
        heard.mean() if len(heard) else np.nan,
        *medians,
    ]


def smile():
    level = opensmile.FeatureLevel.LowLevelDescriptors
    extractor = opensmile.Smile(feature_set=opensmile.FeatureSet.eGeMAPSv02, feature_level=level)

    def values(samples, rate_hz):
        told = extractor.process_signal(samples, rate_hz).to_numpy()
        there = [told[told[:, i] != 0, i] for i in (SMILE_JITTER, SMILE_SHIMMER, SMILE_HNR, *SMILE_FORMANTS)]
        means = [values.mean() if len(values) else np.nan for values in there[:3]]
        medians = [np.median(values) if len(values) else np.nan for values in there[3:]]
        return [100 * means[0], *means[1:], *medians]

    return values


def main(data):
    folders = sorted(path for path in data.iterdir() if path.is_dir() and path.name.split("-")[0] in ("wide", "tel"))
    if not folders:
        raise SystemExit(f"expected a folder of `calmline eval features --make` in {data}, found none")
    with (data / "truth.csv").open() as file:
        known = {row["signal"] for row in csv.DictReader(file) if any(row.get(name) for name in NAMES)}
    for name, tool in {"Praat": praat, "openSMILE": smile()}.items():
        cpu_s = audio_s = 0.0
        for folder in folders:
            out = data / "values" / name / f"{folder.name}.csv"
            out.parent.mkdir(parents=True, exist_ok=True)
            with out.open("w", newline="") as file:
                writer = csv.writer(file)
                writer.writerow(("signal", *NAMES))
                for wav in sorted(path for path in folder.glob("*.wav") if path.stem in known):
                    samples, rate_hz = soundfile.read(wav, dtype="float32")
                    began = time.process_time()
                    values = tool(samples, rate_hz)
                    cpu_s += time.process_time() - began
                    audio_s += len(samples) / rate_hz
                    writer.writerow((wav.stem, *("" if np.isnan(value) else f"{value:.6g}" for value in values)))
        print(f"{name}: {cpu_s / audio_s:.5f} CPU seconds per second over {audio_s:.0f} s of audio")


if __name__ == "__main__":
    main(pathlib.Path(sys.argv[1]))
