"""A small feature pyramid (Lin et al.) that brings the maps of a mobile trunk to SSD's six grids."""

from __future__ import annotations

import math
from collections.abc import Sequence
from itertools import zip_longest

import torch.nn.functional as F
from torch import Tensor, nn

from amtnet_ros.model.trunk import Trunk

CHANNELS = (48, 128, 128, 128, 128, 128)
PYRAMID = ("lateral.", "reduce.", "pyramid_norms.", "coarser.")
"""How the names of the pyramid's own weights begin; weights learnt elsewhere have none of them."""


class PoolBlock(nn.Module):
    """One coarser map: the mean of the finer one, refined by a separable convolution added to it."""

    def __init__(self, channels: int, to_one_cell: bool = False) -> None:
        super().__init__()
        self.pool: nn.Module = (
            nn.AdaptiveAvgPool2d(1) if to_one_cell else nn.AvgPool2d(3, stride=2, padding=1, count_include_pad=False)
        )
        self.refine = nn.Sequential(
            nn.Conv2d(channels, channels, 3, padding=1, groups=channels, bias=False),
            nn.BatchNorm2d(channels),
            nn.ReLU6(inplace=True),
            nn.Conv2d(channels, channels, 1, bias=False),
            nn.BatchNorm2d(channels),
        )

    def forward(self, x: Tensor, lateral: Tensor | None = None) -> Tensor:
        """(B, C, n, n) → (B, C, ceil(n / 2), ceil(n / 2)), or one cell; `lateral` is added to it."""
        pooled: Tensor = self.pool(x)
        refined = pooled + self.refine(pooled)
        return F.relu(refined if lateral is None else refined + lateral)


class PyramidTrunk(Trunk):
    """A trunk whose maps of strides 8, 16, 32 go through 1x1 convolutions and a top-down path, and are pooled further.

    Those it has of strides 64 and 128 are added to the pooled ones.
    """

    channels = CHANNELS

    def build_pyramid(self, tapped: Sequence[int]) -> None:
        """Make the layers; `tapped`: channels of the trunk's own maps, finest first, three to five of them."""
        fine, middle, coarse = CHANNELS[:3]
        self.lateral = nn.ModuleList([nn.Conv2d(own, c, 1) for own, c in zip(tapped, CHANNELS, strict=False)])
        self.reduce = nn.Conv2d(middle, fine, 1)
        self.pyramid_norms = nn.ModuleList([nn.BatchNorm2d(c) for c in CHANNELS[: len(tapped)]])
        self.coarser = nn.ModuleList([PoolBlock(coarse), PoolBlock(coarse), PoolBlock(coarse, to_one_cell=True)])

    def pyramid(self, tapped: Sequence[Tensor]) -> list[Tensor]:
        """The trunk's own maps, finest first → the six."""
        fine, middle, coarse, *further = [layer(x) for layer, x in zip(self.lateral, tapped, strict=True)]
        middle = middle + _grow_to(coarse, middle)
        fine = fine + _grow_to(self.reduce(middle), fine)
        norms = list(self.pyramid_norms)
        maps = [F.relu(norm(x)) for norm, x in zip(norms, (fine, middle, coarse), strict=False)]
        laterals = [norm(x) for norm, x in zip(norms[3:], further, strict=True)]
        for block, lateral in zip_longest(self.coarser, laterals):
            maps.append(block(maps[-1], lateral))
        return maps

    def cells(self, image_size: int) -> tuple[int, ...]:
        sides = [math.ceil(image_size / stride) for stride in (8, 16, 32)]
        for _ in range(2):
            sides.append(math.ceil(sides[-1] / 2))
        return (*sides, 1)


def _grow_to(x: Tensor, like: Tensor) -> Tensor:
    """Nearest-neighbour upsampling to the size of `like`."""
    return F.interpolate(x, size=like.shape[-2:], mode="nearest")
