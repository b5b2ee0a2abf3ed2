"""What the variational flow minimises, and with how much work; shared by its torch and its ONNX form."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

COARSEST = 15
"""Shortest side of the coarsest level in pixels."""


@dataclass(frozen=True)
class BroxOptions:
    """Parameters of Brox et al.; grey values are in 0..1.

    alpha, gamma: weights of smoothness and gradient constancy. epsilon_data, epsilon_smooth: where psi turns from
    quadratic to linear. scale: ratio of one level's size to the next finer one's. levels: at most this many; none is
    under 15 pixels. warps: how often a level is linearised anew. inner: updates of psi' for each warp. sweeps: of the
    linear solver for each of these. spectral_radius: of the Jacobi iteration, as the solver assumes it.
    """

    alpha: float = 0.197
    gamma: float = 50.0
    epsilon_data: float = 1e-3
    epsilon_smooth: float = 1e-3
    scale: float = 0.8
    levels: int = 77
    warps: int = 1
    inner: int = 10
    sweeps: int = 10
    spectral_radius: float = 0.995


PRESETS = {
    # The parameters of the flow that the datasets of the paper were prepared with.
    "paper": BroxOptions(),
    # A sixth of the sweeps. The smoothness term turns quadratic earlier, so fewer of them suffice.
    "fast": BroxOptions(epsilon_smooth=0.06, scale=0.5, warps=2, inner=1, sweeps=20),
}


def level_sizes(height: int, width: int, options: BroxOptions) -> list[tuple[int, int]]:
    """(h, w) of each level, finest first."""
    sizes = [(height, width)]
    while len(sizes) < options.levels:
        factor = options.scale ** len(sizes)
        size = round(height * factor), round(width * factor)
        if min(size) < COARSEST:
            break
        sizes.append(size)
    return sizes


def smoothing_kernel(scale: float) -> tuple[tuple[float, ...], ...]:
    """3x3 kernel that an image is smoothed with before bilinear interpolation makes it smaller by `scale`.

    At 1/2 the two make the binomial filter (1, 3, 3, 1) / 8 in each direction; nearer to 1 there is less to suppress.
    """
    side = (1 / scale**2 - 1) / 12
    line = (side, 1 - 2 * side, side)
    return tuple(tuple(a * b for b in line) for a in line)


def chebyshev_weights(sweeps: int, spectral_radius: float) -> Iterator[float]:
    """How far each sweep goes from the solution before last: 1 at first, tending to that of optimal over-relaxation."""
    weight = 1.0
    for sweep in range(sweeps):
        yield weight
        weight = 1 / (1 - spectral_radius**2 * weight / (2 if sweep == 0 else 4))
