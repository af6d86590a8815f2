"""docs/PROSODY-TABLES.md, from what `all` has left in a folder.

    tables.py OUT

Prints Markdown: pitch by tool and condition (synthetic voices, human speech), the cells of the wide band in which ours is
not the best, tools of the consensus judged by the others, values of voice, tract, rhythm and line by tool and condition, descriptors beside openSMILE's.
"""

import collections
import csv
import pathlib
import re
import sys

OURS = "calmline"
TOOLS = [OURS, "swift-f0", "praat-cc", "praat-ac", "rapt", "opensmile", "swipe", "dio"]
WIDE_PEERS = ["praat-ac", "praat-cc", "rapt", "swift-f0"]
# Further below the best than this is no rounding, percent.
TIE = 0.05


TITLE = """# Prosody beside public tools

Made by `prosody/compare/all OUT SHARED_DATA`, not by hand. What the words mean, and what is to be said of it:
[PROSODY.md](PROSODY.md). `w`, `b`: white noise, babble, dB below the voice; `tel`: 8 kHz, 300-3400 Hz, A-law unless another
codec is named; `loss5`: 5 % of the packets lost and concealed. CPU: processor seconds per second of 8 kHz audio (ours: over
both rates)."""


def rows(path):
    with path.open() as file:
        return list(csv.DictReader(file))


def in_order(values):
    return list(dict.fromkeys(values))


def line(cells):
    print("| " + " | ".join(cells) + " |")


def head(cells):
    line(cells)
    print("|" + "---|" * len(cells))


def costs(folder, table):
    """Processor seconds per second of audio, over the telephone's conditions; ours, over all, as it was told last."""
    found = {}
    for path in folder.glob("tracks/*/cost.csv"):
        last = {condition: float(cost) for condition, cost in csv.reader(path.open())}
        narrow = [cost for condition, cost in last.items() if condition.startswith("tel")]
        found[path.parent.name] = sum(narrow) / len(narrow)
    own = re.findall(rf"^{OURS}: ([0-9.]+) CPU", table.read_text(), re.MULTILINE)
    return found | {OURS: float(own[-1])}


def pitch(title, table, kind, cost):
    kinds = [row for row in table if row["kind"] == kind]
    cells = {(row["tool"], row["condition"]): row for row in kinds}
    conditions = in_order(row["condition"] for row in kinds)
    tools = [tool for tool in TOOLS if (tool, conditions[0]) in cells]
    for band in ("wide", "tel"):
        ours = [condition for condition in conditions if condition.startswith(band)]
        for what in ("GPE / FFE, %", "fine error, cents"):
            print(f"\n## {title}, {band}: {what}\n")
            head(["", "CPU s/s", *(condition.removeprefix(f"{band}-") for condition in ours)])
            for tool in tools:
                figures = [cells[tool, condition] for condition in ours]
                if what.startswith("GPE"):
                    told = [f"{float(row['gpe_percent']):.1f}/{float(row['ffe_percent']):.1f}" for row in figures]
                else:
                    told = [f"{float(row['fine_cents']):.1f}" for row in figures]
                line([tool, f"{cost[tool]:.4f}".lstrip("0"), *told])


def behind(title, table, kind):
    """Cells of the wide band in which the best of the peers is ahead."""
    kinds = [row for row in table if row["kind"] == kind and row["condition"].startswith("wide")]
    cells = {(row["tool"], row["condition"]): row for row in kinds}
    conditions = in_order(row["condition"] for row in kinds)
    told = []
    for condition in conditions:
        for figure, name, tie in (("gpe_percent", "GPE", TIE), ("ffe_percent", "FFE", TIE), ("fine_cents", "fine", 0.5)):
            best = min(WIDE_PEERS, key=lambda tool: float(cells[tool, condition][figure]))
            own, other = float(cells[OURS, condition][figure]), float(cells[best, condition][figure])
            if own > other + tie:
                told.append(f"{condition} {name} {own:.1f} ({best} {other:.1f})")
    print(f"\n{title}, wide, of {3 * len(conditions)} figures behind the best of {', '.join(WIDE_PEERS)}: "
          f"{len(told)}: {', '.join(told) or 'none'}.")


def by_others(out):
    """Each tool of the consensus on human speech, and ours, by what the other two agree on (`others.py`)."""
    paths = sorted(out.glob("others-*.csv"))
    if not paths:
        return
    print("\n## Human speech, wide, each tool of the consensus judged by the other two alone: GPE / FFE, % / fine error, cents\n")
    told = {}
    for path in paths:
        table = [row for row in rows(path) if row["kind"] == "contours"]
        peer = path.stem.removeprefix("others-")
        for row in table:
            figures = f"{float(row['gpe_percent']):.1f}/{float(row['ffe_percent']):.1f}/{float(row['fine_cents']):.1f}"
            told.setdefault((peer, row["tool"]), {})[row["condition"]] = figures
    conditions = in_order(condition for figures in told.values() for condition in figures)
    head(["by the others than", "", *(condition.removeprefix("wide-") for condition in conditions)])
    for (peer, tool), figures in sorted(told.items(), key=lambda item: (item[0][0], item[0][1] == OURS)):
        line([peer, tool, *(figures.get(condition, "") for condition in conditions)])


def features(table):
    cells = collections.defaultdict(dict)
    for row in table:
        r = f"{float(row['correlation']):.2f}, " if row["correlation"] else ""
        digits = 0 if row["unit"] == "Hz" else 2
        cells[row["value"], row["unit"], row["tool"]][row["condition"]] = f"{r}{float(row['error']):.{digits}f}"
    conditions = in_order(row["condition"] for row in table)
    print("\n## Values by tool and condition: correlation with the truth, mean error\n")
    head(["", "", *conditions])
    for (value, unit, tool), told in cells.items():
        line([f"{value}{f', {unit}' if unit else ''}", tool, *(told.get(condition, "") for condition in conditions)])


def beside_opensmile(out):
    """Correlations of `descriptors.py` in both bands."""
    print("\n## Descriptors of human speech: correlation with openSMILE's, and both means\n")
    head(["", "wide", "openSMILE", "calmline", "tel", "openSMILE", "calmline"])
    found = collections.defaultdict(list)
    for band in ("wide", "tel"):
        text = (out / f"descriptors-{band}.txt").read_text().split("\nfunctionals")[0]
        for name, r, theirs, ours in re.findall(r"^(\S+) +r +(\S+) +openSMILE +(\S+) +calmline +(\S+)", text, re.MULTILINE):
            found[name] += [r, theirs, ours]
    for name, told in found.items():
        line([f"`{name}`", *told])


def main(out):
    print(TITLE)
    for title, folder in (("Synthetic voices", "pitch"), ("Human speech", "human")):
        path = out / f"{folder}.csv"
        if path.exists():
            table, cost = rows(path), costs(out / folder, out / f"{folder}.txt")
            pitch(title, table, "contours", cost)
            behind(title, table, "contours")
            if any(row["kind"] == "phrases" for row in table):
                pitch("Synthetic phrases", table, "phrases", cost)
                behind("Synthetic phrases", table, "phrases")
    by_others(out)
    features(rows(out / "features.csv"))
    beside_opensmile(out)


if __name__ == "__main__":
    main(pathlib.Path(sys.argv[1]))
