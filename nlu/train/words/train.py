"""Trains the recogniser: `python train.py SHARED WORK [STEPS [SECONDS]]` leaves WORK/weights.npz.

Where time is short, SECONDS ends it: the rate falls with the time that has passed. Weights that lie there as WORK/begun.npz
are gone on from, at two thirds of the rate and with other utterances than they were taught with; where they have no head in
the middle (those of `begun.py`), that one is taught first. WORK/average.npz is the mean of the weights of the last steps.
"""

import functools
import pathlib
import queue
import sys
import threading
import time
import zlib

import jax
import jax.numpy as jnp
import numpy

import network
import recordings
import spectra
from mixture import Mixture
from tokens import Tokens

ROOT = pathlib.Path(__file__).resolve().parents[3]
STEPS, WARM = 10_000, 80
RATE, DECAY, CLIP = 3e-3, 0.01, 1.0
# Of the way down that the rate goes, where it begins when something has been learnt before.
BEGUN = 0.4
# Steps of a head in the middle that is taught alone, and their rate.
ALONE, ALONE_RATE = 150, 5e-3
# What is kept at each step of the mean of the last weights.
KEPT = 0.997
LOOK_EVERY = 200
AHEAD = 8


def main(shared, work, steps, seconds):
    jax.config.update("jax_compilation_cache_dir", str(work / "compiled"))
    jax.config.update("jax_persistent_cache_min_compile_time_secs", 1)
    tokens = Tokens()
    made = jnp.asarray(network.makeup(tokens))
    weights, first, seed = network.fresh(tokens), 0.0, 3
    learnt = {}
    if (work / "begun.npz").exists():
        seed, first = zlib.crc32((work / "begun.npz").read_bytes()) % 1_000_000, BEGUN
        learnt = {name: jnp.asarray(value) for name, value in numpy.load(work / "begun.npz").items()}
    weights |= learnt
    print(f"{sum(value.size for value in weights.values())} weights", flush=True)
    batches = ahead_of(Mixture(ROOT, shared, work, tokens, seed).batches())
    heard = between(work, tokens)
    print(errors(weights, made, heard), flush=True)
    if learnt and "pieces" not in learnt:
        weights = middle_taught(weights, batches)
    moments = [jax.tree.map(jnp.zeros_like, weights) for _ in range(2)]
    average = jax.tree.map(jnp.array, weights)
    begun, running = time.time(), None
    for number in range(steps):
        done = first + (1 - first) * max(number / steps, (time.time() - begun) / seconds)
        if done >= 1:
            break
        weights, moments, average, value = step(weights, moments, average, made, next(batches), seed + number, number, done)
        running = float(value) if running is None else 0.98 * running + 0.02 * float(value)
        if number % 20 == 0:
            print(f"{number} {time.time() - begun:.0f} s loss {running:.3f}", flush=True)
        if (number + 1) % LOOK_EVERY == 0:
            keep(work, weights, average)
            print(number + 1, errors(weights, made, heard), "average", errors(average, made, heard), flush=True)
    keep(work, weights, average)
    print(errors(weights, made, heard), "average", errors(average, made, heard), flush=True)


def keep(work, weights, average):
    numpy.savez(work / "weights.npz", **weights)
    numpy.savez(work / "average.npz", **average)


def middle_taught(weights, batches):
    """Weights with a head in the middle that has learnt what those before it tell, which stay as they are."""
    head = {name: weights[name] for name in ("pieces", "pieces_bias")}
    moment = jax.tree.map(jnp.zeros_like, head)
    slope = jax.jit(jax.value_and_grad(lambda head, weights, batch: network.middle_loss(weights | head, batch)))
    for number in range(ALONE):
        value, slopes = slope(head, weights, next(batches))
        moment = jax.tree.map(lambda moment, slope: 0.9 * moment + 0.1 * slope, moment, slopes)
        # By the sign of the mean slope: there is only one layer.
        rate = ALONE_RATE * (1 - number / ALONE)
        head = jax.tree.map(lambda weight, moment: weight - rate * moment / (jnp.abs(moment).mean() + 1e-8), head, moment)
        if number % 30 == 0:
            print(f"middle {number} loss {float(value):.3f}", flush=True)
    return weights | head


def ahead_of(batches):
    """The batches, made on a thread of their own."""
    waiting = queue.Queue(AHEAD)

    def work():
        for batch in batches:
            waiting.put(batch)

    threading.Thread(target=work, daemon=True).start()
    while True:
        yield waiting.get()


@functools.partial(jax.jit, donate_argnums=(0, 1, 2))
def step(weights, moments, average, made, batch, seed, number, done):
    """One step of AdamW with a rate that warms up and then falls as a cosine does."""
    key = jax.random.fold_in(jax.random.key(5), seed)
    value, slopes = jax.value_and_grad(network.loss)(weights, made, batch, key)
    norm = jnp.sqrt(sum((slope**2).sum() for slope in jax.tree.leaves(slopes)))
    slopes = jax.tree.map(lambda slope: slope * jnp.minimum(1.0, CLIP / (norm + 1e-6)), slopes)
    rate = RATE * jnp.minimum((number + 1) / WARM, 0.5 + 0.5 * jnp.cos(jnp.pi * done) + 0.01)
    first = jax.tree.map(lambda moment, slope: 0.9 * moment + 0.1 * slope, moments[0], slopes)
    second = jax.tree.map(lambda moment, slope: 0.99 * moment + 0.01 * slope**2, moments[1], slopes)
    unbias1, unbias2 = 1 - 0.9 ** (number + 1), 1 - 0.99 ** (number + 1)

    def moved(weight, mean, square):
        decay = DECAY * weight if weight.ndim > 1 else 0.0
        return weight - rate * (mean / unbias1 / (jnp.sqrt(square / unbias2) + 1e-8) + decay)

    weights = jax.tree.map(moved, weights, first, second)
    kept = jnp.minimum(KEPT, number / (number + 10.0))
    average = jax.tree.map(lambda mean, weight: kept * mean + (1 - kept) * weight, average, weights)
    return weights, [first, second], average, value


def between(work, tokens):
    """The sentences that weights may be chosen by: values and numbers, as one corpus."""
    found = []
    for samples, said, _ in recordings.kept(work / "between.npz"):
        found.append((spectra.levelled(spectra.energies(numpy.exp(spectra.power(samples).astype(numpy.float32)))), tokens.of_said(said)))
    return {"between": found}


@jax.jit
def best(weights, made, values):
    return network.logits(weights, made, values)[0].argmax(axis=-1)


def errors(weights, made, heard):
    """Tokens in error out of a hundred, by corpus, the likeliest token at each step."""
    told = {}
    for corpus, few in heard.items():
        wrong = count = 0
        for values, numbers in few:
            padded = numpy.zeros((1, -(-len(values) // 160) * 160, spectra.BANDS), numpy.float32)
            padded[0, : len(values)] = values
            steps = numpy.asarray(best(weights, made, padded))[0, : -(-len(values) // 4)]
            wrong += distance(collapsed(steps), numbers)
            count += len(numbers)
        told[corpus] = round(100 * wrong / max(count, 1), 1)
    return told


def collapsed(steps):
    return [int(each) for place, each in enumerate(steps) if each and (place == 0 or each != steps[place - 1])]


def distance(one, other):
    """Levenshtein's."""
    row = list(range(len(other) + 1))
    for place, each in enumerate(one, 1):
        above, row[0] = row[0], place
        for at, wanted in enumerate(other, 1):
            above, row[at] = row[at], min(row[at] + 1, row[at - 1] + 1, above + (each != wanted))
    return row[-1]


if __name__ == "__main__":
    given = [float(each) for each in sys.argv[3:5]]
    steps, seconds = [*given, *[STEPS, float("inf")][len(given) :]]
    main(pathlib.Path(sys.argv[1]), pathlib.Path(sys.argv[2]), int(steps), seconds)
