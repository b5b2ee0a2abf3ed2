"""The engine `brox` as an ONNX graph, for the engine `onnx:FILE`: the same arithmetic as flow.brox, without torch.

On a GPU, ONNX Runtime launches a kernel for every node, and launches are what takes the time. Hence the graph is
written by hand, in few nodes that do much: stencils, selections and sums over channels are convolutions with fixed
weights. What is unrolled here node by node (levels, warps, sweeps) has a loop in flow.brox.
"""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

import numpy as np
import onnx
from numpy.typing import ArrayLike
from onnx import TensorProto, helper, numpy_helper

from amtnet_ros.errors import UserError
from amtnet_ros.files import write_whole
from amtnet_ros.flow.brox_options import PRESETS, BroxOptions, chebyshev_weights, level_sizes, smoothing_kernel
from amtnet_ros.flow.contract import WORKING_SIZE
from amtnet_ros.flow.onnx_engine import INPUTS, OUTPUT

OPSET = 20
IR_VERSION = 9

# Channels of a pixel's constancy terms (see _Brox.constancy), and how the motion tensor's six entries come of them:
# entry (i, j) is the sum over the three terms of component i times component j.
_TERMS = np.array([[0, 1, 2], [5, 6, 3], [7, 8, 4]])  # (term, component): d/dx, d/dy, change
_ENTRIES = ((0, 0), (0, 1), (1, 1), (0, 2), (1, 2), (2, 2))


def write_flow_graph(spec: str, file: Path, working_size: tuple[int, int] = WORKING_SIZE) -> None:
    """Write `brox:<preset>` at a working size (width, height) to `file`; the number of pairs stays free.

    Raises UserError for an engine that cannot be written so, or a file that cannot.
    """
    kind, _, preset = spec.partition(":")
    if kind != "brox" or (preset or "fast") not in PRESETS:
        raise UserError(f"flow: '{spec}' cannot be written as a graph; use one of brox:{', brox:'.join(PRESETS)}")
    width, height = working_size
    write_whole(file, brox_graph(PRESETS[preset or "fast"], height, width).SerializeToString())


def brox_graph(options: BroxOptions, height: int, width: int) -> onnx.ModelProto:
    """Graph from `previous`, `current` (B, h, w) uint8 grey to `flow` (B, h, w, 2) float32."""
    ops = _Ops()
    sizes = level_sizes(height, width, options)
    greys = [ops("Unsqueeze", ops("Cast", name, to=TensorProto.FLOAT), ops.constant([1], np.int64)) for name in INPUTS]
    images = ops("Mul", ops("Concat", *greys, axis=1), ops.constant(1 / 255))
    smoothing = np.einsum("ab,ij->abij", np.eye(2), smoothing_kernel(options.scale))
    pyramid = [images]
    for size in sizes[1:]:
        pyramid.append(ops.resize(ops.stencil(pyramid[-1], smoothing), size))
    # Zeros, as many as there are pairs.
    flow = ops("Mul", pyramid[-1], ops.constant(0.0))
    for at, size in reversed(list(enumerate(sizes))):
        if at + 1 < len(sizes):
            coarser = sizes[at + 1]
            ratio = np.array([size[1] / coarser[1], size[0] / coarser[0]]).reshape(1, 2, 1, 1)
            flow = ops("Mul", ops.resize(flow, size), ops.constant(ratio))
        flow = _Brox(ops, options, *size).refine(pyramid[at], flow)
    ops("Transpose", flow, perm=[0, 2, 3, 1], output=OUTPUT)
    return ops.model(height, width)


class _Ops:
    """A graph in the making: calling it appends a node and returns the name of its output."""

    def __init__(self) -> None:
        self._nodes: list[onnx.NodeProto] = []
        self._constants: dict[tuple[Any, ...], onnx.TensorProto] = {}

    def __call__(self, kind: str, *inputs: str, output: str = "", **attributes: Any) -> str:
        output = output or f"x{len(self._nodes)}"
        self._nodes.append(helper.make_node(kind, list(inputs), [output], **attributes))
        return output

    def constant(self, value: ArrayLike, dtype: type[np.generic] = np.float32) -> str:
        """The name of a constant; equal ones are stored once."""
        array = np.asarray(value, dtype=dtype)
        key = (array.dtype.str, array.shape, array.tobytes())
        if key not in self._constants:
            self._constants[key] = numpy_helper.from_array(array, f"c{len(self._constants)}")
        return self._constants[key].name

    def mix(self, x: str, weights: ArrayLike) -> str:
        """New channels as weighted sums of old ones: weights (out, in)."""
        return self("Conv", x, self.constant(np.asarray(weights)[..., None, None]))

    def select(self, x: str, channels: ArrayLike, of: int) -> str:
        """The channels listed, of as many."""
        return self.mix(x, np.eye(of)[np.asarray(channels)])

    def stencil(self, x: str, kernels: ArrayLike) -> str:
        """Convolve with kernels (out, in, k, k), the border's pixels repeated outwards."""
        array = np.asarray(kernels)
        margin = array.shape[-1] // 2
        pads = self.constant([0, 0, margin, margin, 0, 0, margin, margin], np.int64)
        return self("Conv", self("Pad", x, pads, mode="edge"), self.constant(array))

    def resize(self, x: str, size: tuple[int, int]) -> str:
        """Bilinear."""
        return self("Resize", x, "", "", self.constant(size, np.int64), axes=[2, 3], mode="linear")

    def model(self, height: int, width: int) -> onnx.ModelProto:
        """The finished, checked model."""
        inputs = [helper.make_tensor_value_info(name, TensorProto.UINT8, ["batch", height, width]) for name in INPUTS]
        output = helper.make_tensor_value_info(OUTPUT, TensorProto.FLOAT, ["batch", height, width, 2])
        graph = helper.make_graph(self._nodes, "flow", inputs, [output], list(self._constants.values()))
        model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", OPSET)], ir_version=IR_VERSION)
        onnx.checker.check_model(model)
        return model


class _Brox:
    """One level of flow.brox.BroxSolver, whose comments hold here too."""

    def __init__(self, ops: _Ops, options: BroxOptions, height: int, width: int) -> None:
        self.ops, self.options, self.height, self.width = ops, options, height, width
        self.gradient = np.zeros((2, 1, 5, 5))
        self.gradient[0, 0, 2, :] = self.gradient[1, 0, :, 2] = np.array([1, -8, 0, 8, -1]) / 12
        self.centre = np.zeros((1, 1, 5, 5))
        self.centre[0, 0, 2, 2] = 1

    def refine(self, images: str, flow: str) -> str:
        """Improve the flow (B, 2, h, w); images: (B, 2, h, w), the first and the second."""
        ops, options = self.ops, self.options
        for _ in range(options.warps):
            base = flow
            warped, inside = self.warp(ops.select(images, [1], 2), base)
            motion = self.motion_tensor(ops("Concat", ops.select(images, [0], 2), warped, axis=1))
            for inner in range(options.inner):
                data = ops("Mul", motion, ops("Mul", inside, self.data_penalty(motion, flow, base if inner else None)))
                flow = self.relax(data, base, flow)
        return flow

    def warp(self, image: str, flow: str) -> tuple[str, str]:
        ops = self.ops
        # Sums and products of constants are made when the graph is loaded; stored, they would be most of the file.
        columns, rows = np.zeros((1, 1, self.width, 2)), np.zeros((1, self.height, 1, 2))
        columns[0, 0, :, 0], rows[0, :, 0, 1] = np.linspace(-1, 1, self.width), np.linspace(-1, 1, self.height)
        reach = ops.constant([2 / (self.width - 1), 2 / (self.height - 1)])
        step = ops("Mul", ops("Transpose", flow, perm=[0, 2, 3, 1]), reach)
        grid = ops("Add", step, ops("Add", ops.constant(columns), ops.constant(rows)))
        furthest = ops("ReduceMax", ops("Abs", grid), ops.constant([3], np.int64), keepdims=0)
        inside = ops("Cast", ops("LessOrEqual", furthest, ops.constant(1.0)), to=TensorProto.FLOAT)
        warped = ops("GridSample", image, grid, mode="cubic", padding_mode="border", align_corners=1)
        return warped, ops("Unsqueeze", inside, ops.constant([1], np.int64))

    def motion_tensor(self, pair: str) -> str:
        """(first, warped second) → (B, 6, h, w), the entries of J in the order of _ENTRIES."""
        ops = self.ops
        weight = math.sqrt(self.options.gamma)
        halves, change = np.full((1, 2, 1, 1), 0.5), np.array([-1, 1]).reshape(1, 2, 1, 1)
        # Channels 0-4: d/dx, d/dy, change, and the change's derivatives; 5-8: dxx, dxy, dyx, dyy.
        first = ops.stencil(
            pair, np.concatenate([self.gradient * halves, self.centre * change, weight * self.gradient * change])
        )
        second = weight * np.concatenate(
            [np.pad(self.gradient, ((0, 0), (at, 4 - at), (0, 0), (0, 0))) for at in range(2)]
        )
        terms = ops("Concat", first, ops.stencil(first, second), axis=1)
        left, right = (np.concatenate([_TERMS[:, entry[side]] for entry in _ENTRIES]) for side in range(2))
        products = ops("Mul", ops.select(terms, left, 9), ops.select(terms, right, 9))
        return ops.mix(products, np.kron(np.eye(len(_ENTRIES)), np.ones(3)))

    def data_penalty(self, motion: str, flow: str, base: str | None) -> str:
        """psi' after the increment from `base`, or after none."""
        ops = self.ops
        if base is None:
            squared = ops.select(motion, [5], 6)
        else:
            step = ops("Sub", flow, base)
            # w_i w_j for each entry (i, j) of J, from (du, dv); the third component of w is 1.
            padded = ops("Pad", step, ops.constant([0, 0, 0, 0, 0, 1, 0, 0], np.int64), ops.constant(1.0))
            left, right = ([entry[side] for entry in _ENTRIES] for side in range(2))
            outer = ops("Mul", ops.select(padded, left, 3), ops.select(padded, right, 3))
            twice = [[1 if i == j else 2 for i, j in _ENTRIES]]
            squared = ops("Relu", ops.mix(ops("Mul", motion, outer), twice))
        return self.inverse_root(squared, self.options.epsilon_data)

    def relax(self, data: str, base: str, flow: str) -> str:
        """Solve the linear system that psi' J (data), the linearisation point and the smoothness make."""
        ops, options = self.ops, self.options
        edges = self.edges(flow)
        diagonal = ops("Add", ops.select(data, [0, 2], 6), ops.mix(edges, np.ones((2, 4))))  # A00, A11
        coupling = ops.select(data, [1], 6)
        # A's inverse times its determinant, row by row: A11, -A01, -A01, A00.
        adjugate = ops("Concat", ops.select(diagonal, [1], 2), ops.mix(coupling, [[-1], [-1]]), axis=1)
        adjugate = ops("Concat", adjugate, ops.select(diagonal, [0], 2), axis=1)
        products = ops("Mul", ops.select(adjugate, [0, 1], 4), ops.select(adjugate, [3, 2], 4))
        inverse = ops("Div", adjugate, ops.mix(products, [[1, -1]]))
        # Right side: (J00 u + J01 v - J02, J01 u + J11 v - J12).
        pulled = ops("Mul", ops.select(data, [0, 1, 1, 2], 6), ops.select(base, [0, 1, 0, 1], 2))
        right_side = ops("Sub", ops.mix(pulled, [[1, 1, 0, 0], [0, 0, 1, 1]]), ops.select(data, [3, 4], 6))
        offset = ops("Mul", inverse, ops.select(right_side, [0, 1, 0, 1], 2))
        offset = ops.mix(offset, [[1, 1, 0, 0], [0, 0, 1, 1]])
        # One sweep is offset + the sum over (unknown, neighbour) of weights times shifted flow.
        weights = ops("Mul", ops.select(inverse, np.repeat(np.arange(4), 4), 4), ops.select(edges, [*range(4)] * 4, 4))
        shifts = np.zeros((16, 2, 3, 3))
        for channel in range(16):
            row, column = ((1, 0), (1, 2), (0, 1), (2, 1))[channel % 4]
            shifts[channel, channel // 4 % 2, row, column] = 1
        total = np.kron(np.eye(2), np.ones(8))
        before = x = flow
        for weight in chebyshev_weights(options.sweeps, options.spectral_radius):
            neighbours = ops("Conv", x, ops.constant(shifts), pads=[1, 1, 1, 1])
            solved = ops("Add", ops.mix(ops("Mul", weights, neighbours), total), offset)
            if weight != 1:
                step = ops("Mul", ops("Sub", solved, before), ops.constant(weight))
                solved = ops("Add", before, step)
            before, x = x, solved
        return x

    def edges(self, flow: str) -> str:
        """Smoothness weights (B, 4, h, w) to the left, right, upper and lower neighbour; 0 across the border."""
        ops = self.ops
        kernels = np.concatenate([np.pad(self.gradient, ((0, 0), (at, 1 - at), (0, 0), (0, 0))) for at in range(2)])
        slopes = ops.stencil(flow, kernels)
        squared = ops.mix(ops("Mul", slopes, slopes), np.ones((1, 4)))
        smoothness = self.inverse_root(squared, self.options.epsilon_smooth)
        mean = np.zeros((4, 1, 3, 3))
        mean[:, 0, 1, 1] = mean[0, 0, 1, 0] = mean[1, 0, 1, 2] = mean[2, 0, 0, 1] = mean[3, 0, 2, 1] = 1
        columns, rows = np.full((1, 4, 1, self.width), self.options.alpha / 2), np.ones((1, 4, self.height, 1))
        columns[0, 0, :, 0] = columns[0, 1, :, -1] = rows[0, 2, 0] = rows[0, 3, -1] = 0
        sums = ops("Conv", smoothness, ops.constant(mean), pads=[1, 1, 1, 1])
        return ops("Mul", sums, ops("Mul", ops.constant(columns), ops.constant(rows)))

    def inverse_root(self, squared: str, epsilon: float) -> str:
        """1 / sqrt(squared + epsilon^2)."""
        ops = self.ops
        return ops("Reciprocal", ops("Sqrt", ops("Add", squared, ops.constant(epsilon**2))))
