"""The actor stream as it is run: a picture of each person at a time, with one flat memory."""

from __future__ import annotations

import copy
import math
from typing import NamedTuple

import torch
from torch import Tensor, nn

from amtnet_ros.model.movinet import Block, MoViNet, memory_shapes

MEMORY = sum(math.prod(shape) for shape in memory_shapes())
"""Values that are remembered of a person."""


class Look(NamedTuple):
    """What is seen of N persons. answers: (N, n), names: (N, 600), probabilities of the last second; hidden: (N, 2048)
    and features: (N, 480), the latter of this picture alone; memory: (N, MEMORY), for the next look."""

    answers: Tensor
    names: Tensor
    hidden: Tensor
    features: Tensor
    memory: Tensor


class ActorStream(nn.Module):
    """A network's `step` and what it says, as one function of tensors."""

    def __init__(self, network: MoViNet) -> None:
        """network: see `ready_to_run`."""
        super().__init__()
        self.network = network.eval()

    def forward(self, pictures: Tensor, memory: Tensor, earlier: Tensor, count: Tensor) -> Look:
        """Look at the next picture of each person.

        pictures: (N, 3, 172, 172) float RGB in 0..1. memory: (N, MEMORY), zeros at the start. earlier: (N, 480), the
        sum of the features of the earlier pictures of the last second; count: (N, 1), how many they were.
        """
        parts = torch.split(memory, [math.prod(shape) for shape in memory_shapes()], dim=1)
        remembered = [part.reshape(-1, *shape) for part, shape in zip(parts, memory_shapes(), strict=True)]
        features, newer = self.network.step(pictures, tuple(remembered))
        said = self.network.say((earlier + features) / (count + 1))
        flat = torch.cat([part.flatten(1) for part in newer], dim=1)
        return Look(said.answers.softmax(-1), said.names.softmax(-1), said.hidden, features, flat)


@torch.no_grad()
def ready_to_run(network: MoViNet) -> MoViNet:
    """A copy that computes the same, its gains (all 1 now) multiplied into the convolutions before them."""
    copied = copy.deepcopy(network).eval()
    for block in copied.modules():
        if isinstance(block, Block):
            assert block.project.bias is not None
            block.project.weight.mul_(block.gain)
            block.project.bias.mul_(block.gain)
            block.gain.fill_(1)
    return copied
