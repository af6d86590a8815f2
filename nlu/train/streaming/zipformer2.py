"""A streaming zipformer2 encoder as an ONNX graph (Yao et al. 2023, arXiv:2310.11230), with random weights.

The layers, states and metadata are those of k2's published streaming exports, so that an engine cannot tell it from
one; what it says means nothing. Time is the first axis inside, the batch the second, as in k2's icefall.
"""

from dataclasses import dataclass

import numpy
from onnx import TensorProto

from graph import Graph

FEATURES = 80
# Frames that the convolutions at the front need beside a chunk: 7 for the strides, 2 x 3 on the right.
PAD = 7 + 2 * 3
# Channels of the front's last convolution, and what is left of 80 bands there.
FRONT_CHANNELS = 128
FRONT_BANDS = ((FEATURES - 1) // 2 - 1) // 2


@dataclass
class Sizes:
    """One value per stack of layers, but for those of all."""

    layers: tuple = (2, 2, 3, 4, 3, 2)
    dims: tuple = (192, 256, 384, 512, 384, 256)
    forward_dims: tuple = (512, 768, 1024, 1536, 1024, 768)
    heads: tuple = (4, 4, 4, 8, 4, 4)
    kernels: tuple = (31, 31, 15, 15, 15, 31)
    downsampling: tuple = (1, 2, 4, 8, 4, 2)
    query_dim: int = 32
    value_dim: int = 12
    position_head_dim: int = 4
    position_dim: int = 48
    chunk: int = 16
    left: int = 128

    @property
    def window(self):
        """Frames that one run looks at."""
        return 2 * self.chunk + PAD

    @property
    def shift(self):
        """Frames that it goes on by."""
        return 2 * self.chunk

    @property
    def steps(self):
        """What it says of them."""
        return self.chunk // 2


# As published: icefall's default, and its small variant.
MEDIUM = Sizes()
SMALL = Sizes(
    layers=(2, 2, 2, 2, 2, 2),
    dims=(192, 256, 256, 256, 256, 256),
    forward_dims=(512, 768, 768, 768, 768, 768),
    heads=(4, 4, 4, 8, 4, 4),
)


def metadata(sizes):
    """What sherpa-onnx reads of the graph."""
    stacks = len(sizes.dims)
    listed = lambda values: ",".join(map(str, values))
    return {
        "model_type": "zipformer2",
        "version": "1",
        "model_author": "random",
        "comment": "streaming zipformer2 with random weights",
        "decode_chunk_len": sizes.shift,
        "T": sizes.window,
        "num_encoder_layers": listed(sizes.layers),
        "encoder_dims": listed(sizes.dims),
        "cnn_module_kernels": listed(sizes.kernels),
        "left_context_len": listed(sizes.left // factor for factor in sizes.downsampling),
        "query_head_dims": listed([sizes.query_dim] * stacks),
        "value_head_dims": listed([sizes.value_dim] * stacks),
        "num_heads": listed(sizes.heads),
    }


def encoder(sizes, seed):
    """The graph up to its last layer; its output `(N, chunk / 2, dim)` and that dim."""
    graph = Graph("zipformer2", seed)
    x = graph.input("x", ["N", 2 * sizes.chunk + PAD, FEATURES])
    caches, layer = [], 0
    for stack in range(len(sizes.dims)):
        for _ in range(sizes.layers[stack]):
            caches.append([graph.input(f"{name}_{layer}", shape) for name, shape in cache_shapes(sizes, stack)])
            layer += 1
    front_cache = graph.input("embed_states", ["N", FRONT_CHANNELS, 3, FRONT_BANDS])
    processed = graph.input("processed_lens", ["N"], TensorProto.INT64)

    x, new_front_cache = front(graph, sizes, x, front_cache)
    mask = padding_mask(graph, sizes, processed)
    x = graph.transpose(x, 1, 0, 2)
    stacks, fresh, layer = [], [], 0
    for stack in range(len(sizes.dims)):
        count = sizes.layers[stack]
        x, new = encoder_stack(graph, sizes, stack, fit_channels(graph, sizes, stack, x), caches[layer : layer + count], mask)
        stacks.append(x)
        fresh.extend(new)
        layer += count
    x = full_dimensions(graph, sizes, stacks)
    x = downsample(graph, x, sizes.chunk, 2, max(sizes.dims))
    x = graph.transpose(x, 1, 0, 2)

    def finish(name, value, shape):
        """Outputs come in the order of the inputs, what the layers say first."""
        graph.output(name, value, shape)
        layer = 0
        for stack in range(len(sizes.dims)):
            for _ in range(sizes.layers[stack]):
                for (cache, shape), new in zip(cache_shapes(sizes, stack), fresh[layer]):
                    graph.output(f"new_{cache}_{layer}", new, shape)
                layer += 1
        graph.output("new_embed_states", new_front_cache, ["N", FRONT_CHANNELS, 3, FRONT_BANDS])
        more = graph.op("Add", processed, numpy.array([sizes.chunk], numpy.int64))
        graph.output("new_processed_lens", more, ["N"], TensorProto.INT64)

    return graph, x, max(sizes.dims), finish


def cache_shapes(sizes, stack):
    """Names and shapes of what one layer remembers."""
    left = sizes.left // sizes.downsampling[stack]
    dim, heads, kernel = sizes.dims[stack], sizes.heads[stack], sizes.kernels[stack]
    return [
        ("cached_key", [left, "N", sizes.query_dim * heads]),
        ("cached_nonlin_attn", [1, "N", left, 3 * dim // 4]),
        ("cached_val1", [left, "N", sizes.value_dim * heads]),
        ("cached_val2", [left, "N", sizes.value_dim * heads]),
        ("cached_conv1", ["N", dim, kernel // 2]),
        ("cached_conv2", ["N", dim, kernel // 2]),
    ]


def swoosh(graph, x, shift, offset):
    """log(1 + exp(x - shift)) - 0.08 x - offset."""
    soft = graph.op("Softplus", graph.op("Sub", x, numpy.float32(shift)))
    line = graph.op("Add", graph.op("Mul", x, numpy.float32(0.08)), numpy.float32(offset))
    return graph.op("Sub", soft, line)


def swoosh_left(graph, x):
    return swoosh(graph, x, 4.0, 0.035)


def swoosh_right(graph, x):
    return swoosh(graph, x, 1.0, 0.313261687)


def bias_norm(graph, x, dim):
    """x / rms(x - bias) * scale."""
    centred = graph.op("Sub", x, graph.uniform(0.1, dim))
    power = graph.op("ReduceMean", graph.op("Mul", centred, centred), axes=[-1], keepdims=1)
    return graph.op("Div", x, graph.op("Sqrt", graph.op("Add", power, numpy.float32(1e-8))))


def convolution(graph, x, outputs, inputs, kernel, **attributes):
    bound = 1 / numpy.sqrt(inputs * numpy.prod(kernel))
    weight = graph.uniform(bound, outputs, inputs, *kernel)
    return graph.op("Conv", x, weight, graph.uniform(bound, outputs), **attributes)


def front(graph, sizes, x, cache):
    """Convolutions to half the frames: (N, T, 80) to (N, chunk, dim)."""
    x = graph.unsqueeze(x, 1)
    x = swoosh_right(graph, convolution(graph, x, 8, 1, (3, 3), pads=[0, 1, 0, 1]))
    x = swoosh_right(graph, convolution(graph, x, 32, 8, (3, 3), strides=[2, 2]))
    x = swoosh_right(graph, convolution(graph, x, FRONT_CHANNELS, 32, (3, 3), strides=[1, 2]))
    around = graph.op("Concat", cache, x, axis=2)
    x = graph.slice(x, 2, 0, sizes.chunk)
    new_cache = graph.slice(around, 2, sizes.chunk, sizes.chunk + 3)
    wide = convolution(graph, around, FRONT_CHANNELS, 1, (7, 7), pads=[0, 3, 0, 3], group=FRONT_CHANNELS)
    wide = swoosh_left(graph, convolution(graph, wide, 3 * FRONT_CHANNELS, FRONT_CHANNELS, (1, 1)))
    x = graph.op("Add", x, convolution(graph, wide, FRONT_CHANNELS, 3 * FRONT_CHANNELS, (1, 1)))
    x = graph.reshape(graph.transpose(x, 0, 2, 1, 3), -1, sizes.chunk, FRONT_CHANNELS * FRONT_BANDS)
    x = graph.linear(x, FRONT_CHANNELS * FRONT_BANDS, sizes.dims[0])
    return bias_norm(graph, x, sizes.dims[0]), new_cache


def padding_mask(graph, sizes, processed):
    """(N, left + chunk): true where there was no sound yet."""
    ages = numpy.arange(sizes.left - 1, -1, -1, dtype=numpy.int64)[None]
    before = graph.op("LessOrEqual", graph.unsqueeze(processed, 1), ages)
    here = graph.op("Less", graph.unsqueeze(processed, 1), numpy.zeros((1, sizes.chunk), numpy.int64))
    return graph.op("Concat", before, here, axis=1)


def fit_channels(graph, sizes, stack, x):
    """Cuts channels off or adds zeros."""
    have, want = sizes.dims[max(stack - 1, 0)], sizes.dims[stack]
    if want <= have:
        return x if want == have else graph.slice(x, 2, 0, want)
    return graph.op("Pad", x, numpy.array([0, 0, 0, 0, 0, want - have], numpy.int64))


def full_dimensions(graph, sizes, stacks):
    """Every channel from the last stack that has it."""
    pieces, have = [stacks[-1]], sizes.dims[-1]
    for stack in reversed(range(len(stacks) - 1)):
        dim = sizes.dims[stack]
        if dim > have:
            pieces.append(graph.slice(stacks[stack], 2, have, dim))
            have = dim
    return pieces[0] if len(pieces) == 1 else graph.op("Concat", *pieces, axis=2)


def downsample(graph, x, frames, factor, dim):
    weights = numpy.full((factor, 1, 1), 1 / factor, numpy.float32)
    x = graph.reshape(x, frames // factor, factor, -1, dim)
    return graph.op("ReduceSum", graph.op("Mul", x, weights), numpy.array([1], numpy.int64), keepdims=0)


def upsample(graph, x, frames, factor, dim):
    x = graph.op("Concat", *[graph.unsqueeze(x, 1)] * factor, axis=1)
    return graph.reshape(x, frames * factor, -1, dim)


def bypass(graph, before, after, dim):
    """The way round a layer: half of each, by channel."""
    scale = 0.5 + graph.uniform(0.2, dim)
    return graph.op("Add", before, graph.op("Mul", graph.op("Sub", after, before), scale))


def encoder_stack(graph, sizes, stack, x, caches, mask):
    """Layers at one frame rate, with the way round them."""
    factor, dim = sizes.downsampling[stack], sizes.dims[stack]
    frames, left = sizes.chunk // factor, sizes.left // factor
    before = x
    if factor > 1:
        x = downsample(graph, x, sizes.chunk, factor, dim)
        mask = graph.slice(mask, 1, 0, sizes.left + sizes.chunk, factor)
    positions = position_encoding(frames, left, sizes.position_dim)
    fresh = []
    for cache in caches:
        x, new = layer(graph, sizes, stack, x, cache, mask, positions)
        fresh.append(new)
    if factor > 1:
        x = bypass(graph, before, upsample(graph, x, frames, factor, dim), dim)
    return x, fresh


def position_encoding(frames, left, dim):
    """(2 frames - 1 + left, dim): compressed distances, from the farthest behind on."""
    distance = numpy.arange(-(frames + left - 1), frames, dtype=numpy.float64)[:, None]
    compression = dim**0.5
    compressed = compression * numpy.sign(distance) * (numpy.log(abs(distance) + compression) - numpy.log(compression))
    angle = numpy.arctan(compressed / (dim / (2 * numpy.pi)))
    frequencies = 1 + numpy.arange(dim // 2)
    encoding = numpy.zeros((len(distance), dim))
    encoding[:, 0::2], encoding[:, 1::2] = numpy.cos(angle * frequencies), numpy.sin(angle * frequencies)
    encoding[:, -1] = 1
    return encoding.astype(numpy.float32)


def layer(graph, sizes, stack, x, cache, mask, positions):
    """One layer of attention, convolutions and feed-forward parts, and what it remembers."""
    dim, forward = sizes.dims[stack], sizes.forward_dims[stack]
    key, nonlinear, value1, value2, conv1, conv2 = cache
    frames, left = sizes.chunk // sizes.downsampling[stack], sizes.left // sizes.downsampling[stack]
    add = lambda x, y: graph.op("Add", x, y)
    before = x
    weights, key = attention_weights(graph, sizes, stack, x, key, mask, positions)
    x = add(x, feed_forward(graph, x, dim, forward * 3 // 4))
    y, nonlinear = nonlinear_attention(graph, x, graph.slice(weights, 0, 0, 1), nonlinear, frames, left, dim)
    x = add(x, y)
    y, value1 = self_attention(graph, sizes, stack, x, weights, value1)
    x = add(x, y)
    y, conv1 = convolution_module(graph, x, conv1, frames, dim, sizes.kernels[stack])
    x = add(x, y)
    x = add(x, feed_forward(graph, x, dim, forward))
    x = bypass(graph, before, x, dim)
    y, value2 = self_attention(graph, sizes, stack, x, weights, value2)
    x = add(x, y)
    y, conv2 = convolution_module(graph, x, conv2, frames, dim, sizes.kernels[stack])
    x = add(x, y)
    x = add(x, feed_forward(graph, x, dim, forward * 5 // 4))
    x = bypass(graph, before, bias_norm(graph, x, dim), dim)
    return x, [key, nonlinear, value1, value2, conv1, conv2]


def attention_weights(graph, sizes, stack, x, cache, mask, positions):
    """(heads, N, frames, left + frames), and the keys that are remembered."""
    heads, query, place = sizes.heads[stack], sizes.query_dim, sizes.position_head_dim
    frames, left = sizes.chunk // sizes.downsampling[stack], sizes.left // sizes.downsampling[stack]
    seen, span = left + frames, 2 * frames - 1 + left
    x = graph.linear(x, sizes.dims[stack], (2 * query + place) * heads, query**-0.25)
    q = graph.slice(x, 2, 0, query * heads)
    k = graph.op("Concat", cache, graph.slice(x, 2, query * heads, 2 * query * heads), axis=0)
    p = graph.slice(x, 2, 2 * query * heads, (2 * query + place) * heads)
    cache = graph.slice(k, 0, frames, seen)
    q = graph.transpose(graph.reshape(q, frames, -1, heads, query), 2, 1, 0, 3)
    k = graph.transpose(graph.reshape(k, seen, -1, heads, query), 2, 1, 3, 0)
    p = graph.transpose(graph.reshape(p, frames, -1, heads, place), 2, 1, 0, 3)
    where = positions @ graph.uniform(0.05, sizes.position_dim, heads * place)
    where = where.reshape(span, heads, place).transpose(1, 2, 0)[:, None]
    places = graph.op("MatMul", p, numpy.ascontiguousarray(where))
    scores = graph.op("MatMul", q, k)
    # From distances to places: row t begins frames - 1 - t further on.
    columns = numpy.arange(frames - 1, -1, -1, dtype=numpy.int64)[:, None] + numpy.arange(seen, dtype=numpy.int64)
    columns = graph.op("Expand", columns[None, None], graph.op("Shape", scores))
    scores = graph.op("Add", scores, graph.op("GatherElements", places, columns, axis=3))
    scores = graph.op("Where", graph.unsqueeze(mask, 1), numpy.float32(-1000), scores)
    return graph.op("Softmax", scores, axis=-1), cache


def self_attention(graph, sizes, stack, x, weights, cache):
    heads, value, dim = sizes.heads[stack], sizes.value_dim, sizes.dims[stack]
    frames, left = sizes.chunk // sizes.downsampling[stack], sizes.left // sizes.downsampling[stack]
    x = graph.op("Concat", cache, graph.linear(x, dim, heads * value), axis=0)
    cache = graph.slice(x, 0, frames, frames + left)
    x = graph.transpose(graph.reshape(x, frames + left, -1, heads, value), 2, 1, 0, 3)
    x = graph.transpose(graph.op("MatMul", weights, x), 2, 1, 0, 3)
    return graph.linear(graph.reshape(x, frames, -1, heads * value), heads * value, dim, 0.5), cache


def nonlinear_attention(graph, x, weights, cache, frames, left, dim):
    hidden = 3 * dim // 4
    s, x, y = graph.op("Split", graph.linear(x, dim, 3 * hidden), count=3, axis=2)
    x = graph.op("Mul", x, graph.op("Tanh", s))
    x = graph.transpose(graph.reshape(x, frames, -1, 1, hidden), 2, 1, 0, 3)
    x = graph.op("Concat", cache, x, axis=2)
    cache = graph.slice(x, 2, frames, frames + left)
    x = graph.transpose(graph.op("MatMul", weights, x), 2, 1, 0, 3)
    x = graph.op("Mul", graph.reshape(x, frames, -1, hidden), y)
    return graph.linear(x, hidden, dim, 0.5), cache


def convolution_module(graph, x, cache, frames, dim, kernel):
    """Gated, one causal and one convolution within the chunk, channel by channel."""
    left = kernel // 2
    x, gate = graph.op("Split", graph.linear(x, dim, 2 * dim), count=2, axis=2)
    x = graph.transpose(graph.op("Mul", x, graph.op("Sigmoid", gate)), 1, 2, 0)
    around = graph.op("Concat", cache, x, axis=2)
    cache = graph.slice(around, 2, frames, frames + left)
    causal = convolution(graph, around, dim, 1, ((kernel + 1) // 2,), group=dim)
    inside = convolution(graph, x, dim, 1, (kernel,), group=dim, pads=[left, left])
    inside = graph.op("Mul", inside, 1 + graph.uniform(0.1, dim, frames))
    x = graph.transpose(graph.op("Add", inside, causal), 2, 0, 1)
    return graph.linear(swoosh_right(graph, x), dim, dim, 0.5), cache


def feed_forward(graph, x, dim, hidden):
    return graph.linear(swoosh_left(graph, graph.linear(x, dim, hidden)), hidden, dim, 0.5)
