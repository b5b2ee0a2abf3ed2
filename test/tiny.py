"""Models small enough to make, load and run in no time, and pictures for them.

`tiny_network` is a real network of random weights, for tests of what makes and runs models. The robot's model
(`make_robot_model`) is the brightness model with one cell: it sees `bright` in a bright picture and `dark` in a dark
one, and the one box is the middle of the picture, half as wide and as high. Its graphs lie in robot_model/, so that the
nodes' tests run where onnx is not installed, which writes them:

    python test/tiny.py

torch and onnx are imported only by the functions that need them.
"""

from __future__ import annotations

import math
import shutil
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from amtnet_ros.bench.brightness_model import write_brightness_card, write_brightness_graphs
from amtnet_ros.contracts import Frame, UInt8

if TYPE_CHECKING:
    from amtnet_ros.deploy.export import Trained
    from amtnet_ros.model.amtnet import AMTnet

LABELS = ("jump", "run", "walk")
SIZE = 128
STEPS = (4, 2, 2, 2, 2, 2)  # each map's step from the one before it; the first has stride 8
ROBOT_GRAPHS = Path(__file__).with_name("robot_model")


@cache
def register_tiny_trunk() -> None:
    """Make the trunk 'tiny' known to the package, once."""
    import torch.nn.functional as F
    from torch import Tensor, nn

    from amtnet_ros.errors import UserError
    from amtnet_ros.model.trunk import Trunk, register_trunk

    @register_trunk("tiny")
    class TinyTrunk(Trunk):
        """Six strided convolutions with batch normalisation."""

        channels = (8, 12, 16, 16, 16, 16)
        mean = (123.0, 117.0, 104.0)
        std = (64.0, 64.0, 64.0)

        def __init__(self, in_channels: int) -> None:
            super().__init__()
            self.stem = nn.Conv2d(in_channels, 8, 3, stride=2, padding=1, bias=False)
            self.stem_norm = nn.BatchNorm2d(8)
            widths = (8, *self.channels)
            self.convolutions = nn.ModuleList(
                nn.Conv2d(a, b, max(3, step), stride=step, padding=0 if step == 4 else 1, bias=False)
                for a, b, step in zip(widths, widths[1:], STEPS, strict=False)
            )
            self.norms = nn.ModuleList(nn.BatchNorm2d(channels) for channels in self.channels)

        def cells(self, image_size: int) -> tuple[int, ...]:
            sides = [image_size // 8]
            for _ in STEPS[1:]:
                sides.append(math.ceil(sides[-1] / 2))
            return tuple(sides)

        def forward(self, images: Tensor) -> list[Tensor]:
            x = F.relu(self.stem_norm(self.stem(images)))
            maps = []
            for convolution, norm in zip(self.convolutions, self.norms, strict=True):
                x = F.relu(norm(convolution(x)))
                maps.append(x)
            return maps

        def load_initial_weights(self, source: str) -> None:
            raise UserError(f"{source}: these layers fit no weights but their own")


def tiny_network(
    streams: tuple[str, ...] = ("rgb", "flow"), fusion: str = "sum", seed: int = 0, motion_stride: int = 1
) -> AMTnet:
    """Random, but so that scores spread widely, boxes differ, and batch statistics matter."""
    import torch
    from torch import nn

    from amtnet_ros.model.amtnet import AMTnet
    from amtnet_ros.model.streams import NetworkOptions

    register_tiny_trunk()
    torch.manual_seed(seed)
    network = AMTnet(NetworkOptions(len(LABELS), "tiny", streams, fusion, SIZE, motion_stride))
    with torch.no_grad():
        for module in network.modules():
            if isinstance(module, nn.BatchNorm2d):
                module.running_mean.uniform_(-0.5, 0.5)
                module.running_var.uniform_(0.3, 2)
                module.weight.uniform_(0.5, 1.5)
                module.bias.uniform_(-0.3, 0.5)
        for head in network.heads.classify:
            head.first.weight.mul_(2)
            head.second.weight.mul_(2)
            head.second.bias.copy_(torch.tensor([3.0, 0, 0, 0]).repeat(len(head.second.bias) // 4))
    return network.eval()


def tiny_trained(
    streams: tuple[str, ...] = ("rgb", "flow"), fusion: str = "sum", seed: int = 0, motion_stride: int = 1
) -> Trained:
    """The network as if it came from a training run."""
    from amtnet_ros.deploy.export import Trained
    from amtnet_ros.model.checkpoint import TrainingFacts

    facts = TrainingFacts("jhmdb21", 2, 7, (2, 1), "dis:medium", "past")
    network = tiny_network(streams, fusion, seed, motion_stride)
    return Trained(network, LABELS, facts, {"name": "tiny"}, iterations=10)


KINDS = ("sum", "mean", "concat", "rgb", "flow", "late", "sum of half-size motion", "late, half-size motion")
"""Of fusion, or of one stream alone."""


def trained_parts(kind: str) -> list[Trained]:
    """The network of a kind, or the two of late fusion."""
    stride = 2 if "half" in kind else 1
    if kind.startswith("late"):
        return [tiny_trained(("rgb",)), tiny_trained(("flow",), seed=1, motion_stride=stride)]
    if stride == 2:
        return [tiny_trained(motion_stride=stride)]
    return [tiny_trained((kind,)) if kind in ("rgb", "flow") else tiny_trained(fusion=kind)]


def scene(seed: int, index: int = 0, size: tuple[int, int] = (200, 150), side: int = SIZE) -> tuple[Frame, UInt8]:
    """A picture of coloured blocks, of `size` (width, height), and a flow stack of moving blocks."""
    rng = np.random.default_rng(seed)

    def blocks(width: int, height: int, channels: int, low: int, high: int) -> UInt8:
        coarse = rng.integers(low, high, (height // 16 + 1, width // 16 + 1, channels), dtype=np.uint8)
        return np.ascontiguousarray(coarse.repeat(16, 0).repeat(16, 1)[:height, :width])

    image = blocks(*size, 3, 0, 256)
    return Frame(index, index * 33_333_333, image), blocks(side, side, 15, 90, 170)


def reference_selection(
    logits: np.ndarray, boxes: np.ndarray, score_threshold: float, nms_iou: float, max_per_class: int
) -> list[tuple[int, float, np.ndarray]]:
    """Softmax, threshold and greedy suppression, class by class, box by box, in float64.

    logits: (M, C + 1); boxes: (M, 2, 4). Returns (label, score, (2, 4) boxes), by falling score.
    """
    exponentials = np.exp(logits.astype(np.float64) - logits.max(-1, keepdims=True))
    return select_by_score(
        (exponentials / exponentials.sum(-1, keepdims=True))[:, 1:], boxes, score_threshold, nms_iou, max_per_class
    )


def select_by_score(
    scores: np.ndarray, boxes: np.ndarray, score_threshold: float, nms_iou: float, max_per_class: int
) -> list[tuple[int, float, np.ndarray]]:
    """The same from scores (M, C)."""
    found: list[tuple[int, float, np.ndarray]] = []
    for label in range(scores.shape[1]):
        kept: list[int] = []
        for prior in np.argsort(-scores[:, label], kind="stable"):
            if scores[prior, label] <= score_threshold or len(kept) == max_per_class:
                break
            if all(iou(boxes[prior, 0], boxes[other, 0]) <= nms_iou for other in kept):
                kept.append(int(prior))
        found += [(label, float(scores[prior, label]), boxes[prior]) for prior in kept]
    return sorted(found, key=lambda entry: -entry[1])


def iou(a: np.ndarray, b: np.ndarray) -> float:
    """Of two boxes (4,)."""
    a, b = a.astype(np.float64), b.astype(np.float64)
    width = min(a[2], b[2]) - max(a[0], b[0])
    height = min(a[3], b[3]) - max(a[1], b[1])
    overlap = max(width, 0) * max(height, 0)
    return overlap / ((a[2] - a[0]) * (a[3] - a[1]) + (b[2] - b[0]) * (b[3] - b[1]) - overlap)


def box_in(width: int, height: int) -> tuple[float, float, float, float]:
    """The box it sees in a picture of that size, in its pixels."""
    return 0.25 * width, 0.25 * height, 0.75 * width, 0.75 * height


def make_robot_model(folder: Path) -> Path:
    """Write the folder of the robot's model; returns it."""
    shutil.copytree(ROBOT_GRAPHS, folder)
    write_brightness_card(folder)
    return folder


if __name__ == "__main__":
    write_brightness_graphs(ROBOT_GRAPHS)
