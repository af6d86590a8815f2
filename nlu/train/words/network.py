"""The network in JAX, and its loss: connectionist temporal classification (CTC) at its end and in its middle.

Energies of 100 frames per second become 25 steps per second. Each block looks 6 steps back and 2 ahead. What a syllable
weighs is the sum of its initial's, its final's and its own weights, so that rare syllables learn from the others.
"""

import jax
import jax.numpy as jnp
import numpy

from spectra import BANDS

WIDTH, BLOCKS, MIDDLE = 160, 6, 3
FRONT = 96
KERNEL, AHEAD = 9, 2
# Of the loss, the share of the head in the middle.
MIDDLE_SHARE = 0.3
DROPPED = 0.1


def fresh(tokens, seed=0):
    """Weights at their beginning."""
    dice = numpy.random.default_rng(seed)
    draw = lambda *shape: (dice.normal(0, 1, shape) / numpy.sqrt(numpy.prod(shape[:-1]))).astype(numpy.float32)
    zeros, ones = lambda *shape: numpy.zeros(shape, numpy.float32), lambda *shape: numpy.ones(shape, numpy.float32)
    weights = {
        "front1": draw(5 * BANDS, FRONT), "front1_bias": zeros(FRONT),
        "front2": draw(5 * FRONT, WIDTH), "front2_bias": zeros(WIDTH),
        "norm": ones(WIDTH), "norm_bias": zeros(WIDTH),
        "pieces": draw(WIDTH, len(tokens.pieces)), "pieces_bias": zeros(len(tokens.pieces)),
        "sounds": draw(WIDTH, len(tokens.pieces)) * 0.7, "own": draw(WIDTH, len(tokens.names)) * 0.1,
        "own_bias": zeros(len(tokens.names)),
    }
    for block in range(BLOCKS):
        weights |= {
            f"{block}/near": draw(KERNEL, WIDTH) * 0.8, f"{block}/near_bias": zeros(WIDTH),
            f"{block}/norm": ones(WIDTH), f"{block}/norm_bias": zeros(WIDTH),
            f"{block}/wide": draw(WIDTH, 2 * WIDTH), f"{block}/wide_bias": zeros(2 * WIDTH),
            f"{block}/back": draw(2 * WIDTH, WIDTH) * 0.3, f"{block}/back_bias": zeros(WIDTH),
        }
    return {name: jnp.asarray(value) for name, value in weights.items()}


def makeup(tokens):
    """Which initials, finals and letters make up each token, (pieces, tokens)."""
    made = numpy.zeros((len(tokens.pieces), len(tokens.names)), numpy.float32)
    for number in range(1, len(tokens.names)):
        made[tokens.to_pieces([number]), number] = 1.0
    made[0, 0] = 1.0
    return made


def head(weights, made):
    """The last layer's weights, (WIDTH, tokens)."""
    return weights["sounds"] @ made + weights["own"]


def logits(weights, made, values, key=None):
    """What is said at each step: (N, T/4, tokens), and in the middle (N, T/4, pieces)."""
    x = once(jax.nn.silu(strided(values, weights["front1"], weights["front1_bias"])))
    x = strided(x, weights["front2"], weights["front2_bias"])
    x = normal(x, weights["norm"], weights["norm_bias"])
    middle, drawn = None, jnp.ones((BLOCKS, 1, 1, 1))
    if key is not None:
        drawn = once(jax.random.bernoulli(key, 1 - DROPPED, (BLOCKS, x.shape[0], 1, 2 * WIDTH)).astype(jnp.float32) / (1 - DROPPED))
    for block in range(BLOCKS):
        if block == MIDDLE:
            middle = plus(x @ weights["pieces"], weights["pieces_bias"])
        of = lambda name: weights[f"{block}/{name}"]
        y = plus(near(x, of("near")), of("near_bias"))
        y = normal(y, of("norm"), of("norm_bias"))
        y = once(plus(y @ of("wide"), of("wide_bias")))
        y = once(jax.nn.silu(y) * drawn[block])
        x = once(x + plus(y @ of("back"), of("back_bias")))
    return plus(x @ head(weights, made), weights["own_bias"]), middle


# ---- what the compiler makes slow on a processor: sums over many rows, and the same reckoned again in every loop that needs it


@jax.custom_vjp
def once(x):
    """The same, reckoned once and kept, on the way there and back."""
    return jax.lax.optimization_barrier(x)


once.defvjp(lambda x: (jax.lax.optimization_barrier(x), None), lambda _, slope: (jax.lax.optimization_barrier(slope),))


def total(values):
    """The sum of all rows, as a product of matrices."""
    rows = jax.lax.optimization_barrier(values).reshape(-1, values.shape[-1])
    return (jnp.ones((1, rows.shape[0]), rows.dtype) @ rows)[0]


@jax.custom_vjp
def plus(x, bias):
    return x + bias


plus.defvjp(lambda x, bias: (x + bias, None), lambda _, slope: (slope, total(slope)))


@jax.custom_vjp
def times(x, scale):
    return x * scale


times.defvjp(lambda x, scale: (x * scale, (x, scale)), lambda kept, slope: (slope * kept[1], total(slope * kept[0])))


def strided(x, weights, bias):
    """A convolution over 5 frames, of which every second is kept."""
    padded = jnp.pad(x, ((0, 0), (2, 2), (0, 0)))
    count = x.shape[1] // 2
    window = [padded[:, shift : shift + 2 * count : 2] for shift in range(5)]
    return plus(jnp.concatenate(window, axis=2) @ weights, bias)


@jax.custom_vjp
def near(x, weights):
    """A convolution over steps for each channel by itself."""
    padded = jnp.pad(x, ((0, 0), (KERNEL - 1 - AHEAD, AHEAD), (0, 0)))
    return sum(padded[:, shift : shift + x.shape[1]] * weights[shift] for shift in range(KERNEL))


def near_back(kept, slope):
    """What `near` gives back: the convolution turned round, and for each shift a sum of products."""
    x, weights = kept
    count = x.shape[1]
    turned = jnp.pad(slope, ((0, 0), (AHEAD, KERNEL - 1 - AHEAD), (0, 0)))
    back = sum(turned[:, KERNEL - 1 - shift : KERNEL - 1 - shift + count] * weights[shift] for shift in range(KERNEL))
    padded = jnp.pad(x, ((0, 0), (KERNEL - 1 - AHEAD, AHEAD), (0, 0)))
    return back, jnp.stack([total(padded[:, shift : shift + count] * slope) for shift in range(KERNEL)])


near.defvjp(lambda x, weights: (near(x, weights), (x, weights)), near_back)


def normal(x, scale, bias):
    mean = x.mean(axis=-1, keepdims=True)
    variance = ((x - mean) ** 2).mean(axis=-1, keepdims=True)
    return plus(times((x - mean) * jax.lax.rsqrt(variance + 1e-5), scale), bias)


def ctc(scores, frames, numbers, counts):
    """Minus the logarithm of the probability of what was said, per utterance (Graves et al., 2006)."""
    logs = jax.nn.log_softmax(scores)
    batch, longest = numbers.shape
    extended = jnp.zeros((batch, 2 * longest + 1), jnp.int32).at[:, 1::2].set(numbers)
    emitted = jnp.take_along_axis(logs, extended[:, None, :].repeat(logs.shape[1], axis=1), axis=2)
    before = jnp.pad(extended, ((0, 0), (2, 0)))[:, :-2]
    may_skip = (extended != 0) & (extended != before)
    nothing = -1e9
    start = jnp.full(extended.shape, nothing).at[:, 0].set(0.0)

    def step(alpha, now):
        at, frame = now
        one = jnp.pad(alpha, ((0, 0), (1, 0)), constant_values=nothing)[:, :-1]
        two = jnp.where(may_skip, jnp.pad(alpha, ((0, 0), (2, 0)), constant_values=nothing)[:, :-2], nothing)
        first = jnp.where(at == 0, jnp.where(jnp.arange(alpha.shape[1]) < 2, 0.0, nothing), nothing)
        stepped = jnp.where(at == 0, first, jnp.logaddexp(jnp.logaddexp(alpha, one), two)) + frame
        return jnp.where((at < frames)[:, None], stepped, alpha), None

    alpha, _ = jax.lax.scan(step, start, (jnp.arange(logs.shape[1]), emitted.transpose(1, 0, 2)))
    ends = jnp.stack([2 * counts, jnp.maximum(2 * counts - 1, 0)], axis=1)
    last = jnp.take_along_axis(alpha, ends, axis=1)
    return -jnp.where(counts > 0, jnp.logaddexp(last[:, 0], last[:, 1]), last[:, 0])


def loss(weights, made, batch, key):
    values, frames, (numbers, counts), (pieces, piece_counts) = batch
    last, middle = logits(weights, made, values, key)
    whole = ctc(last, frames, numbers, counts)
    part = jnp.where(piece_counts > 0, ctc(middle, frames, pieces, piece_counts), 0.0)
    return (whole.sum() * (1 - MIDDLE_SHARE) + part.sum() * MIDDLE_SHARE) / jnp.maximum(counts.sum(), 1)


def middle_loss(weights, batch):
    """That of the head in the middle alone."""
    values, frames, _, (pieces, piece_counts) = batch
    _, middle = logits(weights, jnp.zeros((weights["pieces"].shape[1], weights["own"].shape[1])), values)
    return jnp.where(piece_counts > 0, ctc(middle, frames, pieces, piece_counts), 0.0).sum() / jnp.maximum(piece_counts.sum(), 1)
