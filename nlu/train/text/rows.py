"""Texts as the numbers that the network reads: ids of tokens, ids of n-grams, targets per head."""

from collections import Counter
from dataclasses import dataclass
from zlib import crc32

import numpy
import scipy.sparse

from corpora import AMONG, EMOTIONS, INTENTS, KNOWN, OFFENSIVE, POLARITY, SERVICE, UPSET
from tokens import grams, tokenize

# What is said of a head: its name, its classes, and where they stand among the outputs.
HEADS = {"polarity": POLARITY, "emotion": EMOTIONS, "offensive": OFFENSIVE, "intent": INTENTS, "upset": UPSET}
# Heads whose classes may go together, each a yes or no; they stand last.
SEVERAL = ("intent", "upset")
OUTPUTS = sum(map(len, HEADS.values()))
# Where a text comes from: the deep part recognises it, and what each part says counts by it.
GENRES = (*AMONG, *SERVICE)
STARTS = dict(zip(HEADS, numpy.cumsum([0, *map(len, HEADS.values())])))
# Tokens that the deep part reads; the n-grams are of all.
DEEP_TOKENS_MAX = 96
TOKENS_KEPT, TOKEN_COUNT_MIN = 12_000, 4
# Rarer n-grams are left out; of the others so many are kept that tell most.
GRAM_COUNT_MIN, GRAMS_KEPT = 2, 250_000
# Words that are not in the vocabulary share so many rows.
UNKNOWN = 256
# A corpus of this size has weight 1; larger ones count less per text, smaller ones more, by the square root.
EVEN_SIZE, WEIGHTS = 15_000, (0.6, 4.0)
# What a label says of another head than its own counts less.
DERIVED = 0.3


class Vocabulary:
    """Tokens and n-grams of the training texts that are common enough. Row 0 is no token and no n-gram."""

    def __init__(self, tokenized):
        counts, gram_counts = Counter(), Counter()
        for tokens, hashes in tokenized:
            counts.update(tokens)
            gram_counts.update(hashes)
        kept = [token for token, count in counts.most_common(TOKENS_KEPT) if count >= TOKEN_COUNT_MIN]
        self.tokens = {token: 1 + UNKNOWN + index for index, token in enumerate(sorted(kept))}
        common = [gram for gram, count in gram_counts.items() if count >= GRAM_COUNT_MIN]
        self.grams = numpy.array(sorted(common), numpy.uint32)

    def keep(self, grams):
        """Leaves all n-grams out but those at the positions `grams`, ascending."""
        self.grams = self.grams[grams]

    def token_ids(self, tokens):
        return [self.tokens.get(t) or 1 + crc32(t.encode()) % UNKNOWN for t in tokens[:DEEP_TOKENS_MAX]]

    def gram_ids(self, hashes):
        """Positions among the kept n-grams, from 1; others are left out."""
        hashes = numpy.asarray(hashes, numpy.uint32)
        at = numpy.minimum(numpy.searchsorted(self.grams, hashes), len(self.grams) - 1)
        return (at[self.grams[at] == hashes] + 1).astype(numpy.int32)


@dataclass
class Rows:
    """`ids` (N, DEEP_TOKENS_MAX), `grams` (N, G) sparse with 1/sqrt(n), `targets` and `among` (N, OUTPUTS), `genres` (N)."""

    texts: list
    ids: numpy.ndarray
    grams: scipy.sparse.csr_matrix
    targets: numpy.ndarray
    among: numpy.ndarray
    genres: numpy.ndarray

    def __len__(self):
        return len(self.ids)

    def only(self, known):
        """The rows for which `known` (N) is true."""
        arrays = (self.ids[known], self.grams[known], self.targets[known], self.among[known], self.genres[known])
        return Rows([self.texts[row] for row in numpy.flatnonzero(known)], *arrays)

    def joined(self, others):
        """These rows, and behind them `others`."""
        pair = lambda name: (getattr(self, name), getattr(others, name))
        arrays = (numpy.concatenate(pair(name)) for name in ("targets", "among", "genres"))
        return Rows(
            self.texts + others.texts, numpy.concatenate(pair("ids")), scipy.sparse.vstack(pair("grams"), "csr"), *arrays
        )

    @property
    def own(self):
        """(N): whether a text is one of our own sentences."""
        return self.genres >= len(AMONG)


def tokenized(texts):
    found = []
    for text in texts:
        tokens = tokenize(text.text)
        found.append((tokens, grams(tokens)))
    return found


def build(texts, tokenized, vocabulary):
    ids = numpy.zeros((len(texts), DEEP_TOKENS_MAX), numpy.int32)
    columns, ends, values = [], [0], []
    for row, (tokens, hashes) in enumerate(tokenized):
        found = vocabulary.token_ids(tokens)
        ids[row, : len(found)] = found
        known = vocabulary.gram_ids(hashes)
        columns.append(known)
        values.append(numpy.full(len(known), max(len(known), 1) ** -0.5, numpy.float32))
        ends.append(ends[-1] + len(known))
    shape = (len(texts), len(vocabulary.grams) + 1)
    sparse = scipy.sparse.csr_matrix((numpy.concatenate(values), numpy.concatenate(columns), ends), shape)
    targets, among = labelled(texts)
    genres = numpy.array([GENRES.index(text.corpus) for text in texts])
    return Rows(texts, ids, sparse, targets, among, genres)


def labelled(texts):
    """`targets` (N, OUTPUTS): 1 for what is so; `among` (N, OUTPUTS): the weight of the classes the label chose among."""
    targets = numpy.zeros((len(texts), OUTPUTS), numpy.float32)
    among = numpy.zeros((len(texts), OUTPUTS), numpy.float32)
    sizes = Counter(text.corpus for text in texts)
    for row, text in enumerate(texts):
        weight = numpy.clip(numpy.sqrt(EVEN_SIZE / sizes[text.corpus]), *WEIGHTS)
        own = AMONG.get(text.corpus)
        for head, classes in HEADS.items():
            said = text.labels.get(head)
            if said is None:
                continue
            is_own = own is None or own[0] == head
            for name in own[1] if own and is_own else KNOWN.get((text.corpus, head), classes):
                among[row, STARTS[head] + classes.index(name)] = weight * (1 if is_own else DERIVED)
            for name in said if head in SEVERAL else [said]:
                targets[row, STARTS[head] + classes.index(name)] = 1
    return targets, among


def probabilities(logits, among, head):
    """Of one head; classes that are not chosen among get 0."""
    if head in SEVERAL:
        return 1 / (1 + numpy.exp(-numpy.clip(logits, -30, 30)))
    raised = numpy.exp(logits - logits.max(axis=1, keepdims=True)) * (among > 0)
    return raised / numpy.maximum(raised.sum(axis=1, keepdims=True), 1e-9)
