"""The encode graph: one frame's images to its shares of pairs, traced from torch as an ONNX model."""

from __future__ import annotations

import warnings
from contextlib import redirect_stdout
from io import StringIO

import numpy as np
import onnx
import onnx.helper
import onnx.numpy_helper
import torch
from torch import nn

from amtnet_ros.errors import UserError
from amtnet_ros.inference.card import Normalisation
from amtnet_ros.model.deployed import weight_names
from amtnet_ros.model.streams import IN_CHANNELS

OPSET = 18
NORMALISED = "_normalised"


def trace_encode_graph(
    deployed: nn.Module, image_size: int, normalisation: dict[str, Normalisation], half: bool = False
) -> onnx.ModelProto:
    """Inputs, named by stream: (B, S, S, 3 or 15) uint8. Outputs first, second: (B, M, values).

    deployed: see `deployed.deploy`; its weights keep their names in the graph, so that they can be read back.
    half: compute in float16, L2Norm's sums excepted. Raises UserError where a weight got lost.
    """
    streams = list(normalisation)
    dtype = torch.float16 if half else torch.float32
    images = tuple(torch.zeros(2, IN_CHANNELS[stream], image_size, image_size, dtype=dtype) for stream in streams)
    batch = {0: torch.export.Dim("batch", min=1, max=64)}
    with redirect_stdout(StringIO()), warnings.catch_warnings():  # the exporter chats
        warnings.simplefilter("ignore")
        program = torch.onnx.export(
            deployed.to(dtype).eval(),
            images,
            dynamo=True,
            opset_version=OPSET,
            input_names=[f"{stream}{NORMALISED}" for stream in streams],
            output_names=["first", "second"],
            dynamic_shapes=(tuple(batch for _ in streams),),
            verbose=False,
        )
    assert program is not None
    model = without_traces(program.model_proto)
    _restore_shared_weights(model, deployed)
    for stream, values in normalisation.items():
        _prepend_normalisation(model, stream, values, half)
    onnx.checker.check_model(model, full_check=True)
    return model


def _restore_shared_weights(model: onnx.ModelProto, deployed: nn.Module) -> None:
    """The exporter keeps one of several equal weights, and leaves out biases that are all zero; name these too."""
    kept = {tensor.name: tensor for tensor in model.graph.initializer}
    values = {(tuple(tensor.dims), tensor.raw_data) for tensor in kept.values()}
    state = deployed.state_dict()
    for name in weight_names(deployed):
        if name in kept:
            continue
        copy = onnx.numpy_helper.from_array(state[name].numpy(), name)
        if (tuple(copy.dims), copy.raw_data) not in values and state[name].any():
            raise UserError(f"the exporter changed the weight '{name}'; this version of torch.onnx cannot be used")
        model.graph.initializer.append(copy)


def _prepend_normalisation(model: onnx.ModelProto, stream: str, normalisation: Normalisation, half: bool) -> None:
    """Make the input raw 8-bit images, channels last.

    `(x - mean) / std` of 8-bit x, with one whole mean for all channels, is what DequantizeLinear computes, in one pass;
    and to a quantised network it says that the image already is quantised. Other means take a second pass.
    """
    graph, mean, std, channels = model.graph, normalisation.mean, normalisation.std, IN_CHANNELS[stream]
    old = next(tensor for tensor in graph.input if tensor.name == f"{stream}{NORMALISED}")
    batch, _, height, width = (d.dim_param or d.dim_value for d in old.type.tensor_type.shape.dim)
    new = onnx.helper.make_tensor_value_info(stream, onnx.TensorProto.UINT8, [batch, height, width, channels])
    one_pass = len(set(mean)) == len(set(std)) == 1 and mean[0] == round(mean[0])
    single = f"{stream}_single" if half else old.name
    planes, values = f"{stream}_planes", single if one_pass else f"{stream}_values"
    constants = {f"{stream}_scale": np.float32(1 / std[0]), f"{stream}_zero": np.uint8(mean[0])}
    nodes = [
        onnx.helper.make_node("Transpose", [stream], [planes], perm=[0, 3, 1, 2]),
        onnx.helper.make_node("DequantizeLinear", [planes, f"{stream}_scale", f"{stream}_zero"], [values]),
    ]
    if not one_pass:
        by_channel = np.tile(np.array([mean, std], dtype=np.float32), channels // len(mean))[..., None, None]
        constants = {
            f"{stream}_scale": np.float32(1),
            f"{stream}_zero": np.uint8(0),
            f"{stream}_mean": by_channel[0],
            f"{stream}_std": by_channel[1],
        }
        nodes.append(onnx.helper.make_node("Sub", [values, f"{stream}_mean"], [f"{stream}_centred"]))
        nodes.append(onnx.helper.make_node("Div", [f"{stream}_centred", f"{stream}_std"], [single]))
    if half:
        nodes.append(onnx.helper.make_node("Cast", [single], [old.name], to=onnx.TensorProto.FLOAT16))
    graph.initializer.extend(onnx.numpy_helper.from_array(np.asarray(v), name) for name, v in constants.items())
    for node in reversed(nodes):
        graph.node.insert(0, node)
    old.CopyFrom(new)


def without_traces(model: onnx.ModelProto) -> onnx.ModelProto:
    """The exporter notes every node's source lines, with the paths of this machine; nobody else needs them."""
    for node in model.graph.node:
        del node.metadata_props[:]
        node.doc_string = ""
    for entry in (*model.graph.value_info, *model.graph.input, *model.graph.output, *model.graph.initializer):
        del entry.metadata_props[:]
    del model.graph.metadata_props[:]
    del model.metadata_props[:]
    return model
