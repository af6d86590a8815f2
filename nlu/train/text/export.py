"""The trained parts as one ONNX graph with weights of 8 bits: tokens (N, T), grams (N, G) -> probabilities (N, 20)."""

import numpy
import onnx
from onnx import TensorProto, helper

from deep import EMBEDDING, HEADS as ATTENTION_HEADS, LAYERS, WIDTH
from rows import GENRES, HEADS, OUTPUTS, SEVERAL, STARTS
from wide import spread

# Of the weights of a column so many are kept as they are; the few larger ones are cut.
KEPT = 0.99995
MATRICES = ("convolution", "hidden", "head", "query", "key", "value", "mixed", "inner", "outer")


def rounded(matrix):
    """A matrix as 8-bit numbers and a scale per column."""
    limit = numpy.maximum(numpy.quantile(numpy.abs(matrix), KEPT, axis=0, method="lower"), 1e-6)
    scale = (limit / 127).astype(numpy.float32)
    return numpy.clip(numpy.round(matrix / scale), -127, 127).astype(numpy.int8), scale


def is_rounded(name):
    return name == "embedding" or name.rsplit("_", 1)[0] in MATRICES or name in MATRICES


def as_exported(weights):
    """The weights as the graph will use them."""
    found = {}
    for name, value in weights.items():
        if is_rounded(name) and value.ndim == 2:
            small, scale = rounded(value)
            value = small.astype(numpy.float32) * scale
        found[name] = value
    return found


class Graph:
    """Nodes and constants of a graph under construction."""

    def __init__(self):
        self.nodes, self.constants, self.count = [], [], 0

    def constant(self, value, kind=numpy.float32):
        self.count += 1
        name = f"constant_{self.count}"
        self.constants.append(onnx.numpy_helper.from_array(numpy.asarray(value, kind), name))
        return name

    def node(self, kind, *inputs, output=None, **attributes):
        self.count += 1
        output = output or f"{kind.lower()}_{self.count}"
        self.nodes.append(helper.make_node(kind, list(inputs), [output], **attributes))
        return output

    def scaled(self, small, scale):
        """8-bit numbers as what they mean. No DequantizeLinear: the runtime would round what it is multiplied with, too."""
        return self.node("Mul", self.node("Cast", self.constant(small, numpy.int8), to=TensorProto.FLOAT), self.constant(scale))

    def linear(self, x, weight, bias=None):
        x = self.node("MatMul", x, self.scaled(*rounded(weight)))
        return x if bias is None else self.node("Add", x, self.constant(bias))

    def looked_up(self, table, rows):
        """Rows of a table of 8-bit numbers, not yet scaled, and the scale."""
        small, scale = rounded(table)
        found = self.node("Gather", self.constant(small, numpy.int8), rows)
        return self.node("Cast", found, to=TensorProto.FLOAT), self.constant(scale)

    def shape(self, x, *dimensions):
        return self.node("Reshape", x, self.constant(dimensions, numpy.int64))

    def there(self, rows):
        return self.node("Cast", self.node("Greater", rows, self.constant(0, numpy.int32)), to=TensorProto.FLOAT)

    def total(self, kind, x, axis, keep=0):
        if kind == "ReduceSum":
            return self.node(kind, x, self.constant([axis], numpy.int64), keepdims=keep)
        return self.node(kind, x, axes=[axis], keepdims=keep)


def wide_part(graph, wide):
    values, scale = graph.looked_up(wide.weights, "grams")
    there = graph.there("grams")
    number = graph.node("Max", graph.total("ReduceSum", there, 1, keep=1), graph.constant(1))
    mask = graph.node("Unsqueeze", there, graph.constant([2], numpy.int64))
    x = graph.node("Mul", graph.total("ReduceSum", graph.node("Mul", values, mask), 1), scale)
    return graph.node("Add", graph.node("Div", x, graph.node("Sqrt", number)), graph.constant(wide.bias))


def deep_part(graph, weights):
    there = graph.there("tokens")
    mask = graph.node("Unsqueeze", there, graph.constant([2], numpy.int64))
    x, scale = graph.looked_up(weights["embedding"], "tokens")
    x = graph.node("Mul", graph.node("Mul", x, scale), mask)
    x = graph.node("Transpose", x, perm=[0, 2, 1])
    small, scale = rounded(weights["convolution"])
    kernel = small.T.reshape(WIDTH, 3, EMBEDDING).transpose(0, 2, 1)
    kernel = graph.scaled(kernel, scale[:, None, None])
    x = graph.node("Conv", x, kernel, graph.constant(weights["convolution_bias"]), kernel_shape=[3], pads=[1, 1])
    x = graph.node("Mul", graph.node("Transpose", graph.node("Relu", x), perm=[0, 2, 1]), mask)
    x = graph.total("ReduceMax", graph.shape(x, 0, -1, 2, WIDTH), 2)
    there = graph.total("ReduceMax", graph.shape(there, 0, -1, 2), 2)
    width = graph.node("Slice", graph.node("Shape", x), *(graph.constant([n], numpy.int64) for n in (1, 2)))
    zero = graph.constant([0], numpy.int64)
    x = graph.node("Add", x, graph.node("Slice", graph.constant(weights["place"]), zero, width))
    for layer in range(LAYERS):
        x = layer_part(graph, weights, layer, x, there)
    mask = graph.node("Unsqueeze", there, graph.constant([2], numpy.int64))
    number = graph.node("Max", graph.total("ReduceSum", there, 1, keep=1), graph.constant(1))
    mean = graph.node("Div", graph.total("ReduceSum", graph.node("Mul", x, mask), 1), number)
    far = graph.node("Where", graph.node("Greater", mask, graph.constant(0)), x, graph.constant(-10))
    x = graph.node("Concat", mean, graph.total("ReduceMax", far, 1), axis=1)
    x = graph.node("Relu", graph.linear(x, weights["hidden"], weights["hidden_bias"]))
    return graph.linear(x, weights["head"], weights["head_bias"])


def layer_part(graph, weights, layer, x, there):
    w = lambda name: weights[f"{name}_{layer}"]
    norm = lambda name, y: graph.node(
        "LayerNormalization", y, graph.constant(w(f"{name}_scale")), graph.constant(w(f"{name}_shift")), epsilon=1e-5
    )
    y = norm("before", x)
    part = WIDTH // ATTENTION_HEADS
    split = lambda name: graph.node(
        "Transpose", graph.shape(graph.linear(y, w(name)), 0, 0, ATTENTION_HEADS, part), perm=[0, 2, 1, 3]
    )
    query, key, value = (split(name) for name in ("query", "key", "value"))
    score = graph.node("MatMul", query, graph.node("Transpose", key, perm=[0, 1, 3, 2]))
    score = graph.node("Mul", score, graph.constant(part**-0.5))
    gone = graph.node("Mul", graph.node("Sub", graph.constant(1), there), graph.constant(-1e9))
    score = graph.node("Add", score, graph.node("Unsqueeze", gone, graph.constant([1, 2], numpy.int64)))
    mixed = graph.node("MatMul", graph.node("Softmax", score, axis=-1), value)
    mixed = graph.shape(graph.node("Transpose", mixed, perm=[0, 2, 1, 3]), 0, 0, WIDTH)
    x = graph.node("Add", x, graph.linear(mixed, w("mixed")))
    inner = graph.node("Relu", graph.linear(norm("between", x), w("inner"), w("inner_bias")))
    return graph.node("Add", x, graph.linear(inner, w("outer"), w("outer_bias")))


def export(path, wide, weights, mix, version):
    """`mix` is how much each part counts in each genre; how probable the genres are the deep part says."""
    graph = Graph()
    bounds = lambda start, count: [graph.constant([n], numpy.int64) for n in (start, start + count, 1)]
    said = deep_part(graph, weights)
    genres = graph.node("Softmax", graph.node("Slice", said, *bounds(OUTPUTS, len(GENRES))), axis=1)
    of_all_genres = graph.constant([1], numpy.int64)
    machines = wide_part(graph, wide)
    parts = [graph.node("MatMul", machines, graph.constant(spread(second))) for second in (False, True)]
    parts.append(graph.node("Slice", said, *bounds(0, OUTPUTS)))
    logits = graph.constant(mix.bias)
    for part, share in zip(parts, mix.shares):
        part = graph.node("Mul", graph.node("Unsqueeze", part, of_all_genres), graph.constant(share))
        logits = graph.node("Add", logits, part)
    heads = []
    for head, classes in HEADS.items():
        start, end, _ = bounds(STARTS[head], len(classes))
        x = graph.node("Slice", logits, start, end, graph.constant([2], numpy.int64))
        heads.append(graph.node("Sigmoid", x) if head in SEVERAL else graph.node("Softmax", x, axis=2))
    each = graph.node("Concat", *heads, axis=2)
    each = graph.node("Mul", each, graph.node("Unsqueeze", genres, graph.constant([2], numpy.int64)))
    graph.node("ReduceSum", each, of_all_genres, output="probabilities", keepdims=0)
    ids = [helper.make_tensor_value_info(n, TensorProto.INT32, ["texts", n + "_each"]) for n in ("tokens", "grams")]
    out = [helper.make_tensor_value_info("probabilities", TensorProto.FLOAT, ["texts", OUTPUTS])]
    built = helper.make_graph(graph.nodes, "text", ids, out, graph.constants)
    model = helper.make_model(built, opset_imports=[helper.make_opsetid("", 17)], producer_name="calmline", ir_version=9)
    helper.set_model_props(model, {"version": version})
    onnx.checker.check_model(model)
    onnx.save(model, path)


def parameters(wide, weights):
    return int(wide.weights.size + wide.bias.size + sum(value.size for value in weights.values()))
