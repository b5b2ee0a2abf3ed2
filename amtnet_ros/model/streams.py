"""The trunks of one or both streams, fused: what looks at a frame, whatever is made of it afterwards."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from amtnet_ros.errors import UserError
from amtnet_ros.model import efficientnet_lite, mobilenet_v2, vgg16  # noqa: F401  (they register their trunks)
from amtnet_ros.model.fusion import FUSIONS, fuse_maps, fuse_one, fused_channels
from amtnet_ros.model.trunk import TRUNKS, Trunk

STREAMS = ("rgb", "flow")
STACK_LENGTH = 5
IN_CHANNELS = {"rgb": 3, "flow": 3 * STACK_LENGTH}


@dataclass(frozen=True)
class NetworkOptions:
    """What makes one network differ from another.

    streams: 'rgb', 'flow', or both in this order.
    fusion: 'sum', 'mean' or 'concat'; ignored with one stream.
    motion_trunk: the motion stream's, where it is another than `trunk`.
    motion_stride: the motion stream sees means of so many by so many pixels; flow is smooth, and costs less so.
    """

    n_classes: int
    trunk: str = "efficientnet_lite0"
    streams: tuple[str, ...] = STREAMS
    fusion: str = "sum"
    image_size: int = 300
    motion_stride: int = 1
    motion_trunk: str | None = None

    def __post_init__(self) -> None:
        for name in (self.trunk, self.motion_trunk):
            if name is not None and name not in TRUNKS:
                raise UserError(f"unknown trunk '{name}'; there are: {', '.join(sorted(TRUNKS))}")
        if self.streams not in (("rgb",), ("flow",), STREAMS):
            raise UserError(f"streams must be rgb, flow, or both, not {list(self.streams)}")
        if self.fusion not in FUSIONS:
            raise UserError(f"unknown fusion '{self.fusion}'; there are: {', '.join(FUSIONS)}")
        if self.image_size % self.motion_stride:
            raise UserError(f"image_size {self.image_size} is no multiple of motion_stride {self.motion_stride}")

    def trunk_of(self, stream: str) -> str:
        """The name of a stream's trunk."""
        return self.motion_trunk if stream == "flow" and self.motion_trunk else self.trunk

    def stride(self, stream: str) -> int:
        """Of a stream's input: so many pixels a side become one."""
        return self.motion_stride if stream == "flow" else 1


def look(trunk: nn.Module, images: Tensor, stride: int, cells: Sequence[int]) -> list[Tensor]:
    """A trunk's six maps, of `cells` a side, of normalised images (B, C, S, S) of which it sees every stride-th part.

    Maps of a smaller picture have fewer cells: each then stands for several.
    """
    if stride == 1:
        maps: list[Tensor] = trunk(images)
        return maps
    seen = trunk(F.avg_pool2d(images, stride))
    return [F.interpolate(x, size=(n, n), mode="nearest") for x, n in zip(seen, cells, strict=True)]


class Streams(nn.Module):
    """A trunk for each stream, and the fusion of their maps."""

    def __init__(self, options: NetworkOptions) -> None:
        """Raises UserError where a picture is too small for a trunk."""
        super().__init__()
        self.options = options
        self.trunks = nn.ModuleDict(
            {stream: TRUNKS[options.trunk_of(stream)](IN_CHANNELS[stream]) for stream in options.streams}
        )
        trunk = self.trunk(options.streams[0])
        both = len(options.streams) == 2
        self.channels = fused_channels(options.fusion, trunk.channels) if both else trunk.channels
        self.cells = trunk.cells(options.image_size)
        self.dropout = nn.Dropout2d(0.0)  # of the fused maps, in training; the rate is the experiment's
        for stream in options.streams:
            own, name = self.trunk(stream), options.trunk_of(stream)
            if (own.channels, own.cells(options.image_size)) != (trunk.channels, self.cells):
                raise UserError(f"the maps of {name} are not of the same shape as those of {options.trunk}")
            seen = options.image_size // options.stride(stream)
            if min(own.cells(seen)) < 1:
                raise UserError(f"{name} finds nothing left to look at in {stream} of {seen}x{seen} pixels")
            images = IN_CHANNELS[stream] // 3
            self.register_buffer(f"{stream}_mean", torch.tensor(own.mean * images).view(-1, 1, 1), persistent=False)
            self.register_buffer(f"{stream}_std", torch.tensor(own.std * images).view(-1, 1, 1), persistent=False)

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
