"""What tokens mean before anything is labelled: which others stand near them (positive pointwise mutual information, SVD).

After Levy and Goldberg, "Neural Word Embedding as Implicit Matrix Factorization", 2014.
"""

import numpy
import scipy.sparse
from sklearn.utils.extmath import randomized_svd

from deep import EMBEDDING

# Neighbours up to so many tokens away; how common neighbours are counts by this power.
WINDOW, POWER = 3, 0.75
# Spread of the values, and of those of tokens without neighbours.
SPREAD = 0.3


def learnt(ids, tokens, seed):
    """(V, EMBEDDING) from `ids` (N, T), 0 behind the end."""
    near = scipy.sparse.csr_matrix((tokens, tokens), dtype=numpy.float32)
    for distance in range(1, WINDOW + 1):
        before, after = ids[:, :-distance].ravel(), ids[:, distance:].ravel()
        there = (before > 0) & (after > 0)
        ones = numpy.full(there.sum(), 1 / distance, numpy.float32)
        near += scipy.sparse.coo_matrix((ones, (before[there], after[there])), (tokens, tokens)).tocsr()
    near = (near + near.T).tocoo()
    counts = numpy.asarray(near.sum(axis=1)).ravel()
    usual = counts**POWER / (counts**POWER).sum()
    information = numpy.log(near.data / counts[near.row] / usual[near.col])
    kept = information > 0
    matrix = scipy.sparse.csr_matrix((information[kept], (near.row[kept], near.col[kept])), (tokens, tokens))
    left, strength, _ = randomized_svd(matrix, EMBEDDING, n_iter=3, random_state=seed)
    found = left * numpy.sqrt(strength)
    random = numpy.random.default_rng(seed).normal(0, SPREAD, found.shape)
    return numpy.where(counts[:, None] > 0, found / found.std() * SPREAD, random).astype(numpy.float32)
