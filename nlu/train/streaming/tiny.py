"""Graphs with the inputs, outputs and metadata of streaming encoders and next to no weights: for unit tests.

Every state that goes in changes what comes out, and so does every state of the chunk before: whoever mixes up the states
of two calls, or loses one, says something else.
"""

from dataclasses import dataclass

import numpy
from onnx import TensorProto

import zipformer2
from graph import Graph
from zipformer2 import FEATURES, FRONT_BANDS, FRONT_CHANNELS, PAD, cache_shapes

FLOAT, COUNT = TensorProto.FLOAT, TensorProto.INT64
DIM = 16


@dataclass
class Sizes(zipformer2.Sizes):
    """Those of a zipformer2, small; other architectures take what they have of them."""

    architecture: str = "zipformer2"
    layers: tuple = (1, 2)
    dims: tuple = (16, 8)
    forward_dims: tuple = (16, 16)
    heads: tuple = (2, 1)
    kernels: tuple = (5, 3)
    downsampling: tuple = (1, 2)
    query_dim: int = 4
    value_dim: int = 2
    left: int = 8


def metadata(sizes):
    """What sherpa-onnx reads of the graph."""
    if sizes.architecture == "zipformer2":
        return zipformer2.metadata(sizes)
    both = {
        "model_type": sizes.architecture,
        "version": "1",
        "model_author": "random",
        "T": 2 * sizes.chunk + PAD,
        "decode_chunk_len": 2 * sizes.chunk,
    }
    own = {
        "zipformer": {
            "encoder_dims": "16,8",
            "attention_dims": "8,4",
            "num_encoder_layers": "1,2",
            "cnn_module_kernels": "5,3",
            "left_context_len": "8,4",
        },
        "conformer": {
            "num_encoder_layers": 2,
            "left_context": 8,
            "encoder_dim": 16,
            "pad_length": PAD,
            "cnn_module_kernel": 5,
        },
        "lstm": {"num_encoder_layers": 2, "d_model": 16, "rnn_hidden_size": 24},
    }
    return {**both, **own[sizes.architecture]}


def states(sizes):
    """Names, shapes and types of what a call remembers, in order."""
    if sizes.architecture == "lstm":
        return [("h", [2, "N", 16], FLOAT), ("c", [2, "N", 24], FLOAT)]
    if sizes.architecture == "conformer":
        return [("attention", [2, 8, "N", 16], FLOAT), ("convolution", [2, 4, "N", 16], FLOAT)]
    if sizes.architecture == "zipformer":
        stacks = [(1, 16, 8, 5, 8), (2, 8, 4, 3, 4)]
        kinds = {
            "cached_len": lambda layers, dim, attention, kernel, left: [layers, "N"],
            "cached_avg": lambda layers, dim, attention, kernel, left: [layers, "N", dim],
            "cached_key": lambda layers, dim, attention, kernel, left: [layers, left, "N", attention],
            "cached_val": lambda layers, dim, attention, kernel, left: [layers, left, "N", attention // 2],
            "cached_val2": lambda layers, dim, attention, kernel, left: [layers, left, "N", attention // 2],
            "cached_conv1": lambda layers, dim, attention, kernel, left: [layers, "N", dim, kernel - 1],
            "cached_conv2": lambda layers, dim, attention, kernel, left: [layers, "N", dim, kernel - 1],
        }
        return [
            (f"{kind}_{i}", shape(*stack), COUNT if kind == "cached_len" else FLOAT)
            for kind, shape in kinds.items()
            for i, stack in enumerate(stacks)
        ]
    every, layer = [], 0
    for stack in range(len(sizes.dims)):
        for _ in range(sizes.layers[stack]):
            every += [(f"{name}_{layer}", shape, FLOAT) for name, shape in cache_shapes(sizes, stack)]
            layer += 1
    every.append(("embed_states", ["N", FRONT_CHANNELS, 3, FRONT_BANDS], FLOAT))
    return [*every, ("processed_lens", ["N"], COUNT)]


def encoder(sizes, seed):
    """As `zipformer2.encoder`: the graph up to its last layer, its output, that one's width, and how to end it."""
    graph = Graph("tiny", seed)
    x = graph.input("x", ["N", 2 * sizes.chunk + PAD, FEATURES])
    every = states(sizes)
    inputs = [graph.input(name, shape, dtype) for name, shape, dtype in every]
    steps = sizes.chunk // 2
    x = graph.op("Add", graph.slice(x, 1, 0, 4 * steps), numpy.float32(8))
    heard = graph.linear(graph.reshape(x, -1, steps, 4 * FEATURES), 4 * FEATURES, DIM)
    whole = graph.op("ReduceMean", heard, axes=[1, 2], keepdims=0)
    said, fresh = heard, []
    for state, (_, shape, dtype) in zip(inputs, every):
        others = [axis for axis, size in enumerate(shape) if size != "N"]
        if dtype == COUNT:
            mean = graph.op("Sin", graph.op("Cast", state, to=FLOAT))
            fresh.append(graph.op("Add", state, numpy.array([sizes.chunk], numpy.int64)))
        else:
            mean = state
            added = graph.op("Mul", graph.unsqueeze(whole, *others), graph.uniform(1, 1))
            fresh.append(graph.op("Add", graph.op("Mul", state, numpy.float32(0.5)), added))
        mean = graph.op("ReduceMean", mean, axes=others, keepdims=0) if others else mean
        said = graph.op("Add", said, graph.op("Mul", graph.unsqueeze(mean, 1, 2), graph.uniform(0.5, 1, 1, DIM)))
    if sizes.architecture == "conformer":
        place = graph.op("Sin", graph.op("Cast", graph.input("processed_lens", ["N"], COUNT), to=FLOAT))
        said = graph.op("Add", said, graph.op("Mul", graph.unsqueeze(place, 1, 2), graph.uniform(0.5, 1, 1, DIM)))

    def finish(name, value, shape):
        graph.output(name, value, shape)
        for (state, shape, dtype), new in zip(every, fresh):
            graph.output(f"new_{state}", new, shape, dtype)

    return graph, said, DIM, finish
