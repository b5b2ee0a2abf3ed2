"""The actor stream as an ONNX graph: a look at N persons, in floats or in 8 bits."""

from __future__ import annotations

import copy
import math
import tempfile
import warnings
from collections.abc import Iterable, Iterator
from contextlib import redirect_stdout
from io import StringIO
from pathlib import Path
from typing import NamedTuple

import numpy as np
import onnx
import onnx.helper
import onnx.numpy_helper
import onnxruntime as ort
import torch
from onnxruntime.quantization import CalibrationDataReader, QuantFormat, QuantType, quantize_static
from onnxruntime.quantization.shape_inference import quant_pre_process
from torch import Tensor, nn

from amtnet_ros.contracts import UInt8
from amtnet_ros.deploy.encode_graph import OPSET, without_traces
from amtnet_ros.deploy.quantise import quiet
from amtnet_ros.model.movinet import FEATURES, IMAGE_SIZE, Block, MoViNet, memory_shapes

MEMORY = sum(math.prod(shape) for shape in memory_shapes())
"""Values that are remembered of a person."""


class Look(NamedTuple):
    """What is seen of N persons. answers: (N, n), names: (N, 600), probabilities of the last second; hidden: (N, 2048)
    and features: (N, 480), the latter of this picture alone; memory: (N, MEMORY), for the next look."""

    answers: Tensor
    names: Tensor
    hidden: Tensor
    features: Tensor
    memory: Tensor


class ActorStream(nn.Module):
    """A network's `step` and what it says, as one function of tensors."""

    def __init__(self, network: MoViNet) -> None:
        """network: see `ready_to_run`."""
        super().__init__()
        self.network = network.eval()

    def forward(self, pictures: Tensor, memory: Tensor, earlier: Tensor, count: Tensor) -> Look:
        """Look at the next picture of each person.

        pictures: (N, 3, 172, 172) float RGB in 0..1. memory: (N, MEMORY), zeros at the start. earlier: (N, 480), the
        sum of the features of the earlier pictures of the last second; count: (N, 1), how many they were.
        """
        parts = torch.split(memory, [math.prod(shape) for shape in memory_shapes()], dim=1)
        remembered = [part.reshape(-1, *shape) for part, shape in zip(parts, memory_shapes(), strict=True)]
        features, newer = self.network.step(pictures, tuple(remembered))
        said = self.network.say((earlier + features) / (count + 1))
        flat = torch.cat([part.flatten(1) for part in newer], dim=1)
        return Look(said.answers.softmax(-1), said.names.softmax(-1), said.hidden, features, flat)


@torch.no_grad()
def ready_to_run(network: MoViNet) -> MoViNet:
    """A copy that computes the same, its gains (all 1 now) multiplied into the convolutions before them."""
    copied = copy.deepcopy(network).eval()
    for block in copied.modules():
        if isinstance(block, Block):
            assert block.project.bias is not None
            block.project.weight.mul_(block.gain)
            block.project.bias.mul_(block.gain)
            block.gain.fill_(1)
    return copied


PICTURES, PLANES = "pictures", "planes"
INPUTS = (PICTURES, "memory", "earlier", "count")
OUTPUTS = ("answers", "names", "hidden", "features", "memory_out")
MOST_PERSONS = 64
QUANTISED_NODES = ["Conv", "Clip", "Add", "AveragePool", "Concat", "Gemm"]
STEP = np.float32(6 / 255)
"""Of 8-bit values between 0 and 6, which is what ReLU6 leaves, and what is remembered."""
LAST_SECOND = 10
EVERY = 3
"""Of a clip's pictures every third is one to calibrate by."""

Feed = dict[str, np.ndarray]


def trace_actor_graph(network: MoViNet) -> onnx.ModelProto:
    """The float graph.

    Inputs: pictures (N, 172, 172, 3) uint8 RGB; memory (N, MEMORY), zeros at the start; earlier (N, 480), the sum of
    the features of the earlier pictures of the last second; count (N, 1), how many they were. Outputs: see
    `actor_stream.Look`; memory_out is the memory for the next look. Weights keep their names under `network.`.
    """
    stream = ActorStream(ready_to_run(network).cpu().to(memory_format=torch.contiguous_format))
    persons = {0: torch.export.Dim("persons", min=1, max=MOST_PERSONS)}
    example = (
        torch.zeros(2, 3, IMAGE_SIZE, IMAGE_SIZE),
        torch.zeros(2, MEMORY),
        torch.zeros(2, FEATURES),
        torch.zeros(2, 1),
    )
    with redirect_stdout(StringIO()), warnings.catch_warnings():  # the exporter chats
        warnings.simplefilter("ignore")
        program = torch.onnx.export(
            stream,
            example,
            dynamo=True,
            opset_version=OPSET,
            input_names=[PLANES, *INPUTS[1:]],
            output_names=list(OUTPUTS),
            dynamic_shapes=tuple(persons for _ in example),
            verbose=False,
        )
    assert program is not None
    model = without_traces(program.model_proto)
    _prepend_pictures(model)
    onnx.checker.check_model(model, full_check=True)
    return model


def quantise_actor_graph(model: onnx.ModelProto, clips: Iterable[UInt8]) -> onnx.ModelProto:
    """The float graph in 8 bits: the same inputs and outputs, but memory is uint8, a quarter as much to carry.

    clips: (T, 172, 172, 3) uint8, ten pictures a second of people, to calibrate by.
    """
    with tempfile.TemporaryDirectory(prefix="amtnet.") as scratch, quiet():
        single, prepared, quantised = (Path(scratch) / f"{name}.onnx" for name in ("single", "prepared", "quantised"))
        onnx.save(model, single)
        quant_pre_process(str(single), str(prepared), skip_symbolic_shape=True)
        graph = onnx.load(prepared).graph
        remembered = {"scale": np.array(STEP), "zero_point": np.array(0, np.uint8)}
        quantize_static(
            prepared,
            quantised,
            _Reader(calibration_feeds(single, clips)),
            quant_format=QuantFormat.QDQ,
            per_channel=True,
            activation_type=QuantType.QUInt8,
            weight_type=QuantType.QInt8,
            reduce_range=True,
            op_types_to_quantize=QUANTISED_NODES,
            nodes_to_exclude=[node.name for node in graph.node if OUTPUTS[-1] in node.output],
            extra_options={"TensorQuantOverrides": {name: [remembered] for name in _around_memory(graph)}},
        )
        result = onnx.load(quantised)
    _remember_in_8_bits(result.graph)
    onnx.checker.check_model(result, full_check=True)
    return result


def look_at(session: ort.InferenceSession, clip: UInt8) -> Iterator[tuple[Feed, Feed]]:
    """What goes into a graph and what comes out at each picture of a clip (T, 172, 172, 3) of one person."""
    kind = np.uint8 if "uint8" in session.get_inputs()[1].type else np.float32
    memory, features = np.zeros((1, MEMORY), kind), np.zeros((0, FEATURES), np.float32)
    for picture in clip:
        earlier = features[-LAST_SECOND + 1 :]
        count = np.full((1, 1), len(earlier), np.float32)
        feed = dict(zip(INPUTS, (picture[None], memory, earlier.sum(0, keepdims=True), count), strict=True))
        found = dict(zip(OUTPUTS, session.run(list(OUTPUTS), feed), strict=True))
        memory, features = found[OUTPUTS[-1]], np.concatenate([features, found["features"]])
        yield feed, found


def calibration_feeds(graph: Path, clips: Iterable[UInt8]) -> Iterator[Feed]:
    """Inputs of a float graph at every few pictures of clips."""
    session = ort.InferenceSession(str(graph), providers=["CPUExecutionProvider"])
    for clip in clips:
        for number, (feed, _) in enumerate(look_at(session, clip)):
            if number % EVERY == EVERY - 1:
                yield feed


class _Reader(CalibrationDataReader):  # type: ignore[misc]
    def __init__(self, feeds: Iterable[Feed]) -> None:
        self._feeds = iter(feeds)

    def get_next(self) -> Feed | None:
        return next(self._feeds, None)


def _prepend_pictures(model: onnx.ModelProto) -> None:
    """Make the input raw 8-bit pictures, channels last; to a quantised network they then already are quantised."""
    graph, of_input = model.graph, onnx.helper.make_tensor_value_info
    old = next(tensor for tensor in graph.input if tensor.name == PLANES)
    persons = old.type.tensor_type.shape.dim[0].dim_param
    new = of_input(PICTURES, onnx.TensorProto.UINT8, [persons, IMAGE_SIZE, IMAGE_SIZE, 3])
    constants = {"pictures_scale": np.float32(1 / 255), "pictures_zero": np.uint8(0)}
    graph.initializer.extend(onnx.numpy_helper.from_array(np.asarray(v), name) for name, v in constants.items())
    node = onnx.helper.make_node
    graph.node.insert(0, node("DequantizeLinear", ["pictures_planes", *constants], [PLANES]))
    graph.node.insert(0, node("Transpose", [PICTURES], ["pictures_planes"], perm=[0, 3, 1, 2]))
    old.CopyFrom(new)


def _around_memory(graph: onnx.GraphProto) -> set[str]:
    """The tensors that what is remembered passes unchanged: all are 8-bit values of one step."""
    made_by = {output: node for node in graph.node for output in node.output}
    found: set[str] = set()
    for node in graph.node:
        if node.op_type != "Concat" or OUTPUTS[-1] in node.output:
            continue
        found |= {*node.input, *node.output}
        found |= {made_by[name].input[0] for name in node.input if made_by[name].op_type == "Transpose"}
        found |= {user.output[0] for user in graph.node if user.op_type == "Transpose" and node.output[0] in user.input}
    return found


def _remember_in_8_bits(graph: onnx.GraphProto) -> None:
    """Let memory come in and go out as it is inside a quantised graph, without a detour over floats."""
    made_by = {output: node for node in graph.node for output in node.output}
    parts = {output for node in graph.node if node.input[0] in _split_of_memory(graph) for output in node.output}
    quantised = {node.output[0]: node for node in graph.node if node.op_type == "QuantizeLinear"}
    renamed = {name: node.input[0] for name, node in quantised.items() if node.input[0] in parts}
    for node in graph.node:
        for i, name in enumerate(node.input):
            if name in renamed and node.op_type == "DequantizeLinear":
                node.input[i] = renamed[name]
        source = made_by.get(node.input[0]) if node.op_type == "Slice" else None
        if source is not None and source.op_type == "DequantizeLinear":
            node.input[0] = source.input[0]
    for name in renamed:
        graph.node.remove(quantised[name])
    for tensor in (*graph.input, *graph.output):
        if tensor.name in (INPUTS[1], OUTPUTS[-1]):
            tensor.type.tensor_type.elem_type = onnx.TensorProto.UINT8
    del graph.value_info[:]


def _split_of_memory(graph: onnx.GraphProto) -> set[str]:
    return {output for node in graph.node if node.input and node.input[0] == INPUTS[1] for output in node.output}
