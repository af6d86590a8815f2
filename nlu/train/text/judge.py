"""How much each part counts, learnt on the validation texts; and the figures of the tests."""

from dataclasses import dataclass, replace

import numpy
import scipy.optimize
from scipy.special import softmax
from sklearn.metrics import confusion_matrix, f1_score

from corpora import AMONG, INTENTS, SERVICE
from rows import GENRES, HEADS, OUTPUTS, STARTS, probabilities

RESAMPLES, SEED, BINS = 500, 0, 10
UPSET = ("anger", "dissatisfaction")
# How far a genre's shares and biases go from the usual ones, about.
SPREAD = 0.5
# What the deep part's logits may count beside those of the wide part.
RATIOS = (0.0, 0.1, 0.3, 0.5, 1.0)
COMPLAINT = STARTS["intent"] + INTENTS.index("complaint")
THRESHOLDS = numpy.linspace(0.1, 0.9, 81)


def columns(head):
    return slice(STARTS[head], STARTS[head] + len(HEADS[head]))


@dataclass
class Mix:
    """How the parts make one logit, by genre; all are (GENRES, OUTPUTS).

    `wide` and `deep` are how much each part counts, `complaint` how much the logit of the intent to complain does.
    """

    wide: numpy.ndarray
    deep: numpy.ndarray
    complaint: numpy.ndarray
    bias: numpy.ndarray

    def probabilities(self, wide, deep):
        """(N, OUTPUTS) over all classes of each head: what every genre's mix says, as much as the deep part sees the genre."""
        genres = softmax(deep[:, OUTPUTS:], axis=1)
        found = numpy.zeros_like(wide)
        every = numpy.ones_like(wide)
        for genre in range(len(GENRES)):
            logits = self.wide[genre] * wide + self.deep[genre] * deep[:, :OUTPUTS] + self.bias[genre]
            logits = logits + self.complaint[genre] * logits[:, COMPLAINT, None]
            said = [probabilities(logits[:, columns(head)], every[:, columns(head)], head) for head in HEADS]
            found += genres[:, genre, None] * numpy.concatenate(said, axis=1)
        return found

    def alone(self, part):
        """The mix of which only one part is left."""
        return replace(self, **{other: numpy.zeros_like(self.wide) for other in ("wide", "deep") if other != part})


def learnt_mix(wide, deep, rows):
    """The mix that fits the validation texts.

    First one for all genres, under which they are likeliest; then each genre moves away from it, for the head that it is
    labelled for, as far as its texts are worth, and gives the deep part the share with the best macro-F1. Our own sentences
    are labelled for all heads, and who complains among them is upset; intents have one mix for all genres.
    """
    mix = Mix(*(numpy.zeros((len(GENRES), OUTPUTS), numpy.float32) for _ in range(4)))
    parts = Parts(wide, deep[:, :OUTPUTS], numpy.zeros(len(wide), numpy.float32), rows)
    for head in ("intent", *(head for head in HEADS if head != "intent")):
        at, count = columns(head), len(HEADS[head])
        start = numpy.concatenate([[1.0], numpy.zeros(2 * count)])
        scale, biases, complaint = numpy.split(numpy.arange(1 + 2 * count), (1, 1 + count))
        free = numpy.concatenate([scale, biases]) if head == "intent" else scale
        known = rows.among[:, at].any(axis=1)
        fits = [parts.likeliest(known, head, ratio, start, free, loose=1e3) for ratio in RATIOS]
        usual = min(fits, key=lambda fit: fit.unlikelihood)
        for genre, corpus in enumerate(GENRES):
            fit = usual
            if head != "intent" and AMONG.get(corpus, (head,))[0] == head:
                own = known & (rows.genres == genre)
                moved = numpy.concatenate([free, biases, complaint if corpus in SERVICE and head == "emotion" else []])
                fits = [parts.likeliest(own, head, ratio, usual.values, moved.astype(int), loose=1.0) for ratio in RATIOS]
                fit = max(fits, key=lambda fit: fit.macro_f1)
            mix.wide[genre, at], mix.deep[genre, at] = fit.values[0], fit.ratio * fit.values[0]
            mix.bias[genre, at], mix.complaint[genre, at] = fit.values[biases], fit.values[complaint]
        if head == "intent":
            logits = mix.wide[0] * parts.wide + mix.deep[0] * parts.deep + mix.bias[0]
            parts.complaint = logits[:, COMPLAINT]
    return mix


@dataclass
class Fit:
    """`values` (scale of both parts, biases, shares of the complaint), the deep part's share beside the wide one's, how good."""

    values: numpy.ndarray
    ratio: float
    unlikelihood: float
    macro_f1: float


@dataclass
class Parts:
    """What the parts say of the texts `rows`: `wide` and `deep` (N, OUTPUTS), the mixed logit of `complaint` (N)."""

    wide: numpy.ndarray
    deep: numpy.ndarray
    complaint: numpy.ndarray
    rows: object

    def likeliest(self, known, head, ratio, usual, free, loose):
        """`usual` values, the `free` ones of them moved by about `loose` as the texts `known` want."""
        at, count = columns(head), len(HEADS[head])
        both, complaint = self.wide[known, at] + ratio * self.deep[known, at], self.complaint[known, None]
        targets, among = self.rows.targets[known, at], self.rows.among[known, at] > 0

        def moved(by):
            values = usual.copy()
            values[free] += by
            return values

        def said(values):
            return probabilities(values[0] * both + values[1 : 1 + count] + values[1 + count :] * complaint, among, head)

        def unlikelihood(by):
            p = numpy.clip(said(moved(by)), 1e-6, 1 - 1e-6)
            right = targets * numpy.log(p) + (head == "intent") * (1 - targets) * numpy.log(1 - p)
            return -(right * among).sum() + (by**2).sum() / (2 * (loose * SPREAD) ** 2)

        best = scipy.optimize.minimize(unlikelihood, numpy.zeros(len(free)), method="L-BFGS-B")
        values = moved(best.x)
        return Fit(values, ratio, best.fun, macro_f1(targets.argmax(1), said(values).argmax(1)))


def intent_thresholds(found, rows):
    """For each intent the probability from which on calling it gives the best F1 on our own validation sentences."""
    own = rows.genres >= len(AMONG)
    best = []
    for column in range(STARTS["intent"], OUTPUTS):
        p, truth = found[own, column], rows.targets[own, column]
        f1 = [f1_score(truth, p >= threshold, zero_division=0) for threshold in THRESHOLDS]
        # The middle of those that are as good as the best.
        best.append(float(numpy.median(THRESHOLDS[numpy.array(f1) >= max(f1) - 1e-9])))
    return best


def corpora_of(rows):
    return numpy.array([text.corpus for text in rows.texts])


def judged(found, rows, corpus):
    """Truth, what was found, and its probability, for a corpus's own head among its own classes."""
    head = AMONG[corpus][0] if corpus in AMONG else "emotion"
    of_it = corpora_of(rows) == corpus
    among = rows.among[of_it, columns(head)]
    p = found[of_it, columns(head)] * (among > 0)
    p = p / p.sum(axis=1, keepdims=True)
    return rows.targets[of_it, columns(head)].argmax(1), p.argmax(1), p.max(1), HEADS[head]


def figures(truth, said, sure):
    random = numpy.random.default_rng(SEED)
    picks = [random.integers(0, len(truth), len(truth)) for _ in range(RESAMPLES)]
    measures = {"accuracy": accuracy, "macro_f1": macro_f1}
    result = {"texts": len(truth), "calibration_error": calibration_error(truth == said, sure)}
    for name, measure in measures.items():
        low, high = numpy.quantile([measure(truth[pick], said[pick]) for pick in picks], (0.025, 0.975))
        result[name], result[f"{name}_interval"] = measure(truth, said), (low, high)
    return result


def accuracy(truth, said):
    return float((truth == said).mean())


def macro_f1(truth, said):
    classes = numpy.unique(truth)
    return float(f1_score(truth, said, labels=classes, average="macro", zero_division=0))


def calibration_error(right, sure):
    """Expected difference between how sure and how often right, over ten bins."""
    bins = numpy.minimum((sure * BINS).astype(int), BINS - 1)
    parts = [(bins == b) for b in range(BINS) if (bins == b).any()]
    return float(sum(part.mean() * abs(right[part].mean() - sure[part].mean()) for part in parts))


def class_f1(truth, said, classes):
    return dict(zip(classes, f1_score(truth, said, labels=range(len(classes)), average=None, zero_division=0)))


def confusion(truth, said, classes):
    return confusion_matrix(truth, said, labels=range(len(classes)))


def upset(found, rows, corpus):
    """Anger or dissatisfaction against the rest: truth, found, how sure."""
    of_it = corpora_of(rows) == corpus
    at = [STARTS["emotion"] + HEADS["emotion"].index(name) for name in UPSET]
    p = found[of_it][:, at].sum(axis=1)
    truth = rows.targets[of_it][:, at].any(axis=1).astype(int)
    return truth, (p > 0.5).astype(int), numpy.maximum(p, 1 - p)


def intents(found, rows, corpus, thresholds):
    """F1 of each intent at its threshold."""
    of_it = corpora_of(rows) == corpus
    truth, p = rows.targets[of_it, columns("intent")], found[of_it, columns("intent")]
    each = zip(HEADS["intent"], truth.T, p.T, thresholds)
    return {name: float(f1_score(t, q >= threshold, zero_division=0)) for name, t, q, threshold in each}
