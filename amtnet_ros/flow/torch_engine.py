"""What the flow engines in torch share: the device, CUDA graphs, and what happens when the GPU's memory is full."""

from __future__ import annotations

import warnings
from abc import ABC, abstractmethod
from collections.abc import Callable

import numpy as np
import torch
from torch import Tensor

from amtnet_ros.contracts import Float32, UInt8
from amtnet_ros.errors import UserError
from amtnet_ros.flow.contract import check_pair


def choose_device(text: str) -> torch.device:
    """`auto` (the GPU if torch can use one), `cpu`, `cuda` or `cuda:N`. Raises UserError where that cannot be had."""
    if text == "auto":
        return torch.device("cuda" if torch.cuda.is_available() else "cpu")
    try:
        device = torch.device(text)
    except RuntimeError:
        raise UserError(f"flow: unknown device '{text}'; use auto, cpu or cuda:N") from None
    if device.type not in ("cpu", "cuda"):
        raise UserError(f"flow: device '{text}' is not supported; use auto, cpu or cuda:N")
    if device.type == "cuda" and (device.index or 0) >= torch.cuda.device_count():
        raise UserError(f"flow: device '{text}' is not there; torch sees {torch.cuda.device_count()} GPUs; use cpu")
    return device


class TorchFlow(ABC):
    """A flow engine in torch; see FlowEngine for the interface.

    On a GPU the computation is captured in a CUDA graph for each number of pairs it meets. Where its memory is full, a
    batch is split in halves, with one warning. One instance serves one thread.
    """

    def __init__(self, name: str, working_size: tuple[int, int], device: str) -> None:
        self.name = name
        self.working_size = working_size
        self.device = choose_device(device)
        self._graphs: dict[int, _CudaGraph] = {}
        self._largest: int | None = None

    @abstractmethod
    def _prepare(self, image: UInt8) -> UInt8:
        """An image (H, W, 3) at working size, as `_flow` takes it."""

    @abstractmethod
    def _flow(self, previous: Tensor, current: Tensor) -> Tensor:
        """Prepared images, stacked, uint8 → (B, h, w, 2) float32, in operations a CUDA graph can hold."""

    def __call__(self, previous: UInt8, current: UInt8) -> Float32:
        check_pair(previous, current)
        flow: Float32 = self._run(self._prepare(previous)[None], self._prepare(current)[None])[0]
        return flow

    def batch(self, previous: UInt8, current: UInt8) -> Float32:
        check_pair(previous, current, ndim=4)
        first, second = (np.stack([self._prepare(image) for image in images]) for images in (previous, current))
        return self._run(first, second)

    def _run(self, previous: UInt8, current: UInt8) -> Float32:
        pairs, largest = len(previous), self._largest or len(previous)
        parts = [slice(start, start + largest) for start in range(0, pairs, largest)]
        try:
            return np.concatenate([self._run_part(previous[part], current[part]) for part in parts])
        except torch.cuda.OutOfMemoryError:
            self._graphs.clear()
            torch.cuda.empty_cache()
        smaller = min(pairs, largest) // 2
        if smaller == 0:
            width, height = self.working_size
            raise UserError(
                f"flow: {self.name} at {width}x{height} does not fit into the memory of {self.device}; "
                "use a smaller working size, another engine, or device cpu"
            )
        warnings.warn(f"flow: GPU memory is full; {smaller} pairs at once from now on", RuntimeWarning, stacklevel=3)
        self._largest = smaller
        return self._run(previous, current)

    def _run_part(self, previous: UInt8, current: UInt8) -> Float32:
        pair = torch.from_numpy(previous), torch.from_numpy(current)
        # TF32 keeps 10 bits of mantissa: too few to take derivatives with.
        with torch.inference_mode(), torch.backends.cudnn.flags(enabled=True, allow_tf32=False):
            if self.device.type == "cpu":
                flow = self._flow(*pair)
            else:
                if len(previous) not in self._graphs:
                    self._graphs[len(previous)] = _CudaGraph(self._flow, pair, self.device)
                flow = self._graphs[len(previous)](*pair).cpu()
        return np.ascontiguousarray(flow.numpy(), dtype=np.float32)


class _CudaGraph:
    """A function of two tensors, captured once and replayed: one launch instead of hundreds."""

    def __init__(
        self, function: Callable[[Tensor, Tensor], Tensor], example: tuple[Tensor, Tensor], device: torch.device
    ) -> None:
        with torch.cuda.device(device):
            self._inputs = [tensor.to(device) for tensor in example]
            side = torch.cuda.Stream()  # type: ignore[no-untyped-call]
            side.wait_stream(torch.cuda.current_stream())
            with torch.cuda.stream(side):  # compiles kernels and fills caches, which cannot be done while capturing
                for _ in range(2):
                    function(*self._inputs)
            torch.cuda.current_stream().wait_stream(side)
            self._graph = torch.cuda.CUDAGraph()
            with torch.cuda.graph(self._graph):
                self._output = function(*self._inputs)

    def __call__(self, *inputs: Tensor) -> Tensor:
        """The result lies in the graph's own memory until the next call."""
        for own, given in zip(self._inputs, inputs, strict=True):
            own.copy_(given)
        self._graph.replay()
        return self._output
