"""The paper's trunk: SSD300 on VGG-16 (Liu et al. 2016; Two-Stream AMTnet §3.1)."""

from __future__ import annotations

import math
from pathlib import Path

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from amtnet_ros.errors import UserError
from amtnet_ros.model.trunk import Trunk, register_trunk, widen_first_layer

# Channels of conv1_1 .. conv5_3 of configuration D, 'M' a 2x2 pooling and 'C' one in ceil mode.
BASE = (64, 64, "M", 128, 128, "M", 256, 256, 256, "C", 512, 512, 512, "M", 512, 512, 512)
CONV4_3_END = 23  # index after conv4_3's ReLU within the base
# Extra layers: (in, 1x1 channels, 3x3 channels, stride, padding) of conv8 .. conv11.
EXTRAS = ((1024, 256, 512, 2, 1), (512, 128, 256, 2, 1), (256, 128, 256, 1, 0), (256, 128, 256, 1, 0))
L2_SCALE = 20.0


class L2Norm(nn.Module):
    """Each cell's feature vector scaled to unit length, then by a learned factor a channel (ParseNet).

    The sum of squares is taken in float32 whatever the input's type: it overflows half precision.
    """

    def __init__(self, channels: int, scale: float = L2_SCALE) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.full((1, channels, 1, 1), scale))

    def forward(self, x: Tensor) -> Tensor:
        """(B, C, H, W) → the same shape."""
        norm = x.float().pow(2).sum(1, keepdim=True).sqrt().clamp(min=1e-10).to(x.dtype)
        return x / norm * self.weight


class Vgg16Ssd(Trunk):
    """conv1_1 .. conv7 with dilated conv6, and conv8 .. conv11; six maps from conv4_3, conv7, conv8_2 .. conv11_2."""

    channels = (512, 1024, 512, 256, 256, 256)
    mean = (123.0, 117.0, 104.0)
    std = (1.0, 1.0, 1.0)

    def __init__(self, in_channels: int) -> None:
        super().__init__()
        self.base = nn.Sequential(*_base_layers(in_channels))
        self.l2_norm = L2Norm(512)
        self.pool5 = nn.MaxPool2d(3, stride=1, padding=1)
        self.conv6 = nn.Conv2d(512, 1024, 3, padding=6, dilation=6)
        self.conv7 = nn.Conv2d(1024, 1024, 1)
        self.extras = nn.ModuleList(
            nn.Sequential(
                nn.Conv2d(inputs, squeeze, 1),
                nn.ReLU(inplace=True),
                nn.Conv2d(squeeze, outputs, 3, stride=stride, padding=padding),
                nn.ReLU(inplace=True),
            )
            for inputs, squeeze, outputs, stride, padding in EXTRAS
        )
        for module in self.modules():
            if isinstance(module, nn.Conv2d):
                nn.init.xavier_uniform_(module.weight)
                assert module.bias is not None
                nn.init.zeros_(module.bias)

    def cells(self, image_size: int) -> tuple[int, ...]:
        quarter = image_size // 4
        fine = math.ceil(quarter / 2)
        sides = [fine, fine // 2]
        for _, _, _, stride, padding in EXTRAS:
            sides.append((sides[-1] + 2 * padding - 3) // stride + 1)
        return tuple(sides)

    def forward(self, images: Tensor) -> list[Tensor]:
        x = self.base[:CONV4_3_END](images)
        maps = [self.l2_norm(x)]
        x = self.pool5(self.base[CONV4_3_END:](x))
        x = F.relu(self.conv7(F.relu(self.conv6(x))))
        maps.append(x)
        for extra in self.extras:
            x = extra(x)
            maps.append(x)
        return maps

    def pretrained(self) -> list[nn.Module]:
        return [self.base, self.conv6, self.conv7]

    def load_initial_weights(self, source: str) -> None:
        path = None if source == "imagenet" else Path(source)
        if path is not None and not path.is_file():
            raise UserError(f"no such weight file: {path}")
        state = _torchvision_vgg16() if path is None else torch.load(path, map_location="cpu", weights_only=True)
        own = self.base.state_dict()
        base: dict[str, Tensor] = {}
        for name in own:
            value = state.get(f"features.{name}", state.get(name))
            if value is None:
                raise UserError(f"{source}: not VGG-16 weights (it has no 'features.{name}')")
            base[name] = value
        if base["0.weight"].shape[1] != own["0.weight"].shape[1]:
            base["0.weight"] = widen_first_layer(base["0.weight"], own["0.weight"].shape[1])
        try:
            self.base.load_state_dict(base)
        except RuntimeError as error:
            raise UserError(f"{source}: does not fit VGG-16: {str(error).splitlines()[-1].strip()}") from error
        if "classifier.0.weight" in state:
            self._load_fully_connected(state)

    def _load_fully_connected(self, state: dict[str, Tensor]) -> None:
        """conv6 and conv7 from fc6 and fc7, decimated as in SSD: every third row and column, every fourth unit."""
        fc6 = state["classifier.0.weight"].view(4096, 512, 7, 7)
        fc7 = state["classifier.3.weight"].view(4096, 4096, 1, 1)
        with torch.no_grad():
            self.conv6.weight.copy_(fc6[::4, :, ::3, ::3])
            self.conv7.weight.copy_(fc7[::4, ::4])
            for conv, bias in ((self.conv6, "classifier.0.bias"), (self.conv7, "classifier.3.bias")):
                assert conv.bias is not None
                conv.bias.copy_(state[bias][::4])


def _base_layers(in_channels: int) -> list[nn.Module]:
    layers: list[nn.Module] = []
    for entry in BASE:
        if isinstance(entry, str):
            layers.append(nn.MaxPool2d(2, stride=2, ceil_mode=entry == "C"))
        else:
            layers += [nn.Conv2d(in_channels, entry, 3, padding=1), nn.ReLU(inplace=True)]
            in_channels = entry
    return layers


def _torchvision_vgg16() -> dict[str, Tensor]:
    from torchvision.models import VGG16_Weights  # here, since only this source needs torchvision

    try:
        state: dict[str, Tensor] = VGG16_Weights.IMAGENET1K_V1.get_state_dict(progress=True, check_hash=True)
    except OSError as error:
        raise UserError(
            f"VGG-16's ImageNet weights could not be downloaded ({error}); give a local file instead"
        ) from error
    return state


@register_trunk("vgg16")
def vgg16(in_channels: int) -> Trunk:
    """The paper's trunk: 30 G multiply-adds a frame at 300x300."""
    return Vgg16Ssd(in_channels)
