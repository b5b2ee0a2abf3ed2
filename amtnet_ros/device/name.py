"""The names of devices: `auto`, `cpu`, `cuda:N` or `tensorrt:N`."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Literal

from amtnet_ros.errors import UserError

PROVIDERS = {
    "cpu": "CPUExecutionProvider",
    "cuda": "CUDAExecutionProvider",
    "tensorrt": "TensorrtExecutionProvider",
}
"""ONNX Runtime's names for the kinds of devices."""

_GPU = r"(?P<kind>cuda|tensorrt)(?::(?P<index>\d+))?"


@dataclass(frozen=True, slots=True)
class Device:
    """A device that was asked for by name. index: of the GPU."""

    kind: Literal["cpu", "cuda", "tensorrt"]
    index: int = 0

    @property
    def name(self) -> str:
        """As the user writes it."""
        return "cpu" if self.kind == "cpu" else f"{self.kind}:{self.index}"

    @property
    def provider(self) -> str:
        """ONNX Runtime's name for it."""
        return PROVIDERS[self.kind]

    @property
    def memory(self) -> tuple[str, int]:
        """Where arrays lie, in ONNX Runtime's words."""
        return ("cpu", 0) if self.kind == "cpu" else ("cuda", self.index)


def parse_device(text: str, default_index: int = 0) -> Device | None:
    """`cpu`, `cuda`, `cuda:1`, `tensorrt:0`; None for `auto`. Raises UserError for anything else.

    default_index: of the GPU that `cuda` or `tensorrt` without a number means.
    """
    if text == "auto":
        return None
    if text == "cpu":
        return Device("cpu")
    match = re.fullmatch(_GPU, text)
    if match is None:
        raise UserError(f"device '{text}' is not known; use auto, cpu, cuda:N or tensorrt:N")
    return _gpu(match, default_index)


def gpu_in(description: str) -> Device | None:
    """The GPU in an engine's description, e.g. "CUDAExecutionProvider (cuda:1)" or "torch cuda:0"; None for none."""
    match = re.search(rf"\b{_GPU}\b", description)
    return None if match is None else _gpu(match, 0)


def _gpu(match: re.Match[str], default_index: int) -> Device:
    kind: Literal["cuda", "tensorrt"] = "cuda" if match["kind"] == "cuda" else "tensorrt"
    return Device(kind, default_index if match["index"] is None else int(match["index"]))
