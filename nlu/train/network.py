"""A small perceptron in plain numpy: soft targets, sample weights, dropout, Adam. And its ONNX graph."""

import numpy
import onnx
from onnx import TensorProto, helper

LIMIT = 4.0


class Scaler:
    """Robust centre and spread per feature, learnt from the training rows."""

    def __init__(self, rows):
        self.centre = numpy.median(rows, axis=0)
        spread = (numpy.quantile(rows, 0.84, axis=0) - numpy.quantile(rows, 0.16, axis=0)) / 2
        self.scale = 1 / numpy.maximum(spread, 1e-3)

    def __call__(self, rows):
        return numpy.clip((rows - self.centre) * self.scale, -LIMIT, LIMIT).astype(numpy.float32)


class Network:
    """Rows -> hidden layers of ReLU -> softmax over 4 classes; dropout after the input and each hidden layer."""

    def __init__(self, sizes, random):
        self.weights = [random.normal(0, numpy.sqrt(2 / a), (a, b)).astype(numpy.float32) for a, b in zip(sizes, sizes[1:])]
        self.biases = [numpy.zeros(b, numpy.float32) for b in sizes[1:]]

    def logits(self, x, drop=(), random=None):
        kept = [x]
        for depth, (w, b) in enumerate(zip(self.weights, self.biases)):
            x = kept[-1]
            if drop:
                mask = (random.random(x.shape, numpy.float32) >= drop[depth]) / numpy.float32(1 - drop[depth])
                x = x * mask
                kept[-1] = x
            x = x @ w + b
            kept.append(numpy.maximum(x, 0) if depth + 1 < len(self.weights) else x)
        return kept[-1], kept

    def probabilities(self, x):
        return softmax(self.logits(x)[0])

    def fit(self, x, targets, weights, random, epochs, rate=2e-3, decay=2e-3, drop=(0.1, 0.3, 0.3), batch=512):
        """Minimises weighted cross entropy with Adam and a cosine rate."""
        parameters = self.weights + self.biases
        first = [numpy.zeros_like(p) for p in parameters]
        second = [numpy.zeros_like(p) for p in parameters]
        steps = epochs * (len(x) // batch)
        step = 0
        for _ in range(epochs):
            for rows in numpy.array_split(random.permutation(len(x)), max(len(x) // batch, 1)):
                step += 1
                now = rate * 0.5 * (1 + numpy.cos(numpy.pi * min(step / steps, 1)))
                gradients = self.gradients(x[rows], targets[rows], weights[rows], drop, random)
                for i, gradient in enumerate(gradients):
                    first[i] += 0.1 * (gradient - first[i])
                    second[i] += 0.001 * (gradient**2 - second[i])
                    update = first[i] / (1 - 0.9**step) / (numpy.sqrt(second[i] / (1 - 0.999**step)) + 1e-8)
                    if i < len(self.weights):
                        update = update + decay * parameters[i] / rate
                    parameters[i] -= now * update
        return self

    def gradients(self, x, targets, weights, drop, random):
        logits, kept = self.logits(x, drop, random)
        delta = ((softmax(logits) - targets) * weights[:, None] / weights.sum()).astype(numpy.float32)
        by_weight, by_bias = [], []
        for depth in reversed(range(len(self.weights))):
            by_weight.insert(0, kept[depth].T @ delta)
            by_bias.insert(0, delta.sum(axis=0))
            if depth:
                delta = (delta @ self.weights[depth].T) * (kept[depth] > 0) / (1 - drop[depth])
        return by_weight + by_bias

    def parameters(self):
        return sum(p.size for p in self.weights + self.biases)


def softmax(x):
    e = numpy.exp(x - x.max(axis=1, keepdims=True))
    return e / e.sum(axis=1, keepdims=True)


def export(path, scaler, networks, temperature, names, version):
    """Writes scaling, the mean of the networks' logits, and softmax as one graph: features (N, F) -> (N, 4)."""
    constants, nodes = [], []

    def constant(name, value):
        constants.append(onnx.numpy_helper.from_array(numpy.asarray(value, numpy.float32), name))
        return name

    def node(kind, inputs, output, **attributes):
        nodes.append(helper.make_node(kind, inputs, [output], **attributes))
        return output

    x = node("Sub", ["features", constant("centre", scaler.centre)], "centred")
    x = node("Mul", [x, constant("scale", scaler.scale)], "scaled")
    scaled = node("Clip", [x, constant("low", -LIMIT), constant("high", LIMIT)], "cut")
    logits = []
    for i, network in enumerate(networks):
        x = scaled
        for depth, (w, b) in enumerate(zip(network.weights, network.biases)):
            at = f"{i}_{depth}"
            x = node("Gemm", [x, constant(f"weight_{at}", w), constant(f"bias_{at}", b)], f"sum_{at}")
            if depth + 1 < len(network.weights):
                x = node("Relu", [x], f"hidden_{at}")
        logits.append(x)
    x = node("Sum", logits, "logits")
    x = node("Mul", [x, constant("sharpness", 1 / (len(networks) * temperature))], "sharpened")
    node("Softmax", [x], "probabilities", axis=1)
    shape = lambda name, width: helper.make_tensor_value_info(name, TensorProto.FLOAT, ["rows", width])
    graph = helper.make_graph(nodes, "acoustic", [shape("features", len(names))], [shape("probabilities", 4)], constants)
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], producer_name="calmline", ir_version=9)
    helper.set_model_props(model, {"version": version})
    onnx.checker.check_model(model)
    onnx.save(model, path)
