"""Weights stored in fewer bits than they are computed with: smaller model folders, the same arithmetic.

A stored weight keeps its name in the graph. What widens it (a Cast, and for 8 bits a Mul) works on constants alone, so
runtimes compute it once, when they load the graph.
"""

from __future__ import annotations

from collections.abc import Collection
from pathlib import Path

import numpy as np
import onnx
import onnx.helper
import onnx.numpy_helper
import onnxruntime as ort

from amtnet_ros.contracts import Float32
from amtnet_ros.deploy.folder import write_card
from amtnet_ros.errors import UserError
from amtnet_ros.files import write_whole
from amtnet_ros.inference.card import ACTOR, ENCODE, ENCODE_INT8, ModelCard, read_card
from amtnet_ros.inference.contract import STEPS

IN_8_BITS = ("heads.weights.", "network.hidden.weight", "network.classify.weight")
"""How the names of weights begin that lose least by 8 bits, and are most of a model: its last layers."""
LEAST_SIZE = 4096
"""Smaller weights are not worth it."""
TOLERANCE = 0.02
"""Largest change of an output that passes, in shares of the largest value."""


def store_in_half(model: onnx.ModelProto, names: Collection[str]) -> None:
    """Store these of a graph's float32 weights as float16, in place; vectors (biases), which weigh little, stay.

    Each keeps its name and is widened by a Cast, which runtimes compute once, when they load the graph. A weight moves
    by 2^-11 of itself at most. Raises UserError where one is beyond the range of half precision.
    """
    widened = {}
    for tensor in model.graph.initializer:
        if tensor.name not in names or tensor.data_type != onnx.TensorProto.FLOAT or len(tensor.dims) < 2:
            continue
        values = onnx.numpy_helper.to_array(tensor)
        if np.abs(values).max() > np.finfo(np.float16).max:
            raise UserError(f"the weight '{tensor.name}' exceeds half precision; export without --half-weights")
        tensor.CopyFrom(onnx.numpy_helper.from_array(values.astype(np.float16), tensor.name))
        widened[tensor.name] = f"{tensor.name}_single"
    for node in model.graph.node:
        for i, name in enumerate(node.input):
            node.input[i] = widened.get(name, name)
    for name, single in widened.items():
        model.graph.node.insert(0, onnx.helper.make_node("Cast", [name], [single], to=onnx.TensorProto.FLOAT))


def store_in_8_bits(model: onnx.ModelProto, names: Collection[str]) -> None:
    """Store these of a graph's weights as int8, in place, with a step for each output channel (the first dimension).

    A weight moves by half a step, 1/254 of its channel's largest, at most. Weights in half precision are taken as well.
    """
    stored = {tensor.name: tensor for tensor in model.graph.initializer}
    widening = {node.input[0]: node for node in model.graph.node if node.op_type == "Cast"}
    for name in names:
        values = onnx.numpy_helper.to_array(stored[name]).astype(np.float32)
        steps = np.abs(values).max(axis=tuple(range(1, values.ndim)), keepdims=True) / 127
        steps[steps == 0] = 1
        single = f"{name}_single"
        if name in widening:
            single = widening[name].output[0]
            model.graph.node.remove(widening[name])
        else:
            for node in model.graph.node:
                for i, used in enumerate(node.input):
                    node.input[i] = single if used == name else used
        stored[name].CopyFrom(onnx.numpy_helper.from_array(np.round(values / steps).astype(np.int8), name))
        model.graph.initializer.append(onnx.numpy_helper.from_array(steps.astype(np.float32), name + STEPS))
        whole = f"{name}_whole"
        nodes = (
            onnx.helper.make_node("Cast", [name], [whole], to=onnx.TensorProto.FLOAT),
            onnx.helper.make_node("Mul", [whole, name + STEPS], [single]),
        )
        for node in reversed(nodes):
            model.graph.node.insert(0, node)


def shrink_model(folder: Path) -> ModelCard:
    """Store the weights of a model folder in fewer bits: the last layers in 8, the others in 16.

    Graphs whose answers to noise change by more than TOLERANCE are refused; how good the model is
    has to be measured anew. Raises UserError where the folder cannot be read or written.
    """
    card = read_card(folder)
    for name in (ENCODE, ENCODE_INT8, ACTOR):
        if name in card.files:
            before = onnx.load(folder / name)
            after = _shrunk(before)
            changed = _difference(before, after)
            if not changed <= TOLERANCE:
                raise UserError(f"{folder / name}: its answers would change by {changed:.1e}; not written")
            write_whole(folder / name, after.SerializeToString())
    return write_card(folder, card)


def _shrunk(model: onnx.ModelProto) -> onnx.ModelProto:
    after = onnx.ModelProto()
    after.CopyFrom(model)
    kinds = (onnx.TensorProto.FLOAT, onnx.TensorProto.FLOAT16)
    large = {
        tensor.name
        for tensor in after.graph.initializer
        if tensor.data_type in kinds and len(tensor.dims) > 1 and np.prod(tensor.dims) >= LEAST_SIZE
    }
    in_8_bits = {name for name in large if name.startswith(IN_8_BITS)}
    store_in_8_bits(after, sorted(in_8_bits))
    store_in_half(after, large - in_8_bits)
    return after


def _difference(before: onnx.ModelProto, after: onnx.ModelProto) -> float:
    """Of all outputs for one input of noise, the largest difference in shares of the output's largest value."""
    one, other = (
        ort.InferenceSession(model.SerializeToString(), providers=["CPUExecutionProvider"]) for model in (before, after)
    )
    rng = np.random.default_rng(0)
    feed = {}
    for node in one.get_inputs():
        shape = [side if isinstance(side, int) else 1 for side in node.shape]
        is_image = node.type == "tensor(uint8)" and len(shape) == 4
        feed[node.name] = rng.integers(0, 256, shape, dtype=np.uint8) if is_image else np.zeros(shape, np.float32)
    found: list[list[Float32]] = [session.run(None, feed) for session in (one, other)]
    return max(
        float(np.abs(a - b).max() / max(1.0, float(np.abs(a).max()))) for a, b in zip(found[0], found[1], strict=True)
    )
