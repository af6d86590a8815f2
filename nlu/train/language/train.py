"""Learns to tell Mandarin from English by a few seconds of speech, and writes the table and its card.

    python train.py SHARED_FOLDER WORK_FOLDER nlu/models PROGRAM

PROGRAM is `nlu/examples/language.rs`, built. A linear discriminant over the mean of the windows: within a language not
only speakers differ but corpora do, and what tells corpora apart is made to count for little (`CORPORA`).
"""

import pathlib
import struct
import subprocess
import sys

import numpy
from sklearn.linear_model import LogisticRegression

import spoken
import streams

TURNS = 3
# Speech after which is judged, seconds; after the last of them the program decides, and has listened to so much at least
# in tests, where a stream holds no more. As in nlu/src/language.rs, with the probability that is enough.
STAGES = (3.0, 6.0)
LEAST = (3.0, 4.0)
SURE = 0.9
VALUES = 570
# How much more the differences between corpora of a language count than those inside of one, and the share of all
# directions alike.
CORPORA = 3.0
SHRINKAGE = 0.5
DEVIATIONS_MAX = 3.0
RESAMPLES = 1000
DIGITS = {"zh": 0, "en": 1}


class Table:
    """Streams with the mean of their windows at each stage."""

    def __init__(self, meta, rows):
        self.corpora = numpy.array([corpus for corpus, _, _ in meta])
        self.speakers = numpy.array([speaker for _, speaker, _ in meta])
        self.turns = numpy.array([turn for _, _, turn in meta])
        self.english = numpy.array([DIGITS[spoken.LANGUAGES[corpus]] for corpus in self.corpora])
        self.means = numpy.zeros((len(STAGES), len(meta), VALUES))
        # Whether anything was heard by then, and whether that was as much as the program waits for.
        self.known = numpy.zeros(len(meta), bool)
        self.there = numpy.zeros((len(STAGES), len(meta)), bool)
        ends = numpy.searchsorted(rows[:, 0], numpy.arange(len(meta) + 1))
        for i in range(len(meta)):
            own = rows[ends[i] : ends[i + 1]]
            for stage, seconds in enumerate(STAGES):
                heard = own[own[:, 1] <= seconds]
                self.known[i] = len(heard) > 0
                self.there[stage, i] = len(heard) > 0 and own[-1, 1] >= LEAST[stage]
                if len(heard):
                    self.means[stage, i] = heard[:, 2:].mean(axis=0)


def heard(shared, work, program):
    """All streams, heard by the program."""
    work = pathlib.Path(work)
    (work / "wavs").mkdir(parents=True, exist_ok=True)
    by_corpus = spoken.load(shared, work)
    meta, paths = [], []
    for turn in range(TURNS):
        for corpus, speaker, samples in spoken.build(by_corpus, turn, turn > 0):
            paths.append(work / "wavs" / f"{len(paths):05}.wav")
            streams.write(paths[-1], samples)
            meta.append((corpus, speaker, turn))
    out = work / "values.f32"
    lines = "\n".join(str(path) for path in paths)
    subprocess.run([program, "--values", out], input=lines, text=True, check=True)
    return Table(meta, numpy.fromfile(out, "<f4").reshape(-1, 2 + VALUES))


def learn(table, stage, chosen):
    """Mean, deviation, weights and offset of a discriminant that knows the chosen streams."""
    chosen = chosen & table.known
    values, corpora, english = table.means[stage][chosen], table.corpora[chosen], table.english[chosen]
    mean, deviation = values.mean(axis=0), values.std(axis=0) + 1e-6
    scaled = numpy.clip((values - mean) / deviation, -DEVIATIONS_MAX, DEVIATIONS_MAX)
    centres = {corpus: scaled[corpora == corpus].mean(axis=0) for corpus in sorted(set(corpora))}
    inside = numpy.mean([numpy.cov(scaled[corpora == corpus].T, bias=True) for corpus in centres], axis=0)
    between, middles = numpy.zeros_like(inside), []
    for language in (0, 1):
        own = [centre for corpus, centre in centres.items() if english[corpora == corpus][0] == language]
        middles.append(numpy.mean(own, axis=0))
        between += sum(numpy.outer(centre - middles[-1], centre - middles[-1]) for centre in own) / len(own) / 2
    scatter = inside + CORPORA * between
    scatter = (1 - SHRINKAGE) * scatter + SHRINKAGE * numpy.trace(scatter) / VALUES * numpy.eye(VALUES)
    weights = numpy.linalg.solve(scatter, middles[1] - middles[0])
    return mean, deviation, weights, -weights @ (middles[0] + middles[1]) / 2


def scores(table, stage, model):
    mean, deviation, weights, offset = model
    scaled = numpy.clip((table.means[stage] - mean) / deviation, -DEVIATIONS_MAX, DEVIATIONS_MAX)
    return scaled @ weights + offset


def calibration(values, english, corpora):
    """Slope and offset that make scores log odds; each corpus counts alike, and so does each language."""
    weights = numpy.zeros(len(values))
    for corpus in set(corpora):
        weights[corpora == corpus] = 1 / (corpora == corpus).sum()
    for language in (0, 1):
        weights[english == language] /= weights[english == language].sum()
    fitted = LogisticRegression(C=1e6).fit(values[:, None], english, sample_weight=weights * len(values))
    return fitted.coef_[0, 0], fitted.intercept_[0]


def judge(table, stage):
    """Probabilities of English of the plain streams of each pair, by what has heard neither of its corpora, calibrated by
    the other pairs."""
    held = {}
    for name, pair in spoken.PAIRS.items():
        inside = numpy.isin(table.corpora, pair)
        test = inside & table.there[stage] & (table.turns == 0)
        held[name] = (test, scores(table, stage, learn(table, stage, ~inside))[test])
    told = {}
    for name, (test, values) in held.items():
        slope, offset = fit({other: own for other, own in held.items() if other != name}, table)
        told[name] = (test, 1 / (1 + numpy.exp(-(slope * values + offset))))
    return told, fit(held, table)


def fit(held, table):
    tests = [test for test, _ in held.values()]
    english = numpy.concatenate([table.english[test] for test in tests])
    corpora = numpy.concatenate([table.corpora[test] for test in tests])
    return calibration(numpy.concatenate([values for _, values in held.values()]), english, corpora)


def interval(right, speakers):
    """95 % interval of a share, by resampling speakers (streams where there is one speaker)."""
    random = numpy.random.default_rng(spoken.SEED)
    names = sorted(set(speakers))
    groups = [right[speakers == name] for name in names] if len(names) > 2 else [[one] for one in right]
    shares = []
    for _ in range(RESAMPLES):
        drawn = random.integers(0, len(groups), len(groups))
        shares.append(numpy.concatenate([groups[i] for i in drawn]).mean())
    return numpy.percentile(shares, [2.5, 97.5])


def lines(table, stage, told):
    """Rows of the card."""
    for name, (test, english) in told.items():
        for corpus in spoken.PAIRS[name]:
            own = table.corpora[test] == corpus
            if not own.any():
                continue
            truth = table.english[test][own]
            probability = numpy.where(truth == 1, english[own], 1 - english[own])
            right = probability >= 0.5
            low, high = interval(right, table.speakers[test][own])
            sure = numpy.maximum(probability, 1 - probability) >= SURE
            wrong = (~right & sure).mean()
            yield (
                f"| {corpus} ({spoken.LANGUAGES[corpus]}) | {name} | {own.sum()} | {len(set(table.speakers[test][own]))} | "
                f"{100 * right.mean():.0f} ({100 * low:.0f}-{100 * high:.0f}) | {100 * (right & sure).mean():.0f} | {100 * wrong:.0f} |"
            )


def together(table, told):
    """Balanced accuracy, expected calibration error, and shares of streams that are surely right and wrong: all pairs."""
    truth = numpy.concatenate([table.english[test] for test, _ in told.values()])
    english = numpy.concatenate([probability for _, probability in told.values()])
    balanced = numpy.mean([((english >= 0.5) == language)[truth == language].mean() for language in (0, 1)])
    probability = numpy.maximum(english, 1 - english)
    right = (english >= 0.5) == truth
    bins = numpy.clip(((probability - 0.5) * 20).astype(int), 0, 9)
    parts = [(bins == i) for i in range(10) if (bins == i).any()]
    error = sum(part.mean() * abs(right[part].mean() - probability[part].mean()) for part in parts)
    return balanced, error, right, probability


def main(shared, work, models, program):
    table = heard(shared, work, program)
    text = []
    for stage, seconds in enumerate(STAGES):
        told, (slope, offset) = judge(table, stage)
        balanced, error, right, probability = together(table, told)
        sure = probability >= SURE
        text += [
            f"\n## After {seconds:.0f} s of speech{', or as much as a stream has (4 s at least)' * stage}\n",
            f"Both languages alike: **{100 * balanced:.0f} %** of streams. Calibration error {100 * error:.0f} points. Sure "
            f"(from {SURE} on) in {100 * sure.mean():.0f} % of the streams, and then right in "
            f"{100 * right[sure].mean():.1f} %.\n",
            "| corpus | left out with | streams | speakers | right % (95 %) | surely right % | surely wrong % |",
            "|---|---|---|---|---|---|---|",
            *lines(table, stage, told),
        ]
    mean, deviation, weights, middle = learn(table, stage, numpy.ones(len(table.turns), bool))
    write(mean, deviation, slope * weights, slope * middle + offset, pathlib.Path(models))
    head = (pathlib.Path(__file__).resolve().parent / "card.md").read_text(encoding="utf-8")
    (pathlib.Path(models) / "language.md").write_text(head + "\n".join(text) + "\n", encoding="utf-8")
    print("\n".join(text))


def write(mean, deviation, weights, offset, models):
    """`language.bin`: the offset, and of each value its mean, deviation and weight."""
    out = struct.pack("<4sIf", b"LNG1", VALUES, offset)
    for numbers in zip(mean, deviation, weights):
        out += struct.pack("<3f", *numbers)
    (models / "language.bin").write_bytes(out)


if __name__ == "__main__":
    main(*sys.argv[1:])
