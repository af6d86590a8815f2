"""How much each part counts, learnt on the validation texts; and the figures of the tests."""

from dataclasses import dataclass

import numpy
import scipy.optimize
from scipy.special import softmax
from sklearn.metrics import confusion_matrix, f1_score

from corpora import AMONG, SERVICE
from rows import GENRES, HEADS, OUTPUTS, SEVERAL, STARTS, probabilities

RESAMPLES, SEED, BINS = 500, 0, 10
# How far a genre's shares and biases go from the usual ones, about.
SPREAD = 0.5
# What makes a logit: the first machines of the wide part, its second ones, and the deep part.
PARTS = ("first", "second", "deep")
DEEP = PARTS.index("deep")
# Heads that one class of is named, of rare ones too; polarities are seldom rare.
MOVED = ("emotion", "offensive")
THRESHOLDS = numpy.linspace(0.1, 0.9, 81)
# Decision offsets that are tried, class by class, in so many rounds; an offset of 1 has to gain so much.
OFFSETS, OFFSET_ROUNDS, OFFSET_COST = numpy.linspace(-1.5, 1.5, 31), 2, 0.02


def columns(head):
    return slice(STARTS[head], STARTS[head] + len(HEADS[head]))


@dataclass
class Mix:
    """How the parts make one logit, by genre: `shares` (PARTS, GENRES, OUTPUTS) of what they say, and `bias` (GENRES, OUTPUTS)."""

    shares: numpy.ndarray
    bias: numpy.ndarray

    def probabilities(self, *parts):
        """(N, OUTPUTS) over all classes of each head: what every genre's mix says, as much as the deep part sees the genre."""
        genres = softmax(parts[-1][:, OUTPUTS:], axis=1)
        found = numpy.zeros((len(genres), OUTPUTS), numpy.float32)
        every = numpy.ones_like(found)
        for genre in range(len(GENRES)):
            logits = self.bias[genre] + sum(share[genre] * part[:, :OUTPUTS] for share, part in zip(self.shares, parts))
            said = [probabilities(logits[:, columns(head)], every[:, columns(head)], head) for head in HEADS]
            found += genres[:, genre, None] * numpy.concatenate(said, axis=1)
        return found


def learnt_mix(parts, rows, held):
    """The mix under which the validation texts are likeliest; `parts` say (N, OUTPUTS) or more of them.

    First one for all genres; then each genre moves away from it, for the head that its texts are labelled for, as far as
    they are worth. For intents there is one mix for all genres; for being upset that of our own sentences, from which each
    language moves away, learnt on `held` (rows, parts), which are many more than those of the validation. But for intents
    the deep part says no more than the genre: the rest that it says made the validation's F1 lower.
    """
    mix = Mix(numpy.zeros((len(PARTS), len(GENRES), OUTPUTS), numpy.float32), numpy.zeros((len(GENRES), OUTPUTS), numpy.float32))
    validation = rows, parts
    for head in HEADS:
        rows, parts = held if head == "upset" else validation
        at, free = columns(head), numpy.ones(len(PARTS) + len(HEADS[head]))
        known = rows.among[:, at].any(axis=1)
        start = numpy.zeros_like(free)
        start[0] = 1
        # What is common in one genre is rare in another: where one class excludes others, there are no common biases.
        free[DEEP], free[DEEP + 1 :] = head == "intent", head in SEVERAL
        usual = likeliest(parts, rows, known, head, start, free, loose=1e3)
        for genre, corpus in enumerate(GENRES):
            own = known & (rows.genres == genre)
            values = usual
            if moves(corpus, head):
                moved = numpy.ones_like(free)
                moved[DEEP] = 0
                values = likeliest(parts, rows, own, head, usual, moved, loose=1.0)
            mix.shares[:, genre, at] = values[: len(PARTS), None]
            mix.bias[genre, at] = values[len(PARTS) :]
    return mix


def moves(corpus, head):
    """Whether the texts of `corpus` are labelled for `head` such that its mix may be their own."""
    return corpus in SERVICE if head == "upset" else head not in SEVERAL and head_of(corpus, head) == head


def likeliest(parts, rows, known, head, usual, free, loose):
    """`usual` values (shares, biases), the `free` ones moved by about `loose` as the texts `known` want."""
    at = columns(head)
    each = numpy.stack([part[known, at] for part in parts])
    targets, among = rows.targets[known, at], rows.among[known, at] > 0
    weights = evened(targets) if head == "upset" else numpy.ones((len(targets), 1))

    def unlikelihood(by):
        values = usual + by * free
        logits = numpy.tensordot(values[: len(PARTS)], each, 1) + values[len(PARTS) :]
        said = probabilities(logits, among, head)
        p = numpy.clip(said, 1e-6, 1 - 1e-6)
        right = targets * numpy.log(p) + (head in SEVERAL) * (1 - targets) * numpy.log(1 - p)
        # Both kinds of head have this gradient by their logits.
        wrong = (said - targets) * among * weights
        gradient = numpy.concatenate([(each * wrong).sum(axis=(1, 2)), wrong.sum(axis=0)]) * free
        spread = loose * SPREAD
        return -(right * among * weights).sum() + (by**2).sum() / (2 * spread**2), gradient + by / spread**2

    return usual + scipy.optimize.minimize(unlikelihood, numpy.zeros(len(usual)), jac=True, method="L-BFGS-B").x * free


def evened(targets):
    """Weights (N, 1), on average 1, under which as many are upset as are not: three of four are in our own sentences, which
    says nothing of callers, and would make every neutral one likelier to be upset."""
    return numpy.where(targets > 0, 0.5 / max(targets.mean(), 1e-9), 0.5 / max(1 - targets.mean(), 1e-9))


@dataclass
class Naming:
    """What decides which class is named, beside the probabilities: it does not move them.

    `offsets` (OUTPUTS) are added to the logarithms before the greatest of a head is taken; `intents` and `upset` are the
    probabilities from which on these are found.
    """

    offsets: numpy.ndarray
    intents: list
    upset: float


def learnt_naming(found, rows, held_found, held_rows):
    """Intents by the validation's own sentences, being upset by those held out, as if as many were upset as are not."""
    own, upset = rows.own, STARTS["upset"]
    intents = [threshold(found[own, at], rows.targets[own, at]) for at in range(*columns("intent").indices(OUTPUTS))]
    truth = held_rows.targets[:, upset]
    return Naming(decision_offsets(found, rows), intents, threshold(held_found[:, upset], truth, evened(truth)))


def threshold(p, truth, weights=None):
    """The probability from which on calling it gives the best F1."""
    f1 = [f1_score(truth, p >= at, sample_weight=weights, zero_division=0) for at in THRESHOLDS]
    # The middle of those that are as good as the best.
    return float(numpy.median(THRESHOLDS[numpy.array(f1) >= max(f1) - 1e-9]))


def corpora_of(rows):
    return numpy.array([text.corpus for text in rows.texts])


def judged(found, rows, corpus, offsets):
    """Truth, the class that is named, its probability, and the classes: of a corpus's own head among its own classes."""
    head = head_of(corpus)
    of_it = corpora_of(rows) == corpus
    among = rows.among[of_it, columns(head)]
    p = found[of_it, columns(head)] * (among > 0)
    p = p / p.sum(axis=1, keepdims=True)
    named = (p * numpy.exp(offsets[columns(head)])).argmax(1)
    return rows.targets[of_it, columns(head)].argmax(1), named, p[numpy.arange(len(p)), named], HEADS[head]


def head_of(corpus, otherwise="emotion"):
    return AMONG[corpus][0] if corpus in AMONG else otherwise


def decision_offsets(found, rows):
    """What is added to the logarithm of each class's probability before the greatest is named: (OUTPUTS), 0 where several
    may go together. Chosen for the mean macro-F1 over the corpora of the head."""
    best = numpy.zeros(OUTPUTS)
    for head in HEADS:
        corpora = [corpus for corpus in GENRES if head_of(corpus) == head and head in MOVED]
        if not corpora:
            continue

        def score(offsets):
            each = [macro_f1(*judged(found, rows, corpus, offsets)[:2]) for corpus in corpora]
            return numpy.mean(each) - OFFSET_COST * numpy.abs(offsets).mean()

        at = range(*columns(head).indices(OUTPUTS))
        for _ in range(OFFSET_ROUNDS):
            for column in at:
                tried = []
                for offset in OFFSETS:
                    moved = best.copy()
                    moved[column] = offset
                    tried.append((score(moved), -abs(offset), moved))
                best = max(tried, key=lambda one: one[:2])[2]
    return best


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


def upset(found, rows, corpus, threshold):
    """Whether the speaker is upset: truth, and what is found from `threshold` on."""
    of_it = corpora_of(rows) == corpus
    at = STARTS["upset"]
    return rows.targets[of_it, at].astype(int), (found[of_it, at] >= threshold).astype(int)


def intents(found, rows, corpus, thresholds):
    """F1 of each intent at its threshold."""
    of_it = corpora_of(rows) == corpus
    truth, p = rows.targets[of_it, columns("intent")], found[of_it, columns("intent")]
    each = zip(HEADS["intent"], truth.T, p.T, thresholds)
    return {name: float(f1_score(t, q >= threshold, zero_division=0)) for name, t, q, threshold in each}
