"""The device that torch computes on."""

from __future__ import annotations

import torch

from amtnet_ros.device.name import Device, parse_device
from amtnet_ros.errors import UserError

_CURRENT = -1


def choose_torch_device(text: str, index: int | None = None) -> torch.device:
    """`auto` (a GPU if torch can use one, else the CPU), `cpu`, `cuda` or `cuda:N`; a GPU always with its number.

    index: of the GPU where the text names none; None: torch's current one. Raises UserError where torch cannot use it.
    """
    n_gpus = torch.cuda.device_count() if torch.cuda.is_available() else 0
    asked = parse_device("cuda" if text == "auto" and n_gpus else text, _CURRENT if index is None else index)
    if asked is None or asked.kind == "cpu":
        return torch.device("cpu")
    if asked.kind == "tensorrt":
        raise UserError(f"device '{text}' is known to the engine onnxruntime, not to torch; use auto, cpu or cuda:N")
    if asked.index == _CURRENT:
        asked = Device("cuda", torch.cuda.current_device() if n_gpus else 0)
    if asked.index >= n_gpus:
        raise UserError(f"device {asked.name} is not there: torch finds {n_gpus} GPUs; `amtnet doctor` shows more")
    return torch.device("cuda", asked.index)
