"""Weights out of a frozen TensorFlow graph, without TensorFlow."""

from __future__ import annotations

import hashlib
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from amtnet_ros.errors import UserError


def read_constants(path: Path, sha256: str) -> dict[str, Tensor]:
    """The float constants of a graph by name, in their own shapes.

    Nothing in the file is run. Raises UserError if it is missing, or is another than the one with this hash.
    """
    # TensorBoard brings the graph's description; only training needs it.
    from tensorboard.compat.proto.graph_pb2 import GraphDef

    if not path.is_file():
        raise UserError(f"no such weight file: {path}")
    content = path.read_bytes()
    if hashlib.sha256(content).hexdigest() != sha256:
        raise UserError(f"{path}: not the file whose weights are meant (its SHA-256 is another); install it anew")
    graph = GraphDef.FromString(content)
    constants = {}
    for node in graph.node:
        tensor = node.attr["value"].tensor
        shape = [d.size for d in tensor.tensor_shape.dim]
        if node.op == "Const" and tensor.tensor_content and tensor.dtype == 1:  # DT_FLOAT
            values = np.frombuffer(tensor.tensor_content, np.float32).reshape(shape)
            constants[node.name] = torch.from_numpy(values.copy())
    return constants
