"""Heads over a pair of frames, split so that each frame is computed once (Two-Stream AMTnet §3.1)."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Literal, cast

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from amtnet_ros.model.priors import PRIORS_PER_CELL

N_OFFSETS = 8


class PairHead(nn.Module):
    """A 3x3 convolution over the channels [frame t | frame t + delta] of one scale.

    It is linear, so it is kept as its two halves: `first(f_t) + second(f_t+delta)` equals the convolution over the
    concatenation, and each half depends on one frame alone. Each cell has `priors` x (`outputs`) values.
    """

    def __init__(self, in_channels: int, priors: int, outputs: int) -> None:
        super().__init__()
        self.outputs = outputs
        self.first = nn.Conv2d(in_channels, priors * outputs, 3, padding=1, bias=False)
        self.second = nn.Conv2d(in_channels, priors * outputs, 3, padding=1)
        fused = torch.empty(priors * outputs, 2 * in_channels, 3, 3)
        nn.init.xavier_uniform_(fused)
        with torch.no_grad():
            self.first.weight.copy_(fused[:, :in_channels])
            self.second.weight.copy_(fused[:, in_channels:])
            assert self.second.bias is not None
            self.second.bias.zero_()

    def rows(self, x: Tensor) -> Tensor:
        """(B, priors * outputs, H, W) → (B, H * W * priors, outputs): the order of the priors."""
        return x.permute(0, 2, 3, 1).reshape(x.shape[0], -1, self.outputs)

    def share(self, features: Tensor, half: Literal["first", "second"]) -> Tensor:
        """A frame's share as the first or the second of a pair: (B, C, H, W) → (B, H * W * priors, outputs)."""
        return self.rows(self.first(features) if half == "first" else self.second(features))

    def with_itself(self, features: Tensor) -> Tensor:
        """A frame paired with itself, at half the cost of both shares: (B, C, H, W) → (B, H * W * priors, outputs)."""
        return self.rows(F.conv2d(features, self.first.weight + self.second.weight, self.second.bias, padding=1))

    def paired(self, at_t: Tensor, at_t_plus_delta: Tensor) -> Tensor:
        """The unsplit convolution over the concatenated pair, for comparison: (B, H * W * priors, outputs)."""
        weight = torch.cat([self.first.weight, self.second.weight], dim=1)
        return self.rows(F.conv2d(torch.cat([at_t, at_t_plus_delta], dim=1), weight, self.second.bias, padding=1))


class MicroTubeHeads(nn.Module):
    """Class scores and offsets for every prior of every scale.

    An output row holds `n_classes + 1` class logits (index 0 is the background) and then 8 offsets.
    """

    def __init__(self, channels: Sequence[int], n_classes: int) -> None:
        super().__init__()
        self.n_logits = n_classes + 1
        self.classify = nn.ModuleList(
            PairHead(c, priors, self.n_logits) for c, priors in zip(channels, PRIORS_PER_CELL, strict=True)
        )
        self.regress = nn.ModuleList(
            PairHead(c, priors, N_OFFSETS) for c, priors in zip(channels, PRIORS_PER_CELL, strict=True)
        )

    def by_scale(self) -> list[tuple[PairHead, PairHead]]:
        """Of each scale, the head that gives logits and the one that gives offsets."""
        pairs = list(zip(self.classify, self.regress, strict=True))
        return cast("list[tuple[PairHead, PairHead]]", pairs)

    def share(self, maps: Sequence[Tensor], half: Literal["first", "second"]) -> Tensor:
        """What six maps of one frame give as the first or the second of a pair: (B, M, n_classes + 1 + 8)."""
        return self._rows(maps, lambda head, features: head.share(features, half))

    def with_itself(self, maps: Sequence[Tensor]) -> Tensor:
        """What six maps of one frame give as a pair with itself: (B, M, n_classes + 1 + 8)."""
        return self._rows(maps, PairHead.with_itself)

    def _rows(self, maps: Sequence[Tensor], part: Callable[[PairHead, Tensor], Tensor]) -> Tensor:
        rows = []
        for features, heads in zip(maps, self.by_scale(), strict=True):
            rows.append(torch.cat([part(head, features) for head in heads], dim=-1))
        return torch.cat(rows, dim=1)

    def forward(self, maps: Sequence[Tensor]) -> tuple[Tensor, Tensor]:
        """Six maps of one frame → both its shares, each (B, M, n_classes + 1 + 8)."""
        return self.share(maps, "first"), self.share(maps, "second")

    def paired(self, maps_t: Sequence[Tensor], maps_t_plus_delta: Sequence[Tensor]) -> Tensor:
        """The paper's form, both frames at once through one convolution a scale: (B, M, n_classes + 1 + 8)."""
        rows = []
        for at_t, later, heads in zip(maps_t, maps_t_plus_delta, self.by_scale(), strict=True):
            rows.append(torch.cat([head.paired(at_t, later) for head in heads], dim=-1))
        return torch.cat(rows, dim=1)
