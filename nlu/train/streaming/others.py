"""Tiny graphs as NeMo and WeNet export their streaming CTC models: for unit tests, like those of `tiny`.

All that goes in changes what comes out: frames, states, positions, lengths and masks.
"""

from dataclasses import dataclass

import numpy
from onnx import TensorProto

from graph import Graph
from zipformer2 import FEATURES

FLOAT, COUNT, FLAG = TensorProto.FLOAT, TensorProto.INT64, TensorProto.BOOL
DIM, HEADS, KERNEL, LAYERS = 16, 2, 5, 2


@dataclass
class Sizes:
    """Frames that one run looks at, that it goes on by and of each step, and how many steps are remembered."""

    is_nemo: bool
    window: int
    shift: int
    frames_per_step: int
    remembered: int

    @property
    def steps(self):
        """Steps of one run."""
        return self.shift // self.frames_per_step


# A cache-aware FastConformer's, of which 9 frames are heard again; a U2++ model's as exported, four of whose chunks are remembered.
NEMO = Sizes(True, 65, 56, 8, 8)
WENET = Sizes(False, 67, 64, 4, 64)


def metadata(sizes):
    """What sherpa-onnx reads of the graph."""
    if sizes.is_nemo:
        return {
            "model_type": "EncDecHybridRNNTCTCBPEModel",
            "vocab_size": 82,
            "window_size": sizes.window,
            "chunk_shift": sizes.shift,
            "subsampling_factor": sizes.frames_per_step,
            "normalize_type": "",
            **{f"cache_last_channel_dim{i + 1}": size for i, size in enumerate((LAYERS, sizes.remembered, DIM))},
            **{f"cache_last_time_dim{i + 1}": size for i, size in enumerate((LAYERS, DIM, KERNEL - 1))},
        }
    return {
        "model_type": "wenet_ctc",
        "chunk_size": sizes.steps,
        "left_chunks": sizes.remembered // sizes.steps,
        "head": HEADS,
        "num_blocks": LAYERS,
        "output_size": DIM,
        "cnn_module_kernel": KERNEL,
        "right_context": sizes.window - sizes.shift + sizes.frames_per_step - 1,
        "subsampling_factor": sizes.frames_per_step,
        "vocab_size": 83,
    }


def given(sizes, window, at):
    """What the graph is given beside its states: a window of frames, (frames, 80), of which the first is number `at`."""
    if sizes.is_nemo:
        return {"audio_signal": window.T[None], "length": numpy.array([sizes.window])}
    behind = at // sizes.frames_per_step
    places = numpy.arange(sizes.remembered + sizes.steps)
    return {
        "x": window[None],
        "offset": numpy.array([sizes.remembered + behind]),
        "required_cache_size": numpy.array([sizes.remembered]),
        "attn_mask": (places + behind >= sizes.remembered)[None, None],
    }


def encoder(sizes, seed):
    """As `zipformer2.encoder`: the graph up to its last layer, its output, that one's width, and how to end it."""
    graph = Graph("tiny", seed)
    steps = sizes.steps
    if sizes.is_nemo:
        x = graph.transpose(graph.input("audio_signal", ["N", FEATURES, "T"]), 0, 2, 1)
        told = [graph.op("Cast", graph.input("length", ["N"], COUNT), to=FLOAT)]
        every = [
            ("cache_last_channel", ["N", LAYERS, sizes.remembered, DIM], FLOAT),
            ("cache_last_time", ["N", LAYERS, DIM, KERNEL - 1], FLOAT),
            ("cache_last_channel_len", ["N"], COUNT),
        ]
    else:
        x = graph.input("x", ["N", "T", FEATURES])
        told = [graph.op("Cast", graph.input(name, [1], COUNT), to=FLOAT) for name in ("offset", "required_cache_size")]
        every = [
            ("attn_cache", [LAYERS, HEADS, "remembered", DIM // HEADS * 2], FLOAT),
            ("conv_cache", [LAYERS, 1, DIM, KERNEL - 1], FLOAT),
        ]
    inputs = [graph.input(name, shape, dtype) for name, shape, dtype in every]
    if not sizes.is_nemo:
        mask = graph.op("Cast", graph.input("attn_mask", [1, 1, "seen"], FLAG), to=FLOAT)
        told.append(graph.op("ReduceMean", mask, axes=[1, 2], keepdims=0))
    x = graph.op("Add", graph.slice(x, 1, 0, sizes.shift), numpy.float32(8))
    per_step = sizes.frames_per_step * FEATURES
    heard = graph.linear(graph.reshape(x, -1, steps, per_step), per_step, DIM)
    # Of one call or many, a number each.
    whole = graph.op("ReduceMean", heard, axes=[1, 2], keepdims=0)
    said, fresh = heard, []
    for number in told:
        said = graph.op("Add", said, spread(graph, graph.op("Sin", number)))
    for state, (name, shape, dtype) in zip(inputs, every):
        batch = shape.index("N") if "N" in shape else None
        others = [axis for axis in range(len(shape)) if axis != batch]
        if dtype == COUNT:
            mean = graph.op("Sin", graph.op("Cast", state, to=FLOAT))
            fresh.append(graph.op("Add", state, numpy.array([steps], numpy.int64)))
        else:
            mean = graph.op("ReduceMean", state, axes=others, keepdims=0)
            added = graph.op("Mul", whole if batch is None else graph.unsqueeze(whole, *others), graph.uniform(1, 1))
            fresh.append(graph.op("Add", graph.op("Mul", state, numpy.float32(0.5)), added))
        said = graph.op("Add", said, spread(graph, graph.reshape(mean, -1)))

    def finish(name, value, shape):
        graph.output(name, value, shape)
        if sizes.is_nemo:
            ended = graph.op("Div", graph.op("Mul", "length", numpy.int64(steps)), numpy.int64(sizes.window))
            graph.output("encoded_lengths", ended, ["N"], COUNT)
        for (state, shape, dtype), new in zip(every, fresh):
            graph.output(f"next_{state}", new, shape, dtype)

    return graph, said, DIM, finish


def spread(graph, number):
    """One number a call, to all its steps, by weights of its own."""
    return graph.op("Mul", graph.unsqueeze(number, 1, 2), graph.uniform(0.5, 1, 1, DIM))
