"""A graph with the inputs, outputs and metadata of a small zipformer2 and next to no weights: for unit tests.

Every state that goes in changes what comes out, and so does every state of the chunk before: whoever mixes up the states
of two calls, or loses one, says something else.
"""

import numpy
from onnx import TensorProto

from graph import Graph
from zipformer2 import FEATURES, FRONT_BANDS, FRONT_CHANNELS, PAD, Sizes, cache_shapes

SIZES = Sizes(
    layers=(1, 1),
    dims=(16, 8),
    forward_dims=(16, 16),
    heads=(2, 1),
    kernels=(5, 3),
    downsampling=(1, 2),
    query_dim=4,
    value_dim=2,
    chunk=16,
    left=8,
)
DIM = 16


def encoder(sizes, seed):
    """As `zipformer2.encoder`: the graph up to its last layer, its output, that one's width, and how to end it."""
    graph = Graph("tiny", seed)
    x = graph.input("x", ["N", 2 * sizes.chunk + PAD, FEATURES])
    states, layer = [], 0
    for stack in range(len(sizes.dims)):
        for name, shape in cache_shapes(sizes, stack):
            states.append((f"{name}_{layer}", shape))
        layer += 1
    states.append(("embed_states", ["N", FRONT_CHANNELS, 3, FRONT_BANDS]))
    inputs = [graph.input(name, shape) for name, shape in states]
    processed = graph.input("processed_lens", ["N"], TensorProto.INT64)

    steps = sizes.chunk // 2
    x = graph.op("Add", graph.slice(x, 1, 0, 4 * steps), numpy.float32(8))
    heard = graph.linear(graph.reshape(x, -1, steps, 4 * FEATURES), 4 * FEATURES, DIM)
    said = heard
    whole = graph.op("ReduceMean", heard, axes=[1, 2], keepdims=0)
    fresh = []
    for state, (_, shape) in zip(inputs, states):
        others = [axis for axis, size in enumerate(shape) if size != "N"]
        mean = graph.op("ReduceMean", state, axes=others, keepdims=0)
        weights = graph.uniform(1, 1, 1, DIM)
        said = graph.op("Add", said, graph.op("Mul", graph.unsqueeze(mean, 1, 2), weights))
        added = graph.op("Mul", graph.unsqueeze(whole, *others), graph.uniform(1, 1))
        fresh.append(graph.op("Add", graph.op("Mul", state, numpy.float32(0.5)), added))
    place = graph.op("Sin", graph.op("Cast", processed, to=TensorProto.FLOAT))
    said = graph.op("Add", said, graph.op("Mul", graph.unsqueeze(place, 1, 2), graph.uniform(0.3, 1, 1, DIM)))

    def finish(name, value, shape):
        graph.output(name, value, shape)
        for (state, shape), new in zip(states, fresh):
            graph.output(f"new_{state}", new, shape)
        more = graph.op("Add", processed, numpy.array([sizes.chunk], numpy.int64))
        graph.output("new_processed_lens", more, ["N"], TensorProto.INT64)

    return graph, said, DIM, finish
