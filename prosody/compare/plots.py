"""Draws every descriptor of the first 8 s of one recording, as `calmline analyze` tells them.

    plots.py CALMLINE RECORDING.wav OUT.svg
"""

import io
import subprocess
import sys

import matplotlib

matplotlib.use("svg")
matplotlib.rcParams.update({"svg.hashsalt": "calmline", "svg.fonttype": "none", "path.simplify_threshold": 1.0})
import matplotlib.pyplot as pyplot
import pandas

UNITS = {
    "alphaRatio": "dB", "hammarbergIndex": "dB", "slope0-500": "dB/Hz", "slope500-1500": "dB/Hz",
    "F0semitoneFrom27.5Hz": "semitones", "shimmerLocaldB": "dB", "HNRdBACF": "dB", "logRelF0-H1-H2": "dB",
    "logRelF0-H1-A3": "dB",
}


def main(program, recording, out):
    command = [program, "analyze", recording, "--features", "lld", "--csv"]
    table = pandas.read_csv(io.StringIO(subprocess.run(command, check=True, capture_output=True, text=True).stdout))
    table = table[table["start"] < 8]
    figure, panels = pyplot.subplots(9, 3, figsize=(12, 15), sharex=True, layout="constrained")
    for panel, name in zip(panels.flat, table.columns[3:]):
        short = name.rsplit("_", 1)[0]
        values = table[name].where(table[name] != 0) if name.endswith("nz") else table[name]
        unit = UNITS.get(short, "Hz" if short.endswith(("frequency", "bandwidth")) else "dB" if "amplitude" in short else "")
        panel.plot(table["start"], values, linewidth=0.8)
        panel.set_title(f"{short}{f', {unit}' if unit else ''}", fontsize=9)
        panel.tick_params(labelsize=7)
    for panel in panels.flat[25:]:
        panel.axis("off")
    figure.savefig(out, metadata={"Date": None})


if __name__ == "__main__":
    main(*sys.argv[1:])
