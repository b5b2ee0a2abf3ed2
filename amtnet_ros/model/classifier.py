"""A classifier of close-ups: how a trunk learns actions from few pixels before it learns to find actors."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from amtnet_ros.model.streams import NetworkOptions, Streams

POOLED_MAPS = (1, 2)
"""The fused maps (of strides 16 and 32) whose means are looked at; the priors of most actors lie there."""


class ActorClassifier(Streams):
    """Names the action of the one actor that a close-up shows: a linear layer on the means of two fused maps."""

    def __init__(self, options: NetworkOptions) -> None:
        super().__init__(options)
        self.classify = nn.Linear(sum(self.channels[k] for k in POOLED_MAPS), options.n_classes)

    def forward(self, rgb: Tensor | None, flow: Tensor | None) -> Tensor:
        """Class logits (B, n_classes), the mean over the frames of each sample.

        rgb: (B, n, 3, S, S) and flow: (B, n, 15, S, S), values 0..255 (any float dtype); None for a stream not given.
        """
        given = rgb if rgb is not None else flow
        assert given is not None
        batch, n = given.shape[:2]
        by_frame = [None if x is None else x.flatten(0, 1) for x in (rgb, flow)]
        maps = self.features(by_frame[0], by_frame[1])
        pooled = torch.cat([maps[k].mean((2, 3)) for k in POOLED_MAPS], dim=1)
        logits: Tensor = self.classify(pooled)
        return logits.view(batch, n, -1).mean(1)
