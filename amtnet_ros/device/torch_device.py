"""The device that torch computes on, and work on it captured once as a CUDA graph: one launch instead of hundreds."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import torch
from torch import Tensor

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


class CapturedGraph:
    """A function of tensors of fixed shapes, in operations that a CUDA graph can hold.

    Calling it copies the arguments, which lie on the host or the device, into the graph's own memory and replays it.
    The results lie there too, until the next call overwrites them. One instance serves one thread.
    """

    def __init__(
        self, function: Callable[..., Sequence[Tensor]], example: Sequence[Tensor], device: torch.device
    ) -> None:
        """function: of as many tensors as `example` holds, whose shapes and dtypes it will always get."""
        # A capture sees the current device's work only.
        with torch.inference_mode(), torch.cuda.device(device):
            self._inputs = [tensor.to(device) for tensor in example]
            side = torch.cuda.Stream()  # type: ignore[no-untyped-call]
            side.wait_stream(torch.cuda.current_stream())
            with torch.cuda.stream(side):  # compiles kernels and fills caches, which cannot be done while capturing
                for _ in range(3):
                    function(*self._inputs)
            torch.cuda.current_stream().wait_stream(side)
            self._graph = torch.cuda.CUDAGraph()
            with torch.cuda.graph(self._graph):
                self._outputs = tuple(function(*self._inputs))

    def __call__(self, *inputs: Tensor) -> tuple[Tensor, ...]:
        with torch.inference_mode():
            for own, given in zip(self._inputs, inputs, strict=True):
                own.copy_(given, non_blocking=True)
            self._graph.replay()
        return self._outputs
