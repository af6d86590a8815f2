"""The wide part: one weight per n-gram and output, learnt by linear support vector machines, one per output, over all corpora."""

import multiprocessing

import numpy
import scipy.sparse
from sklearn.svm import LinearSVC

from corpora import AMONG
from rows import GENRES, HEADS, OUTPUTS, STARTS

# Outputs are learnt side by side by so many processes.
PROCESSES = 2

# Cost of a text on the wrong side, times its weight; passes over the texts at most.
COST, PASSES_MAX, TOLERANCE = 0.5, 80, 1e-3
# While learning each genre has a bias of its own; what takes its place afterwards is learnt on the validation texts.
GENRE_VALUE = 0.5
# Labels that say little: who watched the series did not agree on emotions. What a label says of another head counts less.
TRUST = {("cped", "emotion"): 0.3}
DERIVED_TRUST = 0.5


class Wide:
    """Logits are `rows.grams @ weights + bias`; rows are binary n-grams over the square root of their number."""

    def __init__(self, columns):
        self.weights = numpy.zeros((columns, OUTPUTS), numpy.float32)
        self.bias = numpy.zeros(OUTPUTS, numpy.float32)

    def logits(self, grams):
        return (grams @ self.weights + self.bias).astype(numpy.float32)

    def fit(self, rows, seed):
        rarity = rarities(rows.grams)
        genres = numpy.zeros((len(rows), len(GENRES)))
        genres[numpy.arange(len(rows)), rows.genres] = GENRE_VALUE
        x = scipy.sparse.hstack([rows.grams @ scipy.sparse.diags(rarity), genres], format="csr", dtype=numpy.float64)
        civil, offensive = STARTS["offensive"], STARTS["offensive"] + 1
        # A fork shares the rows with the processes.
        with multiprocessing.get_context("fork").Pool(PROCESSES, share, (x, rows, seed)) as pool:
            for column, weights, bias in pool.imap_unordered(learnt, (c for c in range(OUTPUTS) if c != civil)):
                self.weights[:, column], self.bias[column] = weights[: len(rarity)] * rarity, bias
                print(f"wide part, output {column + 1} of {OUTPUTS}", flush=True)
        # Who does not offend is civil.
        self.weights[:, civil], self.bias[civil] = -self.weights[:, offensive], -self.bias[offensive]
        self.weights[0] = 0
        return self


def share(*given):
    """What the processes learn from: rows of features, the rows that they are of, a seed."""
    learnt.given = given


def learnt(column):
    """The output `column`, its weights and its bias."""
    x, rows, seed = learnt.given
    known = rows.among[:, column] > 0
    machine = LinearSVC(C=COST, tol=TOLERANCE, max_iter=PASSES_MAX, random_state=seed)
    machine.fit(x[known], rows.targets[known, column] > 0, (rows.among[:, column] * trust(rows.genres, column))[known])
    return column, machine.coef_[0], machine.intercept_[0]


def trust(genres, column):
    """How much the labels of each text count for `column`."""
    head = next(head for head, classes in HEADS.items() if STARTS[head] <= column < STARTS[head] + len(classes))
    by_genre = [
        TRUST.get((corpus, head), 1.0 if AMONG.get(corpus, (head,))[0] == head else DERIVED_TRUST) for corpus in GENRES
    ]
    return numpy.array(by_genre)[genres]


def rarities(grams):
    """How rare each n-gram is (inverse document frequency), such that rows have length 1 on average."""
    counts = numpy.bincount(grams.indices, minlength=grams.shape[1])
    rarity = numpy.log(grams.shape[0] / numpy.maximum(counts, 1)) * (counts > 0)
    return rarity / numpy.sqrt(numpy.average(rarity**2, weights=counts))
