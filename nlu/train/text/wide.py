"""The wide part: weights per n-gram, learnt by linear support vector machines whose n-grams are scaled by what they tell.

Each output has a machine over all corpora, and some have a second one over the corpora whose labels are surest: where
these differ from the rest, one weight per n-gram would be a compromise. After Wang and Manning, "Baselines and
Bigrams: Simple, Good Sentiment and Topic Classification", 2012.
"""

import multiprocessing
from dataclasses import dataclass
from zlib import crc32

import numpy
import scipy.sparse
import scipy.special
from sklearn.svm import LinearSVC

from corpora import AMONG, REVIEWS, SERVICE
from rows import GENRES, HEADS, OUTPUTS, STARTS

# Machines are learnt side by side by so many processes.
PROCESSES = 2
# Of our own sentences, each such part of the templates is judged once by machines that were not taught it.
FOLDS = 4

# Cost of a text on the wrong side, times its weight; passes over the texts at most.
COST, PASSES_MAX, TOLERANCE = 0.35, 80, 1e-3
# While learning each genre has a bias of its own; what takes its place afterwards is learnt on the validation texts.
GENRE_VALUE = 0.5
# Labels that say little: who watched the series did not agree on emotions. What a label says of another head counts less.
# Whether somebody is upset is asked of callers, and our own sentences are most like them.
TRUST = {("cped", "emotion"): 0.3} | {(corpus, "upset"): 2.0 for corpus in SERVICE}
DERIVED_TRUST = 0.5
# So many texts with an n-gram are made up, which are of each class as often as all texts: where it is scaled, and chosen.
DOUBT, DOUBT_CHOSEN = 1.0, 3.0
# Nothing is likelier than one less this.
SURE = 1e-4
# The logit of a genre that is known.
CERTAIN = 50
# Who does not offend is civil, and reviews are negative or positive: one machine tells both.
CIVIL, OFFENSIVE = STARTS["offensive"], STARTS["offensive"] + 1
NEGATIVE, POSITIVE = (STARTS["polarity"] + HEADS["polarity"].index(name) for name in ("negative", "positive"))


@dataclass(frozen=True)
class Machine:
    """One column of the table: the output it tells, the one of which it tells the contrary, the corpora it learns from."""

    output: int
    contrary: int | None = None
    corpora: tuple = GENRES

    @property
    def is_second(self):
        return self.corpora is not GENRES


MACHINES = (
    *(Machine(output, CIVIL if output == OFFENSIVE else None) for output in range(OUTPUTS) if output != CIVIL),
    Machine(POSITIVE, NEGATIVE, tuple(sorted(REVIEWS))),
    *(Machine(STARTS["emotion"] + at, None, ("smp2020_usual", "goemotions_ekman")) for at in range(len(HEADS["emotion"]))),
    Machine(STARTS["upset"], None, SERVICE),
)


def spread(second):
    """(MACHINES, OUTPUTS): what the first, or the second, machines say of each output."""
    found = numpy.zeros((len(MACHINES), OUTPUTS), numpy.float32)
    for column, machine in enumerate(MACHINES):
        if machine.is_second == second:
            found[column, machine.output] = 1
            if machine.contrary is not None:
                found[column, machine.contrary] = -1
    return found


class Wide:
    """What the machines say is `rows.grams @ weights + bias`; rows are binary n-grams over the square root of their number."""

    def __init__(self, columns):
        self.weights = numpy.zeros((columns, len(MACHINES)), numpy.float32)
        self.bias = numpy.zeros(len(MACHINES), numpy.float32)

    def logits(self, grams):
        """(N, OUTPUTS) of the first machines, and of the second ones."""
        said = (grams @ self.weights + self.bias).astype(numpy.float32)
        return said @ spread(second=False), said @ spread(second=True)

    def fit(self, rows, seed):
        """Learns from the training's `rows`, and who is upset from our own validation sentences among them, too."""
        for (column, _), weights, bias in learnt_each(rows, seed, [(column, None) for column in range(len(MACHINES))]):
            self.weights[:, column], self.bias[column] = weights, bias
            print(f"wide part, machine {column + 1} of {len(MACHINES)}", flush=True)
        self.weights[0] = 0
        return self


def held_out(rows, seed):
    """What the machines of being upset say of sentences of which they were taught neither the template nor another of it.

    Returns our own sentences among `rows`, and their parts as a mix takes them: (N, OUTPUTS) of the first machines, of the
    second ones, and (N, OUTPUTS + GENRES) in which the genre is sure and nothing else is said.
    """
    folds = folds_of(rows)
    own = rows.only(rows.own)
    parts = [numpy.zeros((len(own), width), numpy.float32) for width in (OUTPUTS, OUTPUTS, OUTPUTS + len(GENRES))]
    columns = [column for column, machine in enumerate(MACHINES) if machine.output == STARTS["upset"]]
    jobs = [(column, fold) for fold in range(FOLDS) for column in columns]
    for (column, fold), weights, bias in learnt_each(rows, seed, jobs):
        held = folds[rows.own] == fold
        part = parts[MACHINES[column].is_second]
        part[held, MACHINES[column].output] = own.grams[held] @ weights + bias
        print(f"wide part, machine {column + 1} without part {fold + 1} of {FOLDS}", flush=True)
    parts[-1][numpy.arange(len(own)), OUTPUTS + own.genres] = CERTAIN
    return own, parts


def folds_of(rows):
    """(N): the part of the templates that a sentence of ours is of, -1 for other texts."""
    templates = [text.labels.get("template") for text in rows.texts]
    return numpy.array([-1 if template is None else crc32(template.encode()) % FOLDS for template in templates])


def learnt_each(rows, seed, jobs):
    """For each (column, fold to leave out or `None`) in any order the machine's weights and bias."""
    # A fork shares the rows with the processes.
    with multiprocessing.get_context("fork").Pool(PROCESSES, share, (rows, seed)) as pool:
        yield from pool.imap_unordered(learnt, jobs)


def share(*given):
    """What the processes learn from: rows, and a seed."""
    learnt.given = given


def learnt(job):
    """The job, and the machine's weights and its bias."""
    (rows, seed), (column, left_out) = learnt.given, job
    if left_out is not None:
        rows = rows.only(folds_of(rows) != left_out)
    grams, genres, truth, weights = taught(rows, MACHINES[column])
    scale, _ = telling(grams, genres, truth, weights, DOUBT)
    places = numpy.zeros((len(genres), len(GENRES)))
    places[numpy.arange(len(genres)), genres] = GENRE_VALUE
    x = scipy.sparse.hstack([grams @ scipy.sparse.diags(scale), places], format="csr", dtype=numpy.float64)
    svm = LinearSVC(C=COST, tol=TOLERANCE, max_iter=PASSES_MAX, random_state=seed).fit(x, truth, weights)
    return job, svm.coef_[0][: len(scale)] * scale, svm.intercept_[0]


def most_telling(rows, kept):
    """Which columns of `rows.grams` tell most of any output: at most `kept`, ascending."""
    information = numpy.max([telling(*taught(rows, machine), DOUBT_CHOSEN)[1] for machine in MACHINES], axis=0)
    return numpy.sort(numpy.argsort(-information, kind="stable")[:kept])


def taught(rows, machine):
    """What `machine` learns from: n-grams, genres, truth, and the weight of each text."""
    of_it = numpy.isin(rows.genres, [GENRES.index(name) for name in machine.corpora])
    if machine.output != STARTS["upset"]:
        of_it &= numpy.array([text.part == "train" for text in rows.texts])
    known = (rows.among[:, machine.output] > 0) & of_it
    weights = rows.among[known, machine.output] * trust(rows.genres[known], machine.output)
    genres, truth = rows.genres[known], rows.targets[known, machine.output] > 0
    if machine.output == STARTS["upset"]:
        weights = balanced(weights, genres, truth)
    return rows.grams[known], genres, truth, weights


def balanced(weights, genres, truth):
    """The weights such that in each genre both truths weigh the same: how many are upset there says nothing of a caller."""
    weights = weights.copy()
    for genre in numpy.unique(genres):
        sides = [(genres == genre) & (truth == side) for side in (False, True)]
        sums = [weights[side].sum() for side in sides]
        if min(sums) > 0:
            for side, own in zip(sides, sums):
                weights[side] *= sum(sums) / 2 / own
    return weights


def telling(grams, genres, truth, weights, doubt):
    """How much each n-gram tells of `truth`, beyond what the genres it stands in tell.

    Returns the ratio of its odds to those expected, as a logarithm without sign, such that rows have length 1 on
    average; and its information, nats times texts.
    """
    there = scipy.sparse.csr_matrix((numpy.ones_like(grams.data), grams.indices, grams.indptr), grams.shape)
    of_genre = numpy.bincount(genres, weights, len(GENRES))
    usual = numpy.bincount(genres, weights * truth, len(GENRES)) / numpy.maximum(of_genre, 1e-9)
    count, found, expected = (there.T @ value for value in (weights, weights * truth, weights * usual[genres]))
    expected = (expected + doubt * numpy.average(truth, weights=weights)) / (count + doubt)
    found = (found + doubt * expected) / (count + doubt)
    expected, found = (numpy.clip(p, SURE, 1 - SURE) for p in (expected, found))
    ratio = numpy.abs(scipy.special.logit(found) - scipy.special.logit(expected))
    information = count * (found * numpy.log(found / expected) + (1 - found) * numpy.log((1 - found) / (1 - expected)))
    length = numpy.sqrt(numpy.average(ratio**2, weights=count))
    return ratio / length, information


def trust(genres, column):
    """How much the labels of each text count for `column`."""
    head = next(head for head, classes in HEADS.items() if STARTS[head] <= column < STARTS[head] + len(classes))
    by_genre = [
        TRUST.get((corpus, head), 1.0 if AMONG.get(corpus, (head,))[0] == head else DERIVED_TRUST) for corpus in GENRES
    ]
    return numpy.array(by_genre)[genres]
