"""The solver of flow.relaxation as one GPU kernel a sweep, in Triton; torch's operations would take ten.

On a GPU a frame's flow is bound by the number of kernels, not by arithmetic: a sweep over 320x240 pixels takes less
time than its launch.
"""

from __future__ import annotations

import torch
import triton  # type: ignore[import-untyped]
import triton.language as tl  # type: ignore[import-untyped]
from torch import Tensor

from amtnet_ros.flow.brox_options import chebyshev_weights
from amtnet_ros.flow.relaxation import LinearSystem

BLOCK = 256


@triton.jit  # type: ignore[untyped-decorator]
def _sweep(edges, inverse, right_side, x, before, weight, height, width, count, block: tl.constexpr):  # type: ignore[no-untyped-def]
    """One sweep; `before` (the solution before `x`) is overwritten by the new one. All arrays contiguous float32."""
    pixel = tl.program_id(0) * block + tl.arange(0, block)
    known = pixel < count
    area = height * width
    image = pixel // area
    place = pixel % area
    column = place % width
    row = place // width

    edge = edges + image * 4 * area + place
    u = image * 2 * area + place
    pull_u = tl.load(right_side + u, mask=known, other=0.0)
    pull_v = tl.load(right_side + u + area, mask=known, other=0.0)

    there = known & (column > 0)
    strength = tl.load(edge, mask=there, other=0.0)
    pull_u += strength * tl.load(x + u - 1, mask=there, other=0.0)
    pull_v += strength * tl.load(x + u + area - 1, mask=there, other=0.0)
    there = known & (column < width - 1)
    strength = tl.load(edge + area, mask=there, other=0.0)
    pull_u += strength * tl.load(x + u + 1, mask=there, other=0.0)
    pull_v += strength * tl.load(x + u + area + 1, mask=there, other=0.0)
    there = known & (row > 0)
    strength = tl.load(edge + 2 * area, mask=there, other=0.0)
    pull_u += strength * tl.load(x + u - width, mask=there, other=0.0)
    pull_v += strength * tl.load(x + u + area - width, mask=there, other=0.0)
    there = known & (row < height - 1)
    strength = tl.load(edge + 3 * area, mask=there, other=0.0)
    pull_u += strength * tl.load(x + u + width, mask=there, other=0.0)
    pull_v += strength * tl.load(x + u + area + width, mask=there, other=0.0)

    i = image * 3 * area + place
    i00 = tl.load(inverse + i, mask=known, other=0.0)
    i01 = tl.load(inverse + i + area, mask=known, other=0.0)
    i11 = tl.load(inverse + i + 2 * area, mask=known, other=0.0)
    old_u = tl.load(before + u, mask=known, other=0.0)
    old_v = tl.load(before + u + area, mask=known, other=0.0)
    tl.store(before + u, old_u + weight * (i00 * pull_u + i01 * pull_v - old_u), mask=known)
    tl.store(before + u + area, old_v + weight * (i01 * pull_u + i11 * pull_v - old_v), mask=known)


def relax(system: LinearSystem, start: Tensor, sweeps: int, spectral_radius: float) -> Tensor:
    """See Relaxation; on the GPU that the tensors lie on."""
    batch, _, height, width = start.shape
    count = batch * height * width
    edges, inverse, right_side = (t.contiguous() for t in system)
    x, before = (start.clone(memory_format=torch.contiguous_format) for _ in range(2))
    for weight in chebyshev_weights(sweeps, spectral_radius):
        grid = (triton.cdiv(count, BLOCK),)
        _sweep[grid](edges, inverse, right_side, x, before, weight, height, width, count, block=BLOCK)
        x, before = before, x
    return x
