"""Solver of the linear systems in variational flow: block Jacobi with Chebyshev acceleration.

Each sweep solves the 2x2 system of every pixel, its four neighbours held, all pixels at once. Chebyshev acceleration
over two sweeps' results converges as fast as the best successive over-relaxation, but without its order of pixels:
every sweep is one pass over whole images, which is what a GPU wants (Golub and Varga, 1961).
"""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor

from amtnet_ros.flow.brox_options import chebyshev_weights


class LinearSystem(NamedTuple):
    """For each pixel: A x - sum over neighbours of edge * x_neighbour = right_side, x = (u, v), A symmetric 2x2.

    edges: (B, 4, h, w), to the left, right, upper and lower neighbour, 0 across the image's border.
    inverse: (B, 3, h, w), of A: entries 00, 01 and 11.
    right_side: (B, 2, h, w).
    """

    edges: Tensor
    inverse: Tensor
    right_side: Tensor

    @classmethod
    def of(cls, j00: Tensor, j01: Tensor, j11: Tensor, edges: Tensor, right_side: Tensor) -> LinearSystem:
        """A is J, given by its entries (B, h, w), plus the sum of the edges on the diagonal."""
        diagonal = edges.sum(dim=1)
        a, d = j00 + diagonal, j11 + diagonal
        inverse = torch.stack([d, -j01, a], dim=1) / (a * d - j01 * j01).unsqueeze(1)
        return cls(edges, inverse, right_side)


Relaxation = Callable[[LinearSystem, Tensor, int, float], Tensor]
"""(system, start (B, 2, h, w), sweeps, spectral radius of the Jacobi iteration) → better solution (B, 2, h, w)."""


def relax(system: LinearSystem, start: Tensor, sweeps: int, spectral_radius: float) -> Tensor:
    """In plain torch operations; see Relaxation."""
    left, right, up, down = system.edges.unsqueeze(2).unbind(1)
    diagonal, coupling = system.inverse[:, ::2], system.inverse[:, 1:2]
    before = x = start
    for weight in chebyshev_weights(sweeps, spectral_radius):
        padded = F.pad(x, (1, 1, 1, 1))
        pull = torch.addcmul(system.right_side, left, padded[..., 1:-1, :-2])
        pull = torch.addcmul(pull, right, padded[..., 1:-1, 2:])
        pull = torch.addcmul(pull, up, padded[..., :-2, 1:-1])
        pull = torch.addcmul(pull, down, padded[..., 2:, 1:-1])
        solved = torch.addcmul(diagonal * pull, coupling, pull.flip(1))
        before, x = x, torch.lerp(before, solved, weight)
    return x
