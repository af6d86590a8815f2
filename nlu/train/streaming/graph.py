"""A small ONNX graph builder: every method adds one node and answers the name of what it makes."""

import numpy
import onnx
from onnx import TensorProto, helper, numpy_helper

OPSET = 17
# What every ONNX Runtime of the last years reads.
IR_VERSION = 9


class Graph:
    """Nodes, weights and outlets of one graph; weights come from one seeded generator."""

    def __init__(self, name, seed):
        self.name = name
        self.random = numpy.random.default_rng(seed)
        self.nodes = []
        self.weights = []
        self.inputs = []
        self.outputs = []
        self.known = {}

    def input(self, name, shape, dtype=TensorProto.FLOAT):
        self.inputs.append(helper.make_tensor_value_info(name, dtype, shape))
        return name

    def output(self, name, value, shape, dtype=TensorProto.FLOAT):
        self.nodes.append(helper.make_node("Identity", [value], [name]))
        self.outputs.append(helper.make_tensor_value_info(name, dtype, shape))

    def op(self, kind, *inputs, count=1, **attributes):
        inputs = [value if isinstance(value, str) else self.constant(value) for value in inputs]
        outputs = [f"v{len(self.nodes)}_{i}" for i in range(count)]
        self.nodes.append(helper.make_node(kind, inputs, outputs, **attributes))
        return outputs[0] if count == 1 else outputs

    def constant(self, array):
        """A weight; small ones that are alike are kept once."""
        array = numpy.asarray(array)
        if array.dtype == numpy.float64:
            array = array.astype(numpy.float32)
        key = (array.dtype.str, array.shape, array.tobytes()) if array.size <= 16 else None
        if key in self.known:
            return self.known[key]
        name = f"w{len(self.weights)}"
        self.weights.append(numpy_helper.from_array(array, name))
        if key is not None:
            self.known[key] = name
        return name

    def uniform(self, bound, *shape):
        return self.random.uniform(-bound, bound, shape).astype(numpy.float32)

    # Shorthands; axes and shapes are Python lists.
    def reshape(self, x, *shape):
        return self.op("Reshape", x, numpy.array(shape, numpy.int64))

    def transpose(self, x, *order):
        return self.op("Transpose", x, perm=list(order))

    def slice(self, x, axis, start, end, step=1):
        start, end, axis, step = (numpy.array([value], numpy.int64) for value in (start, end, axis, step))
        return self.op("Slice", x, start, end, axis, step)

    def unsqueeze(self, x, *axes):
        return self.op("Unsqueeze", x, numpy.array(axes, numpy.int64))

    def linear(self, x, wide, narrow, scale=1.0):
        """`wide` numbers to `narrow`, as torch initialises it, times `scale`."""
        bound = scale / wide**0.5
        product = self.op("MatMul", x, self.uniform(bound, wide, narrow))
        return self.op("Add", product, self.uniform(bound, narrow))

    def save(self, path, metadata):
        graph = helper.make_graph(self.nodes, self.name, self.inputs, self.outputs, self.weights)
        model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", OPSET)], ir_version=IR_VERSION)
        helper.set_model_props(model, {key: str(value) for key, value in metadata.items()})
        onnx.save(model, path)
