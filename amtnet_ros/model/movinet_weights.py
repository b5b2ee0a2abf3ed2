"""The weights that MoViNet-A0-Stream learnt from Kinetics-600, out of a file that NumPy alone reads."""

from __future__ import annotations

import hashlib
import io
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from amtnet_ros.errors import UserError
from amtnet_ros.model.movinet import MoViNet

SHA256 = "979b57300669d82f5c8e9467f1e899ca008b91ddbdc12095ea056c7aeea52f4e"
"""Of movinet_a0_stream_weights.npz; Apache-2.0."""


def load_kinetics_weights(network: MoViNet, path: Path, sha256: str = SHA256) -> None:
    """Give a network the weights of a file, all but those of its own answers.

    The file holds int8 `NAME.weight` with a `NAME.scale` for each output channel, float32 `NAME.bias`, and a `gain` for
    each block. sha256: of the file. Raises UserError if it is missing, or is another than the one meant.
    """
    own = network.state_dict()
    weights = {_our_name(name): value for name, value in _read(path, sha256).items()}
    for name, value in weights.items():
        own[name].copy_(_as_shaped(value, own[name]))
    left = set(own) - set(weights) - {"answer.weight", "answer.bias"}
    if left:
        raise UserError(f"{path}: lacks {', '.join(sorted(left))}")


def _read(path: Path, sha256: str) -> dict[str, Tensor]:
    """Weights by the file's names, in floats."""
    try:
        content = path.read_bytes()
    except OSError as error:
        raise UserError(f"{path}: the weights to start from cannot be read ({error.strerror})") from error
    if hashlib.sha256(content).hexdigest() != sha256:
        raise UserError(f"{path}: not the file whose weights are meant (its SHA-256 is another); get it anew")
    with np.load(io.BytesIO(content), allow_pickle=False) as file:
        arrays = {name: file[name] for name in file}
    return {
        name: torch.from_numpy(_widened(name, value, arrays))
        for name, value in arrays.items()
        if not name.endswith(".scale")
    }


def _widened(name: str, value: np.ndarray, arrays: dict[str, np.ndarray]) -> np.ndarray:
    if not name.endswith(".weight"):
        return np.asarray(value, dtype=np.float32)
    scale = arrays[name.removesuffix("weight") + "scale"]
    return np.asarray(value.astype(np.float32) * scale.reshape(-1, *[1] * (value.ndim - 1)))


def _our_name(name: str) -> str:
    """`block2.1.expand.weight` → `groups.2.1.expand.weight`, `head.hidden.bias` → `hidden.bias`."""
    return name.removeprefix("head.") if name.startswith("head.") else name.replace("block", "groups.", 1)


def _as_shaped(value: Tensor, own: Tensor) -> Tensor:
    """A temporal weight (c, 1, k, 1) as (k, c, 1, 1); 1×1 convolutions of the head as matrices."""
    if own.ndim == 4 and own.shape[1] == value.shape[0] and value.shape[1] == 1 and own.shape[2:] == (1, 1):
        value = value[:, 0, :, 0].T
    return value.reshape(own.shape)
