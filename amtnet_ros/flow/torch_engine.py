"""What the flow engines in torch share: CUDA graphs, and what happens when the GPU's memory is full."""

from __future__ import annotations

import warnings
from abc import ABC, abstractmethod

import numpy as np
import torch
from torch import Tensor

from amtnet_ros.contracts import Float32, UInt8
from amtnet_ros.device.torch_device import CapturedGraph, choose_torch_device
from amtnet_ros.errors import UserError
from amtnet_ros.flow.contract import check_pair


class TorchFlow(ABC):
    """A flow engine in torch; see FlowEngine for the interface.

    On a GPU the computation is captured in a CUDA graph for each number of pairs it meets. Where its memory is full, a
    batch is split in halves, with one warning. One instance serves one thread.
    """

    def __init__(self, name: str, working_size: tuple[int, int], device: str) -> None:
        self.name = name
        self.working_size = working_size
        self.device = choose_torch_device(device)
        self._graphs: dict[int, CapturedGraph] = {}
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
                    self._graphs[len(previous)] = CapturedGraph(lambda *both: (self._flow(*both),), pair, self.device)
                (flow,) = (result.cpu() for result in self._graphs[len(previous)](*pair))
        return np.ascontiguousarray(flow.numpy(), dtype=np.float32)
