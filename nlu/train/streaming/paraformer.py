"""A streaming Paraformer as two ONNX graphs (Gao et al. 2022, arXiv:2206.08317), with random weights.

Layers, outlets and metadata are those of FunASR's published "online" exports as sherpa-onnx takes them, so that an engine
cannot tell it from one; what it says means nothing. The batch is the first axis, time the second.
"""

from dataclasses import dataclass

import numpy
from onnx import TensorProto

from graph import Graph

BANDS = 80
# Seven frames beside one another every sixth; a window of 61 frames is ten steps, and eight before it are heard again.
FRAMES, SHIFT, WINDOW = 7, 6, 61
LEFT, RIGHT = 5, 3
STEPS = (WINDOW - FRAMES) // SHIFT + 1
HEARD = LEFT + STEPS + RIGHT
WIDTH = FRAMES * BANDS
INT32, INT64 = TensorProto.INT32, TensorProto.INT64


@dataclass
class Sizes:
    """As published (8,404 tokens apart): FunASR's large model."""

    layers: int = 50
    dim: int = 512
    heads: int = 4
    forward: int = 2_048
    kernel: int = 11
    blocks: int = 16
    characters: int = 7_400
    pieces: int = 1_000


LARGE = Sizes()
TINY = Sizes(layers=2, dim=8, heads=2, forward=16, kernel=5, blocks=2, characters=60, pieces=20)


def tokens(sizes, seed):
    """As FunASR writes them: characters, words, and pieces that go on, with `@@` at their end."""
    random = numpy.random.default_rng(seed)
    pieces = set()
    while len(pieces) < sizes.pieces:
        letters = "".join(random.choice(list("abcdefghijklmnopqrstuvwxyz"), random.integers(1, 5)))
        pieces.add(letters + ("@@" if random.random() < 0.4 else ""))
    characters = [chr(0x4E00 + i) for i in range(sizes.characters)]
    return ["<blank>", "<s>", "</s>", *characters, *sorted(pieces), "<unk>"]


def metadata(sizes, levels, vocabulary):
    """What sherpa-onnx reads of the encoder."""
    mean, deviation = levels
    listed = lambda values: ",".join(f"{value:.6g}" for value in values)
    return {
        "model_type": "paraformer",
        "version": "1",
        "model_author": "random",
        "comment": "streaming Paraformer with random weights",
        "vocab_size": vocabulary,
        "lfr_window_size": FRAMES,
        "lfr_window_shift": SHIFT,
        "encoder_output_size": sizes.dim,
        "decoder_num_blocks": sizes.blocks,
        "decoder_kernel_size": sizes.kernel,
        "neg_mean": listed(numpy.tile(-mean, FRAMES)),
        "inv_stddev": listed(numpy.tile(1 / deviation, FRAMES)),
    }


def encoder(sizes, seed, share=None):
    """The encoder with its predictor; `share` are the weights of the predictor's last layer. Without them the graph ends
    before it."""
    graph = Graph("paraformer", seed)
    x = graph.input("speech", ["N", "T", WIDTH])
    lengths = graph.input("speech_lengths", ["N"], INT32)
    mask = step_mask(graph, x, lengths)
    for layer in range(sizes.layers):
        x = encoder_layer(graph, sizes, x, mask, WIDTH if layer == 0 else sizes.dim)
    x = layer_norm(graph, x, sizes.dim)
    graph.output("enc", x, ["N", "T", sizes.dim])
    graph.output("enc_len", lengths, ["N"], INT32)
    near = graph.op(
        "Conv",
        graph.transpose(x, 0, 2, 1),
        graph.uniform((3 * sizes.dim) ** -0.5, sizes.dim, sizes.dim, 3),
        graph.uniform((3 * sizes.dim) ** -0.5, sizes.dim),
        pads=[1, 1],
    )
    near = graph.transpose(graph.op("Relu", near), 0, 2, 1)
    if share is None:
        graph.output("near", near, ["N", "T", sizes.dim])
        return graph
    weights, bias = share
    shares = graph.op("Sigmoid", graph.op("Add", graph.op("MatMul", near, weights[:, None]), bias))
    shares = graph.op("Mul", graph.op("Relu", shares), mask)
    graph.output("alphas", graph.op("Squeeze", shares, numpy.array([2], numpy.int64)), ["N", "T"])
    return graph


def step_mask(graph, x, lengths):
    """(N, T, 1): one where there is a step."""
    steps = graph.op("Gather", graph.op("Shape", x), numpy.int64(1))
    places = graph.op("Range", numpy.int64(0), steps, numpy.int64(1))
    places = graph.op("Cast", graph.unsqueeze(places, 0), to=INT32)
    here = graph.op("Cast", graph.op("Less", places, graph.unsqueeze(lengths, 1)), to=TensorProto.FLOAT)
    return graph.unsqueeze(here, 2)


def layer_norm(graph, x, dim):
    scale = (1 + graph.uniform(0.1, dim)).astype(numpy.float32)
    return graph.op("LayerNormalization", x, scale, graph.uniform(0.1, dim), axis=-1, epsilon=1e-5)


def split_heads(graph, sizes, x, *order):
    """(N, T, dim) to a head's numbers, in the order of axes (N, T, heads, numbers)."""
    return graph.transpose(graph.op("Reshape", x, numpy.array([0, -1, sizes.heads, sizes.dim // sizes.heads], numpy.int64)), *order)


def attend(graph, sizes, q, k, v, mask):
    """What the queries find: (N, T, dim)."""
    size = sizes.dim // sizes.heads
    q = graph.op("Mul", split_heads(graph, sizes, q, 0, 2, 1, 3), numpy.float32(size**-0.5))
    scores = graph.op("MatMul", q, split_heads(graph, sizes, k, 0, 2, 3, 1))
    away = graph.op("Mul", graph.op("Sub", mask, numpy.float32(1)), numpy.float32(1e4))
    weights = graph.op("Softmax", graph.op("Add", scores, graph.unsqueeze(graph.transpose(away, 0, 2, 1), 1)), axis=-1)
    found = graph.op("MatMul", weights, split_heads(graph, sizes, v, 0, 2, 1, 3))
    found = graph.op("Reshape", graph.transpose(found, 0, 2, 1, 3), numpy.array([0, -1, sizes.dim], numpy.int64))
    return graph.linear(found, sizes.dim, sizes.dim)


def memory(graph, sizes, x, **attributes):
    """A convolution along each number on its own: (N, dim, T)."""
    bound = 1 / numpy.sqrt(sizes.kernel)
    return graph.op("Conv", x, graph.uniform(bound, sizes.dim, 1, sizes.kernel), group=sizes.dim, **attributes)


def encoder_layer(graph, sizes, x, mask, wide):
    """Self-attention with a memory beside it, then a feed-forward part."""
    dim, half = sizes.dim, (sizes.kernel - 1) // 2
    normed = layer_norm(graph, x, wide)
    q, k, v = graph.op("Split", graph.linear(normed, wide, 3 * dim), count=3, axis=2)
    kept = graph.op("Mul", v, mask)
    near = memory(graph, sizes, graph.transpose(kept, 0, 2, 1), pads=[half, sizes.kernel - 1 - half])
    near = graph.op("Mul", graph.op("Add", graph.transpose(near, 0, 2, 1), kept), mask)
    heard = graph.op("Add", attend(graph, sizes, q, k, v, mask), near)
    x = heard if wide != dim else graph.op("Add", x, heard)
    y = graph.op("Relu", graph.linear(layer_norm(graph, x, dim), dim, sizes.forward))
    return graph.op("Add", x, graph.linear(y, sizes.forward, dim))


def decoder(sizes, seed, last=None):
    """The decoder; `last` are the weights of its last layer. Without them the graph ends before it."""
    graph = Graph("decoder", seed)
    heard = graph.input("enc", ["N", "T", sizes.dim])
    heard_lengths = graph.input("enc_len", ["N"], INT32)
    x = graph.input("acoustic_embeds", ["N", "U", sizes.dim])
    lengths = graph.input("acoustic_embeds_len", ["N"], INT32)
    shape = ["N", sizes.dim, sizes.kernel - 1]
    caches = [graph.input(f"in_cache_{block}", shape) for block in range(sizes.blocks)]
    heard_mask, mask = step_mask(graph, heard, heard_lengths), step_mask(graph, x, lengths)
    fresh = []
    for cache in caches:
        x, new = decoder_block(graph, sizes, x, mask, heard, heard_mask, cache)
        fresh.append(new)
    x = decoder_forward(graph, sizes, x)
    x = layer_norm(graph, x, sizes.dim)
    if last is None:
        graph.output("said", x, ["N", "U", sizes.dim])
        graph.output("none", graph.op("Cast", x, to=INT64), ["N", "U", sizes.dim], INT64)
    else:
        weights, bias = last
        logits = graph.op("Add", graph.op("MatMul", x, weights), bias)
        graph.output("logits", logits, ["N", "U", len(bias)])
        graph.output("sample_ids", graph.op("ArgMax", logits, axis=-1, keepdims=0), ["N", "U"], INT64)
    for block, new in enumerate(fresh):
        graph.output(f"out_cache_{block}", new, shape)
    return graph


def decoder_forward(graph, sizes, x):
    y = graph.op("Relu", graph.linear(layer_norm(graph, x, sizes.dim), sizes.dim, sizes.forward))
    y = layer_norm(graph, y, sizes.forward)
    return graph.op("MatMul", y, graph.uniform(sizes.forward**-0.5, sizes.forward, sizes.dim))


def decoder_block(graph, sizes, x, mask, heard, heard_mask, cache):
    """A feed-forward part, a memory of the tokens before, and what was heard."""
    dim, kept = sizes.dim, sizes.kernel - 1
    y = graph.op("Mul", layer_norm(graph, decoder_forward(graph, sizes, x), dim), mask)
    row = graph.op("Concat", cache, graph.transpose(y, 0, 2, 1), axis=2)
    new = graph.slice(row, 2, -kept, numpy.iinfo(numpy.int64).max)
    near = graph.op("Add", graph.transpose(memory(graph, sizes, row), 0, 2, 1), y)
    x = graph.op("Add", x, graph.op("Mul", near, mask))
    q = graph.linear(layer_norm(graph, x, dim), dim, dim)
    k, v = graph.op("Split", graph.linear(heard, dim, 2 * dim), count=2, axis=2)
    return graph.op("Add", x, attend(graph, sizes, q, k, v, heard_mask)), new
