"""Fusion of the appearance and the motion stream, per scale (Two-Stream AMTnet §3.1)."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import torch
from torch import Tensor

Fuse = Callable[[Tensor, Tensor], Tensor]

FUSIONS: dict[str, Fuse] = {
    "sum": lambda appearance, motion: appearance + motion,
    "mean": lambda appearance, motion: (appearance + motion) / 2,
    "concat": lambda appearance, motion: torch.cat([appearance, motion], dim=1),
}
"""Name → function of the two feature maps (B, C, H, W) of one frame. The paper orders concatenated channels
[A_t, A_t+delta, F_t, F_t+delta]; the split heads hold the same weights as [A_t, F_t] and [A_t+delta, F_t+delta]."""


def fuse_maps(fusion: str, appearance: Sequence[Tensor], motion: Sequence[Tensor]) -> list[Tensor]:
    """Six appearance maps and six motion maps of one frame → six fused maps."""
    fuse = FUSIONS[fusion]
    return [fuse(a, f) for a, f in zip(appearance, motion, strict=True)]


def fuse_one(fusion: str, stream: str, maps: Sequence[Tensor]) -> list[Tensor]:
    """Six maps of one stream, 'rgb' or 'flow', where the other's are missing → six fused maps.

    With `sum` and `mean` both streams speak to the same weights, and the maps stand for the other's too. With `concat`
    each has its own weights: those of the missing stream get nothing, its own twice as much.
    """
    if fusion != "concat":
        return fuse_maps(fusion, maps, maps)
    own, nothing = [2 * x for x in maps], [torch.zeros_like(x) for x in maps]
    return fuse_maps(fusion, own, nothing) if stream == "rgb" else fuse_maps(fusion, nothing, own)


def fused_channels(fusion: str, channels: Sequence[int]) -> tuple[int, ...]:
    """Channels of the fused maps."""
    return tuple(2 * c if fusion == "concat" else c for c in channels)
