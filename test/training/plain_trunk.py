"""A trunk without batch statistics, for comparisons that they would blur, and one with; what test processes run."""

import contextlib
import os
from pathlib import Path

import torch
import torch.nn.functional as F
from torch import nn

from amtnet_ros.model.trunk import TRUNKS, Trunk, register_trunk
from amtnet_ros.training.config import Experiment

CELLS = (16, 8, 4, 2, 1, 1)


class PlainTrunk(Trunk):
    """Pooled pictures through one small convolution a scale."""

    channels = (4, 4, 4, 4, 4, 4)
    mean = (127.0, 127.0, 127.0)
    std = (128.0, 128.0, 128.0)

    def __init__(self, in_channels):
        super().__init__()
        self.convolutions = nn.ModuleList(nn.Conv2d(in_channels, 4, 1) for _ in CELLS)

    def cells(self, image_size):
        return CELLS

    def forward(self, images):
        return [
            F.relu(conv(F.adaptive_avg_pool2d(images, n))) for conv, n in zip(self.convolutions, CELLS, strict=True)
        ]

    def load_initial_weights(self, source):
        raise AssertionError("tests start from random weights")


class NormedTrunk(PlainTrunk):
    """The same with a batch normalisation after each convolution; these have biases of their own besides."""

    def __init__(self, in_channels):
        super().__init__(in_channels)
        self.norms = nn.ModuleList(nn.BatchNorm2d(4) for _ in CELLS)

    def forward(self, images):
        scales = zip(self.convolutions, self.norms, CELLS, strict=True)
        return [F.relu(norm(conv(F.adaptive_avg_pool2d(images, n)))) for conv, norm, n in scales]


for name, trunk in (("plain", PlainTrunk), ("normed", NormedTrunk)):
    if name not in TRUNKS:
        register_trunk(name)(trunk)


def train(content, folder, cache, device="cpu"):
    """Run a training in this process, as torchrun or `kill` finds it."""
    from amtnet_ros.training.trainer import Trainer

    torch.set_num_threads(1)
    with Path(os.devnull).open("w") as silence, contextlib.redirect_stderr(silence):
        Trainer(Experiment(**content), Path(folder), Path("."), device).run(Path(cache))
