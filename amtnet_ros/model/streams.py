"""The trunks of one or both streams, and the fusion of their maps for each scale (Two-Stream AMTnet §3.1).

This is all that looks at a frame, whatever is made of it afterwards.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from amtnet_ros.errors import UserError
from amtnet_ros.model import efficientnet_lite, vgg16  # noqa: F401  (they register their trunks)
from amtnet_ros.model.trunk import TRUNKS, Trunk

STREAMS = ("rgb", "flow")
STACK_LENGTH = 5
IN_CHANNELS = {"rgb": 3, "flow": 3 * STACK_LENGTH}

FUSIONS: dict[str, Callable[[Tensor, Tensor], Tensor]] = {
    "sum": lambda appearance, motion: appearance + motion,
    "mean": lambda appearance, motion: (appearance + motion) / 2,
    "concat": lambda appearance, motion: torch.cat([appearance, motion], dim=1),
}
"""Name → function of the two feature maps (B, C, H, W) of one frame. The paper orders concatenated channels
[A_t, A_t+delta, F_t, F_t+delta]; the split heads hold the same weights as [A_t, F_t] and [A_t+delta, F_t+delta]."""


@dataclass(frozen=True)
class NetworkOptions:
    """What makes one network differ from another.

    streams: 'rgb', 'flow', or both in this order.
    fusion: 'sum', 'mean' or 'concat'; ignored with one stream.
    motion_stride: the motion stream's trunk sees the image shrunk by this factor, by the mean of each square of
    stride x stride pixels: flow is smooth, and a smaller image costs less.
    """

    n_classes: int
    trunk: str = "efficientnet_lite0"
    streams: tuple[str, ...] = STREAMS
    fusion: str = "sum"
    image_size: int = 300
    motion_stride: int = 1

    def __post_init__(self) -> None:
        if self.trunk not in TRUNKS:
            raise UserError(f"unknown trunk '{self.trunk}'; there are: {', '.join(sorted(TRUNKS))}")
        if self.streams not in (("rgb",), ("flow",), STREAMS):
            raise UserError(f"streams must be rgb, flow, or both, not {list(self.streams)}")
        if self.fusion not in FUSIONS:
            raise UserError(f"unknown fusion '{self.fusion}'; there are: {', '.join(FUSIONS)}")
        if self.image_size % self.motion_stride:
            raise UserError(f"image_size {self.image_size} is no multiple of motion_stride {self.motion_stride}")

    def stride(self, stream: str) -> int:
        """How many pixels, a side, of a stream's image are averaged into one that its trunk sees."""
        return self.motion_stride if stream == "flow" else 1


def look(trunk: nn.Module, images: Tensor, stride: int, cells: Sequence[int]) -> list[Tensor]:
    """A trunk's six maps (B, channels, n, n), n from `cells`, of normalised images (B, C, S, S).

    stride: the trunk sees the mean of each square of stride x stride pixels. Its maps then have fewer cells, and are
    brought to `cells` a side by repeating each cell.
    """
    if stride == 1:
        maps: list[Tensor] = trunk(images)
        return maps
    seen = trunk(F.avg_pool2d(images, stride))
    return [F.interpolate(x, size=(n, n), mode="nearest") for x, n in zip(seen, cells, strict=True)]


def fuse_maps(fusion: str, appearance: Sequence[Tensor], motion: Sequence[Tensor]) -> list[Tensor]:
    """Six appearance maps and six motion maps of one frame → six fused maps."""
    fuse = FUSIONS[fusion]
    return [fuse(a, f) for a, f in zip(appearance, motion, strict=True)]


def fuse_one(fusion: str, stream: str, maps: Sequence[Tensor]) -> list[Tensor]:
    """Six maps of one stream, 'rgb' or 'flow', where the other's are missing → six fused maps.

    With `sum` and `mean` both streams share the heads' weights, and these maps take the place of the missing ones. With
    `concat` each stream has weights of its own: the missing maps become zero, and these count twice.
    """
    if fusion != "concat":
        return fuse_maps(fusion, maps, maps)
    own, nothing = [2 * x for x in maps], [torch.zeros_like(x) for x in maps]
    return fuse_maps(fusion, own, nothing) if stream == "rgb" else fuse_maps(fusion, nothing, own)


def fused_channels(fusion: str, channels: Sequence[int]) -> tuple[int, ...]:
    """Channels of the fused maps."""
    return tuple(2 * c if fusion == "concat" else c for c in channels)


class Streams(nn.Module):
    """A trunk for each stream, and the fusion of their maps."""

    def __init__(self, options: NetworkOptions) -> None:
        """Raises UserError where a picture is too small for a trunk."""
        super().__init__()
        self.options = options
        self.trunks = nn.ModuleDict({stream: TRUNKS[options.trunk](IN_CHANNELS[stream]) for stream in options.streams})
        trunk = self.trunk(options.streams[0])
        both = len(options.streams) == 2
        self.channels = fused_channels(options.fusion, trunk.channels) if both else trunk.channels
        self.cells = trunk.cells(options.image_size)
        self.dropout = nn.Dropout2d(0.0)  # of the fused maps, in training; the rate is the experiment's
        for stream in options.streams:
            seen = options.image_size // options.stride(stream)
            if min(trunk.cells(seen)) < 1:
                raise UserError(f"{options.trunk}: {stream} images of {seen}x{seen} pixels are too small for its maps")
            images = IN_CHANNELS[stream] // 3
            self.register_buffer(f"{stream}_mean", torch.tensor(trunk.mean * images).view(-1, 1, 1), persistent=False)
            self.register_buffer(f"{stream}_std", torch.tensor(trunk.std * images).view(-1, 1, 1), persistent=False)

    def trunk(self, stream: str) -> Trunk:
        """The trunk of a stream."""
        trunk = self.trunks[stream]
        assert isinstance(trunk, Trunk)
        return trunk

    def features(self, rgb: Tensor | None, flow: Tensor | None) -> list[Tensor]:
        """Six fused maps of a batch of frames.

        rgb: (B, 3, S, S) and flow: (B, 15, S, S), values 0..255 (any float dtype); None for a stream the network lacks.
        A two-stream network that is given one stream answers by it alone, see `fuse_one`.
        """
        maps = {}
        for stream, images in (("rgb", rgb), ("flow", flow)):
            if images is not None:
                mean, std = self.get_buffer(f"{stream}_mean"), self.get_buffer(f"{stream}_std")
                maps[stream] = look(self.trunk(stream), (images - mean) / std, self.options.stride(stream), self.cells)
        if len(maps) == 2:
            fused = fuse_maps(self.options.fusion, maps["rgb"], maps["flow"])
        else:
            ((stream, fused),) = maps.items()
            if len(self.options.streams) == 2:
                fused = fuse_one(self.options.fusion, stream, fused)
        return [self.dropout(x) for x in fused]
