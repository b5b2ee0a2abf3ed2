"""Weights stored in half precision and computed with in single: a graph of half the size."""

from __future__ import annotations

from collections.abc import Collection

import numpy as np
import onnx
import onnx.helper
import onnx.numpy_helper

from amtnet_ros.errors import UserError


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
