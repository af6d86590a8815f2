"""Reports of several rounds as CSV: every round in `runs.csv`, the medians in `medians.csv` and on standard output."""

import csv
import glob
import json
import os
import statistics
import sys


def tabulate(folder, named, shown, by, figures):
    """Reads the reports `named[0]-named[1]-….json` in `folder`; the last of `named` is the round.

    `shown` are the same names in the order of the columns, the round last again; rows are sorted by the names `by`.
    `figures` maps a column to what it takes out of a report.
    """
    reports = []
    for path in glob.glob(os.path.join(folder, "-".join("*" * len(named)) + ".json")):
        values = os.path.basename(path)[:-len(".json")].split("-")
        place = {name: int(value) if value.isdigit() else value for name, value in zip(named, values)}
        with open(path) as file:
            report = json.load(file)
        reports.append((place, [of(report) for of in figures.values()]))
    reports.sort(key=lambda report: [report[0][name] for name in [*by, named[-1]]])

    groups = {}
    for place, values in reports:
        groups.setdefault(tuple(place[name] for name in shown[:-1]), []).append(values)
    medians = [[*key, f"median of {len(group)}", *(round(statistics.median(each), 4) for each in zip(*group))]
               for key, group in groups.items()]
    runs = [[*(place[name] for name in shown), *values] for place, values in reports]
    for name, rows in [("runs.csv", runs), ("medians.csv", medians)]:
        with open(os.path.join(folder, name), "w", newline="") as file:
            csv.writer(file).writerows([[*shown, *figures], *rows])
    csv.writer(sys.stdout, delimiter="\t").writerows([[*shown, *figures], *medians])
