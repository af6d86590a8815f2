"""The trained network as an ONNX graph with weights of 8 bits per channel, and its card: `python export.py WORK VERSION`."""

import hashlib
import json
import pathlib
import sys

import jax
import numpy
import onnx
import onnxruntime
from onnx import TensorProto, helper, numpy_helper

import network
from spectra import BANDS
from tokens import Tokens

MODELS = pathlib.Path(__file__).resolve().parents[2] / "models"
# What is fitted by judge.py; here so that a graph can be judged before it has been.
UNFITTED = {"even": 3.0, "mean": 2.0, "tokens": 1.0}


class Graph:
    """Nodes and weights, each with a name of its own."""

    def __init__(self):
        self.nodes, self.initializers, self.count = [], [], 0

    def node(self, kind, *inputs, **attributes):
        self.count += 1
        name = f"{kind}_{self.count}"
        self.nodes.append(helper.make_node(kind, list(inputs), [name], name, **attributes))
        return name

    def exact(self, name, value):
        self.initializers.append(numpy_helper.from_array(numpy.ascontiguousarray(value), name))
        return name

    def rounded(self, name, value, axis=-1):
        """Weights as whole numbers of 8 bits and a scale for each place of one axis."""
        value = numpy.asarray(value, numpy.float32)
        others = tuple(each for each in range(value.ndim) if each != axis % value.ndim)
        scale = numpy.maximum(numpy.abs(value).max(axis=others, keepdims=True), 1e-8) / 127
        self.exact(f"{name}_8", numpy.round(value / scale).astype(numpy.int8))
        self.exact(f"{name}_scale", scale.astype(numpy.float32))
        whole = self.node("Cast", f"{name}_8", to=TensorProto.FLOAT)
        return self.node("Mul", whole, f"{name}_scale")

    def silu(self, x):
        return self.node("Mul", x, self.node("Sigmoid", x))

    def norm(self, x, scale, bias, name):
        return self.node("LayerNormalization", x, self.exact(f"{name}_scale", scale), self.exact(f"{name}_bias", bias), axis=-1, epsilon=1e-5)

    def dense(self, x, weights, bias, name):
        product = self.node("MatMul", x, self.rounded(name, weights))
        return self.node("Add", product, self.exact(f"{name}_bias", bias))

    def strided(self, x, weights, bias, name):
        """A convolution over 5 frames, every second of them, from (N, C, T) to the same."""
        kernel = weights.reshape(5, -1, weights.shape[1]).transpose(2, 1, 0)
        return self.node("Conv", x, self.rounded(name, kernel, 0), self.exact(f"{name}_bias", bias), pads=[2, 2], strides=[2], kernel_shape=[5])

    def near(self, x, weights, bias, name):
        """A convolution over steps for each channel by itself, from (N, T, C) to the same."""
        kernel = weights.T[:, None, :]
        turned = self.node("Transpose", x, perm=[0, 2, 1])
        pads = [network.KERNEL - 1 - network.AHEAD, network.AHEAD]
        made = self.node("Conv", turned, self.rounded(name, kernel, 0), self.exact(f"{name}_bias", bias), pads=pads, kernel_shape=[network.KERNEL], group=network.WIDTH)
        return self.node("Transpose", made, perm=[0, 2, 1])


def graph(weights, tokens, version):
    """The whole model."""
    g = Graph()
    x = g.node("Transpose", "energies", perm=[0, 2, 1])
    x = g.silu(g.strided(x, weights["front1"], weights["front1_bias"], "front1"))
    x = g.strided(x, weights["front2"], weights["front2_bias"], "front2")
    x = g.norm(g.node("Transpose", x, perm=[0, 2, 1]), weights["norm"], weights["norm_bias"], "norm")
    for block in range(network.BLOCKS):
        of = lambda name: weights[f"{block}/{name}"]
        y = g.near(x, of("near"), of("near_bias"), f"{block}/near")
        y = g.norm(y, of("norm"), of("norm_bias"), f"{block}/norm")
        y = g.silu(g.dense(y, of("wide"), of("wide_bias"), f"{block}/wide"))
        x = g.node("Add", x, g.dense(y, of("back"), of("back_bias"), f"{block}/back"))
    made = network.head(weights, network.makeup(tokens))
    x = g.dense(x, made, weights["own_bias"], "last")
    g.nodes.append(helper.make_node("LogSoftmax", [x], ["likelihoods"], axis=-1))
    given = helper.make_tensor_value_info("energies", TensorProto.FLOAT, ["calls", "frames", BANDS])
    told = helper.make_tensor_value_info("likelihoods", TensorProto.FLOAT, ["calls", "steps", len(tokens.names)])
    model = helper.make_model(helper.make_graph(g.nodes, "words", [given], [told], g.initializers), opset_imports=[helper.make_opsetid("", 17)])
    model.ir_version = 8
    helper.set_model_props(model, {"version": version})
    onnx.checker.check_model(model)
    return model


def card(tokens, version, graph_bytes, parameters, certainty):
    readings = {}
    for character, syllables in sorted(tokens.table.items()):
        for syllable in syllables:
            readings[syllable] = readings.get(syllable, "") + character
    return {
        "name": "words",
        "version": version,
        "tokens": tokens.names,
        "readings": readings,
        "certainty": certainty,
        "sha256": hashlib.sha256(graph_bytes).hexdigest(),
        "parameters": parameters,
    }


def main(work, version, models=MODELS):
    tokens = Tokens()
    with numpy.load(work / "weights.npz") as file:
        weights = dict(file)
    made = graph(weights, tokens, version).SerializeToString()
    # The head in the middle is for training alone, and the last layer's parts are one.
    left_out = ("pieces", "pieces_bias", "sounds")
    parameters = sum(value.size for name, value in weights.items() if name not in left_out)
    fitted = work / "certainty.json"
    certainty = json.loads(fitted.read_text()) if fitted.exists() else {"syllables": UNFITTED, "letters": UNFITTED}
    (models / "words.onnx").write_bytes(made)
    text = json.dumps(card(tokens, version, made, parameters, certainty), ensure_ascii=False, indent=1)
    (models / "words.json").write_text(text + "\n", encoding="utf-8")
    print(f"words.onnx: {len(made)} bytes, {parameters} weights; {apart(made, weights, tokens):.3f} from the network on average")


def apart(made, weights, tokens):
    """How far the graph's logarithms are from those of the network, whose weights are not rounded."""
    values = numpy.random.default_rng(1).normal(0, 0.7, (2, 240, BANDS)).astype(numpy.float32)
    told = onnxruntime.InferenceSession(made).run(None, {"energies": values})[0]
    scores, _ = network.logits(weights, network.makeup(tokens), values)
    return float(numpy.abs(told - jax.nn.log_softmax(scores)).mean())


if __name__ == "__main__":
    main(pathlib.Path(sys.argv[1]), sys.argv[2])
