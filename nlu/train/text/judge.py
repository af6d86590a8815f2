"""How much each part counts, learnt on the validation texts; and the figures of the tests."""

import numpy
import scipy.optimize
from sklearn.metrics import confusion_matrix, f1_score

from corpora import AMONG
from rows import HEADS, STARTS, probabilities

RESAMPLES, SEED, BINS = 500, 0, 10
UPSET = ("anger", "dissatisfaction")


def columns(head):
    return slice(STARTS[head], STARTS[head] + len(HEADS[head]))


def shares(wide, deep, rows):
    """Per head how much the wide and the deep logits count: those under which the validation texts are likeliest."""
    found = numpy.zeros((2, wide.shape[1]), numpy.float32)
    for head in HEADS:
        at = columns(head)
        known = rows.among[:, at].any(axis=1)
        parts, targets, among = (wide[known, at], deep[known, at]), rows.targets[known, at], rows.among[known, at]

        def unlikelihood(pair):
            p = numpy.clip(probabilities(pair[0] * parts[0] + pair[1] * parts[1], among, head), 1e-6, 1 - 1e-6)
            said = targets * numpy.log(p) + (head == "intent") * (1 - targets) * numpy.log(1 - p)
            return -(said * among).sum() / len(p)

        best = scipy.optimize.minimize(unlikelihood, (0.5, 0.5), method="Nelder-Mead", options={"maxiter": 120})
        found[:, at] = numpy.maximum(best.x, 0)[:, None]
    return found


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


def intents(found, rows, corpus):
    """F1 of each intent at 0.5."""
    of_it = corpora_of(rows) == corpus
    truth, p = rows.targets[of_it, columns("intent")], found[of_it, columns("intent")]
    each = zip(HEADS["intent"], truth.T, p.T)
    return {name: float(f1_score(t, q > 0.5, zero_division=0)) for name, t, q in each}


def mixed(wide, deep, share):
    """Probabilities of both parts together, over all classes of each head."""
    logits = share[0] * wide + share[1] * deep
    every = numpy.ones_like(logits)
    return numpy.concatenate([probabilities(logits[:, columns(h)], every[:, columns(h)], h) for h in HEADS], axis=1)
