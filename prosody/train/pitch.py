"""Fits the pitch tracker's scorer and writes prosody/models/pitch.bin.

    pitch.py OUT.bin DIR [DIR ...] [--steps N] [--seed S]

Each DIR is a folder of `calmline eval pitch` with `rows/CONDITION/SIGNAL.f32` by `examples/pitch_rows`. Frames whose
truth is unknown teach nothing.
"""

import argparse
import pathlib

import numpy as np

from perceptron import Adam, Perceptron

CANDIDATES, FACTS, FRAME = 10, 22, 21
BEHIND = AHEAD = 4
BLOCKS = slice(4, 12)
JUDGE, VOICING, EARLY = (24, 12), (32, 16), (16, 8)
# A candidate this close to the truth is right, octaves.
RIGHT = 0.12
# Share of the frames of each signal that is learned from.
SHARE = 1 / 3
BATCH = 2048


def truth(path, frames):
    table = np.genfromtxt(path, delimiter=",", skip_header=1)
    at = (np.arange(frames) + 0.5) * 0.01
    nearest = np.clip(np.searchsorted(table[:, 0], at - 1e-6), 0, len(table) - 1)
    return np.where(at <= table[-1, 0] + 0.006, table[nearest, 1], np.nan)


def around(frame, behind, ahead):
    padded = np.pad(frame, ((behind, ahead), (0, 0)), mode="edge")
    return np.concatenate([padded[i : i + len(frame)] for i in range(behind + ahead + 1)], axis=1)


def load(folder, rng):
    parts = []
    for path in sorted((folder / "rows").glob("*/*.f32")):
        rows = np.fromfile(path, "<f4").reshape(-1, 1 + CANDIDATES + CANDIDATES * FACTS + FRAME)
        hz = truth(folder / "truth" / f"{path.stem}.csv", len(rows))
        octaves = rows[:, 1 : 1 + CANDIDATES]
        there = np.arange(CANDIDATES) < rows[:, :1]
        off = np.abs(octaves - np.log2(np.maximum(np.nan_to_num(hz), 1))[:, None])
        off[~there] = 9
        # 0: unvoiced; 1 + i: candidate i is right; -1: none is.
        label = np.where(hz > 0, np.where(off.min(axis=1) < RIGHT, off.argmin(axis=1) + 1, -1), 0)
        frame = rows[:, -FRAME:]
        chosen = np.flatnonzero(~np.isnan(hz))
        chosen = rng.choice(chosen, int(len(chosen) * SHARE), replace=False)
        parts.append((
            rows[chosen, 1 + CANDIDATES : -FRAME].reshape(-1, CANDIDATES, FACTS),
            there[chosen],
            around(frame, BEHIND, AHEAD)[chosen],
            label[chosen],
        ))
    return [np.concatenate(part) for part in zip(*parts)]


def normal(values):
    flat = values.reshape(-1, values.shape[-1])
    return flat.mean(axis=0), flat.std(axis=0) + 1e-3


def judge_step(judge, facts, shared, there, label):
    """Gradient of the cross-entropy among the candidates, over frames in which one is right."""
    count = len(facts)
    inputs = np.concatenate([facts, np.repeat(shared[:, None], CANDIDATES, axis=1)], axis=2)
    scores, seen = judge.forward(inputs.reshape(count * CANDIDATES, -1))
    scores = np.where(there, scores.reshape(count, CANDIDATES), -30)
    shares = np.exp(scores - scores.max(axis=1, keepdims=True))
    shares /= shares.sum(axis=1, keepdims=True)
    right = label - 1
    loss = -np.log(shares[np.arange(count), right] + 1e-12).mean()
    shares[np.arange(count), right] -= 1
    error = np.where(there, shares, 0) / count
    return loss, judge.backward(seen, error.ravel())


def voicing_step(net, inputs, voiced):
    logits, seen = net.forward(inputs)
    chance = 1 / (1 + np.exp(-logits))
    loss = -np.log(np.where(voiced, chance, 1 - chance) + 1e-12).mean()
    return loss, net.backward(seen, (chance - voiced) / len(voiced))


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("out", type=pathlib.Path)
    parser.add_argument("folders", type=pathlib.Path, nargs="+")
    parser.add_argument("--steps", type=int, default=6000)
    parser.add_argument("--seed", type=int, default=1)
    args = parser.parse_args()

    rng = np.random.default_rng(args.seed)
    facts, there, near, label = [np.concatenate(p) for p in zip(*[load(folder, rng) for folder in args.folders])]
    middle = near[:, BEHIND * FRAME : (BEHIND + 1) * FRAME]
    shared = np.delete(middle, np.r_[BLOCKS], axis=1)
    early = near[:, : (BEHIND + 1) * FRAME]
    print(f"{len(label)} frames, {np.mean(label != 0):.3f} voiced, {np.mean(label < 0):.4f} without a right candidate")

    norms = [normal(facts), normal(shared), normal(near), normal(early)]
    facts, shared, near, early = [
        ((values - mean) / scale).astype(np.float32)
        for values, (mean, scale) in zip([facts, shared, near, early], norms)
    ]
    judge = Perceptron(FACTS + shared.shape[1], JUDGE, rng)
    nets = [(Perceptron(near.shape[1], VOICING, rng), near), (Perceptron(early.shape[1], EARLY, rng), early)]
    adams = [Adam(net.parameters()) for net in [judge, *(net for net, _ in nets)]]
    decided = np.flatnonzero(label > 0)
    losses = np.zeros(3)
    for step in range(1, args.steps + 1):
        rate = 1.5e-3 * (1 + np.cos(np.pi * step / args.steps)) + 1e-5
        pick = rng.choice(decided, BATCH)
        loss, gradients = judge_step(judge, facts[pick], shared[pick], there[pick], label[pick])
        losses[0] += loss
        adams[0].step(gradients, rate)
        pick = rng.integers(0, len(label), BATCH)
        for i, (net, inputs) in enumerate(nets, 1):
            loss, gradients = voicing_step(net, inputs[pick], label[pick] != 0)
            losses[i] += loss
            adams[i].step(gradients, rate)
        if step % 1000 == 0:
            print(step, (losses / 1000).round(4), flush=True)
            losses[:] = 0

    judge_norm = [np.concatenate(pair) for pair in zip(norms[0], norms[1])]
    parts = [judge.folded(*judge_norm), nets[0][0].folded(*norms[2]), nets[1][0].folded(*norms[3])]
    np.concatenate(parts).tofile(args.out)


if __name__ == "__main__":
    main()
