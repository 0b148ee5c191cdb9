"""A chain of convolutions that learns: plain numpy, so that nobody needs a training framework to check the figures.

Matrix products do the work; everything else is arranging numbers for them. Pictures are (n, height, width, channels).
"""

from collections.abc import Iterator

import numpy as np
import numpy.typing as npt
import onnx
from onnx import helper, numpy_helper

Floats = npt.NDArray[np.float32]
OPSET = 17  # of the exported models: old enough for every runtime we support


class Layer:
    """One convolution without padding, with or without a ramp behind it; Adam's moments live beside the weights."""

    def __init__(
        self,
        random: np.random.Generator,
        inputs: int,
        outputs: int,
        kernel: int,
        stride: int = 1,
        ramp: bool = True,
    ) -> None:
        self.kernel, self.stride, self.ramp, self.inputs = kernel, stride, ramp, inputs
        fan_in = kernel * kernel * inputs
        deviation = np.sqrt((2.0 if ramp else 0.2) / fan_in)
        self.weights: Floats = (random.standard_normal((fan_in, outputs)) * deviation).astype(np.float32)
        self.bias: Floats = np.zeros(outputs, np.float32)
        self.moments = [np.zeros_like(each) for each in (self.weights, self.weights, self.bias, self.bias)]

    def forward(self, values: Floats) -> Floats:
        """(n, height, width, inputs) to (n, height', width', outputs)."""
        windows = np.lib.stride_tricks.sliding_window_view(values, (self.kernel, self.kernel), (1, 2))
        windows = windows[:, :: self.stride, :: self.stride]
        count, rows, columns = windows.shape[:3]
        self.shape = values.shape
        self.columns = windows.transpose(0, 1, 2, 4, 5, 3).reshape(count * rows * columns, -1)
        result = self.columns @ self.weights + self.bias
        if self.ramp:
            np.maximum(result, 0, out=result)
            self.passed = result > 0
        return result.reshape(count, rows, columns, -1)

    def backward(self, slope: Floats, first: bool) -> Floats | None:
        """The loss's slope by the weights, kept, and by the inputs, returned unless this layer is the first."""
        count, rows, columns, outputs = slope.shape
        slope = slope.reshape(-1, outputs)
        if self.ramp:
            slope = slope * self.passed
        self.slopes = [self.columns.T @ slope, slope.sum(0)]
        if first:
            return None
        spread = (slope @ self.weights.T).reshape(count, rows, columns, self.kernel, self.kernel, self.inputs)
        result = np.zeros(self.shape, np.float32)
        reach_y, reach_x = (rows - 1) * self.stride + 1, (columns - 1) * self.stride + 1
        for y in range(self.kernel):
            for x in range(self.kernel):
                place = result[:, y : y + reach_y : self.stride, x : x + reach_x : self.stride]
                place += spread[:, :, :, y, x]
        return result

    def step(self, rate: float, time_step: int, decay: float) -> None:
        """One step of Adam with decoupled weight decay."""
        self.weights *= 1 - rate * decay
        for index, (value, slope) in enumerate(zip((self.weights, self.bias), self.slopes, strict=True)):
            first, second = self.moments[2 * index : 2 * index + 2]
            first += 0.1 * (slope - first)
            second += 0.001 * (slope * slope - second)
            corrected = first / (1 - 0.9**time_step)
            np.subtract(value, rate * corrected / (np.sqrt(second / (1 - 0.999**time_step)) + 1e-8), out=value)


class Network:
    """Layers one behind the other."""

    def __init__(self, layers: list[Layer]) -> None:
        self.layers = layers
        self.steps = 0

    def forward(self, values: Floats) -> Floats:
        for layer in self.layers:
            values = layer.forward(values)
        return values

    def learn(self, slope: Floats, rate: float, decay: float = 1e-3) -> None:
        """Take one step against `slope`, the loss's slope by the last forward pass's result."""
        self.steps += 1
        for index in range(len(self.layers) - 1, -1, -1):
            back = self.layers[index].backward(slope, index == 0)
            self.layers[index].step(rate, self.steps, decay)
            if back is not None:
                slope = back

    def nodes(self, first: str, last: str, pad: int = 0) -> tuple[list[onnx.NodeProto], list[onnx.TensorProto]]:
        """The same chain as ONNX nodes from the value `first` to the value `last`, channels before rows."""
        nodes, weights, value = [], [], first
        for index, layer in enumerate(self.layers):
            name = last if index == len(self.layers) - 1 else f"{last}{index}"
            kernel = layer.weights.reshape(layer.kernel, layer.kernel, layer.inputs, -1).transpose(3, 2, 0, 1)
            weights.append(numpy_helper.from_array(np.ascontiguousarray(kernel), f"{name}_kernel"))
            weights.append(numpy_helper.from_array(layer.bias, f"{name}_bias"))
            convolved = f"{name}_convolved" if layer.ramp else name
            nodes.append(
                helper.make_node(
                    "Conv",
                    [value, f"{name}_kernel", f"{name}_bias"],
                    [convolved],
                    strides=[layer.stride] * 2,
                    pads=[pad if index == 0 else 0] * 4,
                )
            )
            if layer.ramp:
                nodes.append(helper.make_node("Relu", [convolved], [name]))
            value = name
        return nodes, weights


def batches(
    random: np.random.Generator, count: int, size: int, epochs: int, rate: float
) -> Iterator[tuple[npt.NDArray[np.int64], float]]:
    """Which samples to learn from next, all of them once an epoch, and how fast: warming up, then down a cosine."""
    a_round = count // size
    steps = epochs * a_round
    order = random.permutation(count)
    for step in range(steps):
        if step % a_round == 0:
            order = random.permutation(count)
        warm = min(1.0, (step + 1) / (0.05 * steps))
        yield order[step % a_round * size :][:size], rate * warm * 0.5 * (1 + np.cos(np.pi * step / steps))


def sigmoid(values: Floats) -> Floats:
    return np.asarray(1 / (1 + np.exp(-np.clip(values, -30, 30))), np.float32)


def exported(
    nodes: list[onnx.NodeProto],
    weights: list[onnx.TensorProto],
    constants: dict[str, npt.NDArray[np.generic]],
    image: onnx.ValueInfoProto,
    outputs: list[onnx.ValueInfoProto],
) -> onnx.ModelProto:
    """The nodes as a checked model; `constants` are values they name."""
    known = [numpy_helper.from_array(value, name) for name, value in constants.items()]
    graph = helper.make_graph(nodes, "iris", [image], outputs, [*weights, *known])
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", OPSET)], ir_version=8)
    onnx.checker.check_model(model, full_check=True)
    return model
