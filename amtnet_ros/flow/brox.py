"""Variational optical flow: Brox, Bruhn, Papenberg, Weickert, "High Accuracy Optical Flow Estimation Based on a Theory
for Warping" (ECCV 2004), batched, in torch.

The flow w = (u, v) minimises the integral of

    psi(|I1(x + w) - I0(x)|^2 + gamma |grad I1(x + w) - grad I0(x)|^2) + alpha psi(|grad u|^2 + |grad v|^2)

with psi(s^2) = sqrt(s^2 + epsilon^2): brightness and gradient constancy, smoothness, and outliers tolerated in both. It
is found coarse to fine. On each level the second image is warped by the flow so far, the constancy terms are linearised
around it, psi' is frozen (twice nested fixed-point iteration), and the linear system that is left is relaxed.

As in the motion tensor notation of Bruhn et al., the linearised data term is w^T J w with w = (du, dv, 1) and one
symmetric 3x3 matrix J for each pixel.

`BroxFlow` is the engine, `BroxSolver` computes the flow; on a GPU the relaxation is a Triton kernel, once it has given
what torch gives.
"""

from __future__ import annotations

import math
import warnings
from collections.abc import Sequence

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from amtnet_ros.contracts import UInt8
from amtnet_ros.errors import UserError
from amtnet_ros.flow.brox_options import PRESETS, BroxOptions, level_sizes, smoothing_kernel
from amtnet_ros.flow.contract import WORKING_SIZE, to_grey
from amtnet_ros.flow.relaxation import LinearSystem, Relaxation, relax
from amtnet_ros.flow.torch_engine import TorchFlow

_FIVE_POINT = (1 / 12, -8 / 12, 0.0, 8 / 12, -1 / 12)


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


class BroxSolver(nn.Module):
    """The flow between pairs of grey images of one size.

    height, width: of the images. relaxation: solver of the linear systems.
    """

    derivatives: Tensor
    smoothing: Tensor

    def __init__(self, options: BroxOptions, height: int, width: int, relaxation: Relaxation = relax) -> None:
        super().__init__()
        self.options = options
        self.relaxation = relaxation
        self.sizes = level_sizes(height, width, options)
        kernels = torch.zeros(2, 1, 5, 5)  # d/dx, d/dy
        kernels[0, 0, 2, :] = kernels[1, 0, :, 2] = torch.tensor(_FIVE_POINT)
        self.register_buffer("derivatives", kernels)
        self.register_buffer("smoothing", torch.tensor(smoothing_kernel(options.scale)).view(1, 1, 3, 3))

    def forward(self, previous: Tensor, current: Tensor) -> Tensor:
        """previous, current: (B, h, w) uint8 grey → (B, h, w, 2) float32 pixels, from `previous` to `current`."""
        images = torch.stack([previous, current], dim=1).float() / 255
        flow = images.new_zeros(images.shape[0], 2, *self.sizes[-1])
        for level in reversed(self._pyramid(images)):
            flow = self._refine(level[:, :1], level[:, 1:], resize_flow(flow, level.shape[2:]))
        return flow.permute(0, 2, 3, 1)

    def _pyramid(self, images: Tensor) -> list[Tensor]:
        """The images (B, 2, h, w) on each level, finest first."""
        levels = [images]
        for size in self.sizes[1:]:
            smooth = F.conv2d(
                F.pad(levels[-1].flatten(0, 1).unsqueeze(1), (1, 1, 1, 1), mode="replicate"), self.smoothing
            )
            levels.append(F.interpolate(smooth.view_as(levels[-1]), size, mode="bilinear"))
        return levels

    def _refine(self, first: Tensor, second: Tensor, flow: Tensor) -> Tensor:
        """Improve the flow (B, 2, h, w) on one level; first, second: (B, 1, h, w)."""
        options = self.options
        for _ in range(options.warps):
            base = flow
            motion, inside = self._motion_tensor(first, second, base)
            for _ in range(options.inner):
                data = motion * (inside * self._data_penalty(motion, flow - base)).unsqueeze(1)
                flow = self.relaxation(self._system(data, base, flow), flow, options.sweeps, options.spectral_radius)
        return flow

    def _motion_tensor(self, first: Tensor, second: Tensor, flow: Tensor) -> tuple[Tensor, Tensor]:
        """J (B, 3, 3, h, w) of the constancy assumptions around `flow`, and (B, 1, h, w) 1 where `second` is known."""
        warped, inside = warp(second, flow)
        # Spatial derivatives are taken halfway between the two images, where the linearisation is most exact.
        middle, change = (first + warped) / 2, warped - first
        weight = math.sqrt(self.options.gamma)
        dx, dy = self._gradient(middle).unbind(2)
        dxx, dxy = (weight * self._gradient(dx)).unbind(2)
        dyx, dyy = (weight * self._gradient(dy)).unbind(2)
        change_x, change_y = (weight * self._gradient(change)).unbind(2)
        rows = torch.cat([dx, dy, change, dxx, dxy, change_x, dyx, dyy, change_y], dim=1)
        rows = rows.view(-1, 3, 3, *first.shape[2:])  # (B, constraint, du dv 1, h, w)
        return (rows.unsqueeze(3) * rows.unsqueeze(2)).sum(dim=1), inside

    def _data_penalty(self, motion: Tensor, step: Tensor) -> Tensor:
        """psi' of the data term (B, 1, h, w) after the increment `step` (B, 2, h, w)."""
        w = F.pad(step, (0, 0, 0, 0, 0, 1), value=1.0)
        squared = (motion * w.unsqueeze(1) * w.unsqueeze(2)).sum(dim=(1, 2)).unsqueeze(1)
        return torch.rsqrt(squared.clamp_min(0) + self.options.epsilon_data**2)

    def _system(self, data: Tensor, base: Tensor, flow: Tensor) -> LinearSystem:
        """The Euler-Lagrange equations for the whole flow, psi' frozen. data: psi' J; base: the linearisation point."""
        options = self.options
        squared = self._gradient(flow).square().sum(dim=(1, 2)).unsqueeze(1)
        smoothness = 0.5 * options.alpha * torch.rsqrt(squared + options.epsilon_smooth**2)
        across = smoothness[..., :, 1:] + smoothness[..., :, :-1]
        along = smoothness[..., 1:, :] + smoothness[..., :-1, :]
        edges = torch.cat(
            [F.pad(across, (1, 0)), F.pad(across, (0, 1)), F.pad(along, (0, 0, 1, 0)), F.pad(along, (0, 0, 0, 1))],
            dim=1,
        )
        right_side = (data[:, :2, :2] * base.unsqueeze(1)).sum(dim=2) - data[:, :2, 2]
        return LinearSystem.of(data[:, 0, 0], data[:, 0, 1], data[:, 1, 1], edges, right_side)

    def _gradient(self, x: Tensor) -> Tensor:
        """d/dx and d/dy of each channel: (B, C, h, w) → (B, C, 2, h, w); five-point stencil, mirrored border."""
        flat = F.pad(x.flatten(0, 1).unsqueeze(1), (2, 2, 2, 2), mode="replicate")
        return F.conv2d(flat, self.derivatives).view(*x.shape[:2], 2, *x.shape[2:])


def resize_flow(flow: Tensor, size: Sequence[int]) -> Tensor:
    """Bring a flow (B, 2, h, w) to another resolution, its vectors too."""
    height, width = flow.shape[-2:]
    if (height, width) == tuple(size):
        return flow
    ratio = flow.new_tensor([size[1] / width, size[0] / height]).view(1, 2, 1, 1)
    return F.interpolate(flow, tuple(size), mode="bilinear") * ratio


def warp(image: Tensor, flow: Tensor) -> tuple[Tensor, Tensor]:
    """`image` (B, C, h, w) at x + flow(x), bicubic, and (B, 1, h, w) 1 where that lies inside it, else 0."""
    height, width = image.shape[-2:]
    x = torch.arange(width, dtype=flow.dtype, device=flow.device) + flow[:, 0]
    y = torch.arange(height, dtype=flow.dtype, device=flow.device).unsqueeze(1) + flow[:, 1]
    grid = torch.stack([x * (2 / (width - 1)) - 1, y * (2 / (height - 1)) - 1], dim=-1)
    inside = (grid.abs().amax(dim=-1) <= 1).to(flow.dtype).unsqueeze(1)
    return F.grid_sample(image, grid, mode="bicubic", padding_mode="border", align_corners=True), inside


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
