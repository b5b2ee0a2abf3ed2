"""MoViNet-A0-Stream: what people do, from pictures that come one after another.

Kondratyuk et al., "MoViNets: Mobile Video Networks for Efficient Video Recognition", CVPR 2021 (A0, streaming, (2+1)D
convolutions, no squeeze-excitation), with batch normalisation folded into the convolutions.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor, nn

IMAGE_SIZE = 172
"""Width and height of the pictures."""
FEATURES, HIDDEN, NAMES = 480, 2048, 600


class BlockShape(NamedTuple):
    """One row of the architecture. temporal: frames that its temporal convolution sees, 1 where there is none."""

    expanded: int
    channels: int
    spatial: int
    temporal: int
    stride: int


STEM_CHANNELS = 8
GROUPS: tuple[tuple[BlockShape, ...], ...] = (
    (BlockShape(24, 8, 5, 1, 2),),
    (BlockShape(80, 32, 3, 3, 2), BlockShape(80, 32, 3, 3, 1), BlockShape(80, 32, 3, 3, 1)),
    (BlockShape(184, 56, 3, 5, 2), BlockShape(112, 56, 3, 3, 1), BlockShape(184, 56, 3, 3, 1)),
    (
        BlockShape(184, 56, 3, 5, 1),
        BlockShape(184, 56, 3, 3, 1),
        BlockShape(184, 56, 3, 3, 1),
        BlockShape(184, 56, 3, 3, 1),
    ),
    (
        BlockShape(384, 104, 3, 5, 2),
        BlockShape(280, 104, 5, 1, 1),
        BlockShape(280, 104, 5, 1, 1),
        BlockShape(344, 104, 5, 1, 1),
    ),
)


class Answers(NamedTuple):
    """What is said of pictures. hidden: (B, 2048); names: (B, 600) and answers: (B, n), logits."""

    hidden: Tensor
    names: Tensor
    answers: Tensor


class SameConv(nn.Conv2d):
    """A convolution over pictures (N, c, h, w) padded as TensorFlow's SAME: of an odd padding the less comes before."""

    def __init__(self, inputs: int, outputs: int, size: int, stride: int = 1, groups: int = 1) -> None:
        super().__init__(inputs, outputs, size, stride, groups=groups)

    def forward(self, x: Tensor) -> Tensor:
        before, after = same_padding(x.shape[-1], self.kernel_size[0], self.stride[0])
        if before == after:
            return F.conv2d(x, self.weight, self.bias, self.stride, before, groups=self.groups)
        return super().forward(F.pad(x, (before, after, before, after)))


class CausalConv(nn.Module):
    """A depthwise convolution over time: each picture with the `size` - 1 before it; zeros before the first."""

    def __init__(self, channels: int, size: int) -> None:
        super().__init__()
        self.size = size
        self.weight = nn.Parameter(torch.randn(size, channels, 1, 1) / size)
        self.bias = nn.Parameter(torch.zeros(channels))

    def forward(self, x: Tensor, clips: int) -> Tensor:
        """All pictures of `clips` clips at once: (clips · T, c, h, w), clip by clip → the same shape.

        As a depthwise convolution over a plane of time and places, which in channels-last order needs no copy.
        """
        c, h, w = x.shape[1:]
        plane = x.permute(0, 2, 3, 1).reshape(clips, -1, h * w, c).permute(0, 3, 1, 2)
        weight = self.weight.permute(1, 3, 0, 2)
        y = F.conv2d(F.pad(plane, (0, 0, self.size - 1, 0)), weight, self.bias, groups=c)
        out: Tensor = y.permute(0, 2, 3, 1).reshape(-1, h, w, c).permute(0, 3, 1, 2)
        return out

    def step(self, x: Tensor, memory: Tensor) -> tuple[Tensor, Tensor]:
        """The newest picture (N, c, h, w) after those in memory → what is seen of all, and the newer memory.

        memory: (N, (size - 1) · h, w, c), the pictures one below the other, oldest first. So a convolution over rows
        that are as far apart as a picture is high does it, and ONNX Runtime needs no other order of the 8-bit values.
        """
        channels, height = x.shape[1:3]
        seen = torch.cat([memory, x.permute(0, 2, 3, 1)], dim=1)
        weight = self.weight.permute(1, 3, 0, 2)
        y = F.conv2d(seen.permute(0, 3, 1, 2), weight, self.bias, dilation=(height, 1), groups=channels)
        return y, seen[:, height:]


class Block(nn.Module):
    """gain · project(temporal(spatial(expand(x)))) + skip(x)."""

    def __init__(self, inputs: int, shape: BlockShape) -> None:
        super().__init__()
        self.expand = SameConv(inputs, shape.expanded, 1)
        self.spatial = SameConv(shape.expanded, shape.expanded, shape.spatial, shape.stride, groups=shape.expanded)
        self.temporal = CausalConv(shape.expanded, shape.temporal) if shape.temporal > 1 else None
        self.project = SameConv(shape.expanded, shape.channels, 1)
        self.gain = nn.Parameter(torch.ones(()))
        changes = shape.stride > 1 or inputs != shape.channels
        self.skip = SameConv(inputs, shape.channels, 1) if changes else None
        self._stride = shape.stride

    def forward(self, x: Tensor, clips: int, keep: Tensor | None = None) -> Tensor:
        """(clips · T, c, h, w) → (clips · T, channels, h / stride, w / stride).

        keep: (clips, 1, 1, 1), what each clip's branch is multiplied by beside its gain.
        """
        y = self._in_space(x)
        if self.temporal is not None:
            y = F.relu6(self.temporal(y, clips))
        return self._sum(x, y, keep)

    def step(self, x: Tensor, memory: Tensor | None) -> tuple[Tensor, Tensor | None]:
        """One picture (N, c, h, w) after those in memory; None for a block without time. → output, new memory."""
        y = self._in_space(x)
        if self.temporal is not None:
            assert memory is not None
            y, memory = self.temporal.step(y, memory)
            y = F.relu6(y)
        return self._sum(x, y), memory

    def _in_space(self, x: Tensor) -> Tensor:
        return F.relu6(self.spatial(F.relu6(self.expand(x))))

    def _sum(self, x: Tensor, y: Tensor, keep: Tensor | None = None) -> Tensor:
        kept = x if self.skip is None else self.skip(mean_pool(x, 3, self._stride))
        branch = self.gain * self.project(y)
        if keep is not None:
            branch = branch * keep.repeat_interleave(len(branch) // len(keep), dim=0)
        total: Tensor = kept + branch
        return total


class MoViNet(nn.Module):
    """The network, over whole clips (`features`) or a picture at a time (`step`), which give the same.

    n_answers: our own answers, said by a new layer beside the 600 names that the network came with.
    dropout: before that layer, in training; drop_path: probability with which the last block's branch is left out of a
    clip, in training, less for those before it (Huang et al., "Deep Networks with Stochastic Depth", ECCV 2016).
    """

    def __init__(self, n_answers: int, dropout: float = 0.0, drop_path: float = 0.0) -> None:
        super().__init__()
        self.stem = SameConv(3, STEM_CHANNELS, 3, 2)
        self.groups = nn.ModuleList()
        channels = STEM_CHANNELS
        for shapes in GROUPS:
            blocks = nn.ModuleList()
            for shape in shapes:
                blocks.append(Block(channels, shape))
                channels = shape.channels
            self.groups.append(blocks)
        self.project = SameConv(channels, FEATURES, 1)
        self.hidden = nn.Linear(FEATURES, HIDDEN)
        self.classify = nn.Linear(HIDDEN, NAMES)
        self.answer = nn.Linear(HIDDEN, n_answers)
        self.dropout = nn.Dropout(dropout)
        self.drop_path = drop_path
        nn.init.zeros_(self.answer.bias)
        nn.init.normal_(self.answer.weight, std=0.01)

    def forward(self, pictures: Tensor) -> Answers:
        """Clips (B, T, 3, 172, 172), float RGB in 0..1, → what is said of each as a whole."""
        return self.say(self.features(pictures).mean(dim=1))

    def features(self, pictures: Tensor) -> Tensor:
        """(B, T, 3, 172, 172), float RGB in 0..1 → (B, T, 480), of each picture after those before it."""
        return self.upper(self.lower(pictures, 0), len(pictures), 0)

    def lower(self, pictures: Tensor, groups: int) -> Tensor:
        """The stem and the first groups: (B, T, 3, 172, 172) → (B · T, c, h, w)."""
        x = pictures.flatten(0, 1).contiguous(memory_format=torch.channels_last)
        x = F.relu6(self.stem(x))
        for block in self._blocks(self.groups[:groups]):
            x = block(x, len(pictures))
        return x

    def upper(self, x: Tensor, clips: int, groups: int) -> Tensor:
        """What follows `lower`: (clips · T, c, h, w) → (clips, T, 480)."""
        blocks = list(self._blocks(self.groups[groups:]))
        for number, block in enumerate(blocks, start=1):
            x = block(x, clips, self._keep(clips, number / len(blocks), x.device))
        pooled = F.relu6(self.project(x)).mean(dim=(2, 3))
        return pooled.reshape(clips, -1, FEATURES)

    def say(self, mean: Tensor) -> Answers:
        """From the mean of the features of the pictures of the last second, (B, 480)."""
        hidden = F.relu6(self.hidden(mean))
        return Answers(hidden, self.classify(hidden), self.answer(self.dropout(hidden)))

    def step(self, pictures: Tensor, memory: tuple[Tensor, ...]) -> tuple[Tensor, tuple[Tensor, ...]]:
        """The next picture of each of N streams: (N, 3, 172, 172) → its features (N, 480), and the newer memory.

        memory: of each temporal convolution, in order, see `CausalConv.step`; `empty_memory` at the start.
        """
        left, newer = list(memory), []
        x = F.relu6(self.stem(pictures))
        for block in self._blocks(self.groups):
            x, kept = block.step(x, left.pop(0) if block.temporal is not None else None)
            if kept is not None:
                newer.append(kept)
        return F.relu6(self.project(x)).mean(dim=(2, 3)), tuple(newer)

    def empty_memory(self, streams: int) -> tuple[Tensor, ...]:
        """The memory of so many streams before their first picture."""
        return tuple(torch.zeros(streams, *shape) for shape in memory_shapes())

    @staticmethod
    def _blocks(groups: nn.ModuleList) -> Iterator[Block]:
        for group in groups:
            yield from group  # type: ignore[misc]

    def _keep(self, clips: int, depth: float, device: torch.device) -> Tensor | None:
        """Which clips keep a block's branch in this step of training, scaled so that the mean stays; None: all."""
        if not self.training or not self.drop_path:
            return None
        probability = 1 - self.drop_path * depth
        return torch.bernoulli(torch.full((clips, 1, 1, 1), probability, device=device)) / probability


def memory_shapes() -> tuple[tuple[int, int, int], ...]:
    """Of one stream: ((size - 1) · h, w, c) of each temporal convolution, in order."""
    shapes, side = [], -(-IMAGE_SIZE // 2)
    for shape in (shape for group in GROUPS for shape in group):
        side = -(-side // shape.stride)
        if shape.temporal > 1:
            shapes.append(((shape.temporal - 1) * side, side, shape.expanded))
    return tuple(shapes)


def same_padding(side: int, size: int, stride: int) -> tuple[int, int]:
    """Zeros before and after, such that ceil(side / stride) places result."""
    total = max((-(-side // stride) - 1) * stride + size - side, 0)
    return total // 2, total - total // 2


def mean_pool(x: Tensor, size: int, stride: int) -> Tensor:
    """The mean around each place, padded as SAME; the padding is not counted."""
    before, after = same_padding(x.shape[-1], size, stride)
    if before == after:
        return F.avg_pool2d(x, size, stride, before, count_include_pad=False)
    return F.avg_pool2d(x, size, stride, ceil_mode=True, count_include_pad=False)
