"""A perceptron in plain numpy, some of them as one model, and its ONNX graph."""

import numpy
import onnx
from onnx import TensorProto, helper

from rows import USUAL_WINDOWS

LIMIT = 5.0
# So many windows of a speaker count as much as knowing nothing.
DOUBTED_WINDOWS = 2.0
# What of 8 bits is 0, how much one of their steps is, and the largest weight.
ZERO = 128
STEP = numpy.float32(LIMIT / 127)
WHOLE = 63


class Scaler:
    """Robust centre and spread per value, learnt from the training rows; beside each value, how far it is from the usual."""

    def __init__(self, values):
        self.centre = numpy.median(values, axis=0)
        spread = (numpy.quantile(values, 0.84, axis=0) - numpy.quantile(values, 0.16, axis=0)) / 2
        self.scale = (1 / numpy.maximum(spread, 0.05 * values.std(axis=0) + 1e-4)).astype(numpy.float32)

    def __call__(self, values, usual, known):
        cut = lambda x: numpy.clip((x - self.centre) * self.scale, -LIMIT, LIMIT)
        now = cut(values)
        trust = (known / (known + DOUBTED_WINDOWS))[:, None]
        return numpy.concatenate([now, numpy.clip(now - cut(usual) * trust, -LIMIT, LIMIT)], axis=1).astype(numpy.float32)


class Network:
    """Rows -> hidden layers of ReLU -> logits; dropout after the input and each hidden layer."""

    def __init__(self, sizes, random):
        self.weights = [random.normal(0, numpy.sqrt(2 / a), (a, b)).astype(numpy.float32) for a, b in zip(sizes, sizes[1:])]
        self.weights[-1] *= numpy.float32(0.3)
        self.biases = [numpy.zeros(b, numpy.float32) for b in sizes[1:]]

    def logits(self, x):
        for depth, (w, b) in enumerate(zip(self.weights, self.biases)):
            x = x @ w + b
            if depth + 1 < len(self.weights):
                x = numpy.maximum(x, 0)
        return x

    def fit(self, x, targets, possible, weights, random, epochs, rate=1.5e-3, decay=1e-3, drop=(0.3, 0.5), batch=256):
        """Minimises weighted cross entropy over the `possible` classes of each row with Adam, a cosine rate and mixed rows."""
        parameters = self.weights + self.biases
        first = [numpy.zeros_like(p) for p in parameters]
        second = [numpy.zeros_like(p) for p in parameters]
        steps = epochs * (len(x) // batch)
        for step in range(1, steps + 1):
            if (step - 1) % (len(x) // batch) == 0:
                order = iter(numpy.array_split(random.permutation(len(x)), len(x) // batch))
            rows = next(order)
            now = rate * 0.5 * (1 + numpy.cos(numpy.pi * step / steps)) * min(1, step / 50)
            mixed, wanted = mix(x[rows], targets[rows], possible[rows], random)
            gradients = self.gradients(mixed, wanted, possible[rows], weights[rows], drop, random)
            for i, gradient in enumerate(gradients):
                first[i] += 0.1 * (gradient - first[i])
                second[i] += 0.001 * (gradient**2 - second[i])
                update = first[i] / (1 - 0.9**step) / (numpy.sqrt(second[i] / (1 - 0.999**step)) + 1e-8)
                if i < len(self.weights):
                    update = update + decay / rate * parameters[i]
                parameters[i] -= (now * update).astype(numpy.float32)
        return self

    def gradients(self, x, targets, possible, weights, drop, random):
        kept = []
        for depth, (w, b) in enumerate(zip(self.weights, self.biases)):
            if drop[depth]:
                x = x * ((random.random(x.shape, numpy.float32) >= drop[depth]) / numpy.float32(1 - drop[depth]))
            kept.append(x)
            x = x @ w + b
            if depth + 1 < len(self.weights):
                x = numpy.maximum(x, 0)
        delta = ((softmax(numpy.where(possible, x, -1e9)) - targets) * weights[:, None] / weights.sum()).astype(numpy.float32)
        by_weight, by_bias = [], []
        for depth in reversed(range(len(self.weights))):
            by_weight.insert(0, kept[depth].T @ delta)
            by_bias.insert(0, delta.sum(axis=0))
            if depth:
                delta = (delta @ self.weights[depth].T) * (kept[depth] > 0) / (1 - drop[depth])
        return by_weight + by_bias

    def parameters(self):
        return sum(p.size for p in self.weights + self.biases)


def mix(x, targets, possible, random, strength=0.4):
    """Each row mixed with another one that has the same possible classes (Zhang et al. 2018)."""
    other = random.permutation(len(x))
    share = random.beta(strength, strength, (len(x), 1)).astype(numpy.float32)
    share = numpy.where((possible == possible[other]).all(axis=1, keepdims=True), share, numpy.float32(1))
    return share * x + (1 - share) * x[other], share * targets + (1 - share) * targets[other]


def softmax(x):
    e = numpy.exp(x - x.max(axis=1, keepdims=True))
    return e / e.sum(axis=1, keepdims=True)


def in_eight_bits(weights):
    """Weights (A, B) as whole numbers, and per column what they are multiplied by. Seven bits and a sign less one are used: where a
    processor adds products of 8 bits up in 16, larger ones would not fit."""
    of_column = numpy.abs(weights).max(axis=0) / WHOLE
    return numpy.round(weights / of_column), of_column.astype(numpy.float32)


def export(path, scaler, networks, temperature, version):
    """Writes scaling, the mean of the logits of networks with one hidden layer, and softmax as one graph: features (N, F) -> (N, C).

    What goes into the hidden layer is within ±LIMIT, so that it has 8 bits by a step that never changes: a window's numbers do not
    depend on which other ones are in the run.
    """
    constants, nodes = [], []

    def constant(name, value, kind=numpy.float32):
        constants.append(onnx.numpy_helper.from_array(numpy.asarray(value, kind), name))
        return name

    def node(kind, inputs, output, **attributes):
        nodes.append(helper.make_node(kind, inputs, [output], **attributes))
        return output

    width = len(scaler.centre)
    widths = constant("widths", [width, width, 1], numpy.int64)
    nodes.append(helper.make_node("Split", ["features", widths], ["values", "usual", "share"], axis=1))
    centre, scale = constant("centre", scaler.centre), constant("scale", scaler.scale)
    low, high = constant("low", -LIMIT), constant("high", LIMIT)

    def cut(name):
        scaled = node("Mul", [node("Sub", [name, centre], f"{name}_centred"), scale], f"{name}_scaled")
        return node("Clip", [scaled, low, high], f"{name}_cut")

    known = node("Mul", ["share", constant("windows", USUAL_WINDOWS)], "known")
    trust = node("Div", [known, node("Add", [known, constant("doubted", DOUBTED_WINDOWS)], "heard")], "trust")
    away = node("Sub", [cut("values"), node("Mul", [cut("usual"), trust], "expected")], "away")
    rows = node("Concat", ["values_cut", node("Clip", [away, low, high], "away_cut")], "rows", axis=1)
    # The networks side by side are one with all their hidden values.
    first, second = zip(*(network.weights for network in networks))
    weights, of_column = in_eight_bits(numpy.concatenate(first, axis=1))
    zero = constant("zero", ZERO, numpy.uint8)
    rows = node("QuantizeLinear", [rows, constant("step", STEP), zero], "rows_in_8_bits")
    summed = node("MatMulInteger", [rows, constant("weights_in_8_bits", weights, numpy.int8), zero], "sums_in_32_bits")
    summed = node("Cast", [summed], "sums", to=TensorProto.FLOAT)
    summed = node("Mul", [summed, constant("of_column", of_column * STEP)], "sums_scaled")
    hidden = numpy.concatenate([network.biases[0] for network in networks])
    hidden = node("Relu", [node("Add", [summed, constant("hidden_bias", hidden)], "sums_biased")], "hidden")
    bias = sum(network.biases[1] for network in networks)
    x = node("Gemm", [hidden, constant("weights", numpy.concatenate(second)), constant("bias", bias)], "logits")
    x = node("Mul", [x, constant("sharpness", 1 / (len(networks) * temperature))], "sharpened")
    node("Softmax", [x], "probabilities", axis=1)
    classes = len(networks[0].biases[-1])
    shape = lambda name, size: helper.make_tensor_value_info(name, TensorProto.FLOAT, ["rows", size])
    outlets = [shape("features", 2 * width + 1)], [shape("probabilities", classes)]
    graph = helper.make_graph(nodes, "acoustic", *outlets, constants)
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], producer_name="calmline", ir_version=9)
    helper.set_model_props(model, {"version": version})
    onnx.checker.check_model(model)
    onnx.save(model, path)
