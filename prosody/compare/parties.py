"""Draws what a party costs against the number of parties that take turns on one processor.

    cargo run --release -p prosody --example parties > parties.csv
    parties.py parties.csv OUT.svg
"""

import sys

import matplotlib

matplotlib.use("svg")
matplotlib.rcParams.update({"svg.hashsalt": "calmline", "svg.fonttype": "none"})
import matplotlib.pyplot as pyplot
import pandas

NAMES = {"pitch": "pitch", "rows": "all descriptors", "functionals": "descriptors, functionals every 0.5 s"}


def main(table, out):
    table = pandas.read_csv(table)
    figure, panel = pyplot.subplots(figsize=(7, 4), layout="constrained")
    for column, name in NAMES.items():
        panel.plot(table["parties"], table[column], marker="o", label=name)
    panel.set(xscale="log", ylim=(0, None), xlabel="parties that take turns", ylabel="ms of processor per second of audio")
    panel.set_xticks(table["parties"], table["parties"])
    panel.grid(alpha=0.3)
    panel.legend()
    figure.savefig(out, metadata={"Date": None})


if __name__ == "__main__":
    main(*sys.argv[1:])
