"""The shipped graph as weights that training goes on from: `python begun.py MODELS WORK` writes WORK/begun.npz.

The weights of 8 bits become numbers again, and the last layer is taken apart into what initials and finals weigh and what
is a syllable's own. The head in the middle is not in the graph; `train.py` begins by teaching a new one.
"""

import pathlib
import sys

import numpy
import onnx
from onnx import numpy_helper

import network
from tokens import Tokens

# How much less a syllable's own weights are wanted than those of its initial and its final.
OWN = 0.3


def main(models, work):
    held = {each.name: numpy_helper.to_array(each) for each in onnx.load(models / "words.onnx").graph.initializer}
    whole = lambda name: held[f"{name}_8"].astype(numpy.float32) * held[f"{name}_scale"]
    kernel = lambda name: whole(name).transpose(2, 1, 0).reshape(-1, whole(name).shape[0])
    weights = {
        "front1": kernel("front1"), "front1_bias": held["front1_bias"],
        "front2": kernel("front2"), "front2_bias": held["front2_bias"],
        "norm": held["norm_scale"], "norm_bias": held["norm_bias"], "own_bias": held["last_bias"],
    }
    weights["sounds"], weights["own"] = parts(whole("last"), network.makeup(Tokens()))
    for block in range(network.BLOCKS):
        weights |= {
            f"{block}/near": whole(f"{block}/near")[:, 0].T, f"{block}/near_bias": held[f"{block}/near_bias"],
            f"{block}/norm": held[f"{block}/norm_scale"], f"{block}/norm_bias": held[f"{block}/norm_bias"],
            f"{block}/wide": whole(f"{block}/wide"), f"{block}/wide_bias": held[f"{block}/wide_bias"],
            f"{block}/back": whole(f"{block}/back"), f"{block}/back_bias": held[f"{block}/back_bias"],
        }
    numpy.savez(work / "begun.npz", **{name: numpy.ascontiguousarray(value, numpy.float32) for name, value in weights.items()})


def parts(last, made):
    """A last layer as `sounds @ made + own` with both small (ridge regression)."""
    square = made @ made.T + OWN * numpy.eye(len(made), dtype=numpy.float32)
    sounds = numpy.linalg.solve(square, made @ last.T).T
    return sounds, last - sounds @ made


if __name__ == "__main__":
    main(*(pathlib.Path(each) for each in sys.argv[1:3]))
