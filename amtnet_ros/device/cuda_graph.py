"""Work on a GPU captured once as a CUDA graph and replayed: one launch instead of hundreds."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import torch
from torch import Tensor


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
