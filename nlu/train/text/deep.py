"""The deep part: embeddings, a convolution over three tokens, a Transformer over pairs, pooling, heads. In JAX.

Its outputs are those of all heads, and behind them which genre (corpus) the text is of.
"""

import functools

import jax
import jax.numpy as jnp
import numpy

from rows import DEEP_TOKENS_MAX, GENRES, OUTPUTS, STARTS

EMBEDDING, WIDTH, HEADS, INNER, LAYERS = 64, 96, 4, 192, 1
BATCH = 128
# In each epoch so many texts of a corpus at most, others every time: no corpus drowns the others.
CORPUS_MAX = 10_000
# Rows of a batch have about the same number of tokens, and are cut to one of these lengths.
LENGTHS = (16, 32, 48, DEEP_TOKENS_MAX)
TOKEN_DROP, DROP = 0.12, 0.3
RATE, WARM_STEPS, DECAY = 2e-3, 300, 0.02
# How much recognising the genre counts beside the heads.
GENRE_SHARE = 0.3
FIRST, SECOND = 0.9, 0.98
FAR = -1e9


def fresh(embedding, seed):
    """Weights for a vocabulary with `embedding` (V, EMBEDDING), by name."""
    random = numpy.random.default_rng(seed)

    def normal(*shape, scale=None):
        scale = shape[0] ** -0.5 if scale is None else scale
        return random.normal(0, scale, shape).astype(numpy.float32)

    weights = {
        "embedding": embedding,
        "convolution": normal(3 * EMBEDDING, WIDTH),
        "convolution_bias": numpy.zeros(WIDTH, numpy.float32),
        "place": normal(DEEP_TOKENS_MAX // 2, WIDTH, scale=0.02),
        "hidden": normal(2 * WIDTH, WIDTH),
        "hidden_bias": numpy.zeros(WIDTH, numpy.float32),
        "head": normal(WIDTH, OUTPUTS + len(GENRES)),
        "head_bias": numpy.zeros(OUTPUTS + len(GENRES), numpy.float32),
    }
    for layer in range(LAYERS):
        for name, shape in (("query", WIDTH), ("key", WIDTH), ("value", WIDTH), ("mixed", WIDTH)):
            weights[f"{name}_{layer}"] = normal(WIDTH, shape)
        weights[f"inner_{layer}"] = normal(WIDTH, INNER)
        weights[f"inner_bias_{layer}"] = numpy.zeros(INNER, numpy.float32)
        weights[f"outer_{layer}"] = normal(INNER, WIDTH)
        weights[f"outer_bias_{layer}"] = numpy.zeros(WIDTH, numpy.float32)
        for norm in ("before", "between"):
            weights[f"{norm}_scale_{layer}"] = numpy.ones(WIDTH, numpy.float32)
            weights[f"{norm}_shift_{layer}"] = numpy.zeros(WIDTH, numpy.float32)
    return weights


def logits(weights, ids, key=None):
    """`ids` (N, T) with 0 behind the end and T even -> (N, OUTPUTS + GENRES). With a `key`, dropout is on."""
    keys = [None] * 3 if key is None else list(jax.random.split(key, 3))
    there = (ids > 0).astype(jnp.float32)[..., None]
    if key is not None:
        ids = jnp.where(jax.random.bernoulli(keys[0], TOKEN_DROP, ids.shape), jnp.minimum(ids, 1), ids)
    x = weights["embedding"][ids] * there
    x = jnp.concatenate([jnp.pad(x, ((0, 0), (1, 0), (0, 0)))[:, :-1], x, jnp.pad(x, ((0, 0), (0, 1), (0, 0)))[:, 1:]], 2)
    x = jax.nn.relu(x @ weights["convolution"] + weights["convolution_bias"])
    x = jnp.max((x * there).reshape(len(ids), -1, 2, WIDTH), 2)
    there = jnp.max(there.reshape(len(ids), -1, 2), 2)
    x = x + weights["place"][: x.shape[1]]
    for layer in range(LAYERS):
        x = x + attention(weights, layer, norm(weights, "before", layer, x), there)
        inner = jax.nn.relu(norm(weights, "between", layer, x) @ weights[f"inner_{layer}"] + weights[f"inner_bias_{layer}"])
        x = x + inner @ weights[f"outer_{layer}"] + weights[f"outer_bias_{layer}"]
    mean = (x * there[..., None]).sum(1) / jnp.maximum(there.sum(1), 1)[:, None]
    most = jnp.max(jnp.where(there[..., None] > 0, x, -10.0), 1)
    x = dropped(jnp.concatenate([mean, most], 1), keys[1])
    x = dropped(jax.nn.relu(x @ weights["hidden"] + weights["hidden_bias"]), keys[2])
    return x @ weights["head"] + weights["head_bias"]


def dropped(x, key):
    return x if key is None else x * jax.random.bernoulli(key, 1 - DROP, x.shape) / (1 - DROP)


def norm(weights, name, layer, x):
    x = x - x.mean(-1, keepdims=True)
    x = x / jnp.sqrt((x * x).mean(-1, keepdims=True) + 1e-5)
    return x * weights[f"{name}_scale_{layer}"] + weights[f"{name}_shift_{layer}"]


def attention(weights, layer, x, there):
    split = lambda y: y.reshape(*y.shape[:2], HEADS, WIDTH // HEADS).transpose(0, 2, 1, 3)
    query, key, value = (split(x @ weights[f"{name}_{layer}"]) for name in ("query", "key", "value"))
    score = query @ key.transpose(0, 1, 3, 2) * (WIDTH // HEADS) ** -0.5
    score = jax.nn.softmax(score + FAR * (1 - there)[:, None, None, :])
    return (score @ value).transpose(0, 2, 1, 3).reshape(x.shape) @ weights[f"mixed_{layer}"]


def loss(weights, ids, targets, among, genres, key):
    """Weighted cross entropy: a softmax per head among the classes the label chose from, a logistic per intent."""
    found, genre = jnp.split(logits(weights, ids, key), [OUTPUTS], 1)
    starts = [start for head, start in STARTS.items() if start and head != "upset"]
    total = -GENRE_SHARE * jnp.take_along_axis(jax.nn.log_softmax(genre), genres[:, None], 1).sum()
    for z, t, a in zip(*(jnp.split(part, starts, 1) for part in (found[:, : starts[-1]], targets, among))):
        if z.shape[1]:
            total -= (a * t * jax.nn.log_softmax(jnp.where(a > 0, z, FAR))).sum()
    z, t, a = (part[:, starts[-1] :] for part in (found, targets, among))
    total += (a * (jnp.logaddexp(0, z) - t * z)).sum()
    return total / len(ids)


@functools.partial(jax.jit, donate_argnums=(0, 1, 2))
def step(weights, first, second, ids, targets, among, genres, key, rate, count):
    """One step of Adam with weight decay on matrices."""
    value, gradient = jax.value_and_grad(loss)(weights, ids, targets, among, genres, key)

    def moved(w, g, m, v):
        m, v = FIRST * m + (1 - FIRST) * g, SECOND * v + (1 - SECOND) * g * g
        change = m / (1 - FIRST**count) / (jnp.sqrt(v / (1 - SECOND**count)) + 1e-8)
        return w - rate * (change + (DECAY * w if w.ndim > 1 else 0)), m, v

    new = {name: moved(weights[name], gradient[name], first[name], second[name]) for name in weights}
    return *({name: parts[i] for name, parts in new.items()} for i in range(3)), value


def batches(ids, genres, random):
    """Row numbers of batches of nearly equal length, in random order, and the length of each."""
    order = random.permutation(len(ids))
    order = numpy.concatenate([order[genres[order] == genre][:CORPUS_MAX] for genre in range(len(GENRES))])
    lengths = (ids > 0).sum(1)
    # Rows of about the same length go together; the jitter makes other batches every time.
    order = order[numpy.argsort(lengths[order] + random.random(len(order)) * 4, kind="stable")]
    groups = [order[at : at + BATCH] for at in range(0, len(order) - BATCH + 1, BATCH)]
    for group in random.permutation(len(groups)):
        longest = lengths[groups[group]].max()
        yield groups[group], next(length for length in LENGTHS if length >= longest)


def fit(rows, embedding, seed, epochs, after=lambda epoch, weights: None):
    """Weights after `epochs`, over which the rate falls."""
    random = numpy.random.default_rng(seed)
    weights = {name: jnp.asarray(value) for name, value in fresh(embedding, seed).items()}
    first, second = ({name: jnp.zeros_like(value) for name, value in weights.items()} for _ in range(2))
    texts = numpy.minimum(numpy.bincount(rows.genres), CORPUS_MAX).sum()
    key, count, steps = jax.random.key(seed), 0, epochs * (texts // BATCH)
    for epoch in range(epochs):
        for chosen, length in batches(rows.ids, rows.genres, random):
            count += 1
            key, now = jax.random.split(key)
            rate = RATE * min(count / WARM_STEPS, 0.02 + 0.98 * (1 - count / steps))
            ids, own = rows.ids[chosen, :length], (rows.targets[chosen], rows.among[chosen], rows.genres[chosen])
            weights, first, second, _ = step(weights, first, second, ids, *own, now, rate, float(count))
        after(epoch, weights)
    return {name: numpy.asarray(value) for name, value in weights.items()}


run = jax.jit(logits)


def judged(weights, ids):
    """Logits (N, OUTPUTS + GENRES) of many rows, by parts of nearly equal length."""
    found = numpy.zeros((len(ids), OUTPUTS + len(GENRES)), numpy.float32)
    lengths = (ids > 0).sum(1)
    for low, high in zip((0, *LENGTHS), LENGTHS):
        chosen = numpy.flatnonzero((lengths > low) & (lengths <= high) | ((low == 0) & (lengths == 0)))
        for at in range(0, len(chosen), 512):
            part = chosen[at : at + 512]
            padded = numpy.zeros((512, high), numpy.int32)
            padded[: len(part)] = ids[part, :high]
            found[part] = numpy.asarray(run(weights, padded))[: len(part)]
    return found
