"""The engine `brox`: flow.brox on a CPU or a GPU."""

from __future__ import annotations

import warnings

import torch
from torch import Tensor

from amtnet_ros.contracts import UInt8
from amtnet_ros.errors import UserError
from amtnet_ros.flow.brox import BroxSolver
from amtnet_ros.flow.brox_options import PRESETS
from amtnet_ros.flow.engine import WORKING_SIZE, to_grey
from amtnet_ros.flow.relaxation import LinearSystem, Relaxation, relax
from amtnet_ros.flow.torch_engine import TorchFlow


class BroxFlow(TorchFlow):
    """Brox et al., preset `fast` or `paper`."""

    def __init__(
        self, preset: str = "fast", working_size: tuple[int, int] = WORKING_SIZE, device: str = "auto"
    ) -> None:
        if preset not in PRESETS:
            raise UserError(f"flow: unknown preset 'brox:{preset}'; use one of {', '.join(PRESETS)}")
        super().__init__(f"brox:{preset}", working_size, device)
        if self.device.type == "cpu":
            self._largest = 1  # several pairs at once do not fit into its cache
        width, height = working_size
        relaxation = relax if self.device.type == "cpu" else gpu_relaxation(self.device)
        self._solver = BroxSolver(PRESETS[preset], height, width, relaxation).to(self.device)

    def _prepare(self, image: UInt8) -> UInt8:
        return to_grey(image, self.working_size)

    def _flow(self, previous: Tensor, current: Tensor) -> Tensor:
        flow: Tensor = self._solver(previous, current)
        return flow


def gpu_relaxation(device: torch.device) -> Relaxation:
    """The solver in Triton, if it works here and agrees with the one in torch; else the latter, with a warning."""
    system, start = _example(device)
    try:
        from amtnet_ros.flow import relaxation_triton

        if torch.allclose(relaxation_triton.relax(system, start, 4, 0.9), relax(system, start, 4, 0.9), atol=1e-4):
            return relaxation_triton.relax
        reason = "its result is wrong"
    except Exception as error:  # whatever a compiler may raise
        reason = str(error).partition("\n")[0] or type(error).__name__
    warnings.warn(
        f"flow: the Triton solver does not work here ({reason}); brox runs slower", RuntimeWarning, stacklevel=2
    )
    return relax


def _example(device: torch.device) -> tuple[LinearSystem, Tensor]:
    """A small linear system and where to start from."""
    generator = torch.Generator().manual_seed(0)
    edges = torch.rand(2, 4, 13, 17, generator=generator)
    edges[:, 0, :, 0] = edges[:, 1, :, -1] = edges[:, 2, 0, :] = edges[:, 3, -1, :] = 0
    rows = torch.randn(2, 3, 13, 17, generator=generator)
    system = LinearSystem.of(rows[:, 0] ** 2, rows[:, 0] * rows[:, 1], rows[:, 1] ** 2, edges, rows[:, 1:])
    return LinearSystem(*(tensor.to(device) for tensor in system)), torch.zeros(2, 2, 13, 17, device=device)
