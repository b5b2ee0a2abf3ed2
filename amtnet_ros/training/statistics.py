"""Batch statistics for networks that lost theirs."""

from __future__ import annotations

from collections.abc import Iterable

import torch
from torch import Tensor, nn

from amtnet_ros.model.streams import Streams
from amtnet_ros.training.batches import Batch
from amtnet_ros.training.tasks import as_float

SAMPLES = 64
"""So many give the statistics: means over a hundred frames, of many cells each."""


@torch.no_grad()
def take_statistics(network: Streams, batches: Iterable[Batch]) -> None:
    """Give every batch normalisation the statistics of what reaches it; in evaluation the network computes as before.

    The exported form of a network has none: they are folded into the convolutions. Without them the first step of
    training, which normalises by the batch's own, would make another network of it. Scale and shift make up for the
    change.
    """
    moments = {norm: _Moments(norm) for norm in network.modules() if isinstance(norm, nn.BatchNorm2d)}
    hooks = [norm.register_forward_pre_hook(moment.add) for norm, moment in moments.items()]
    training = network.training
    network.eval()
    for batch in batches:
        images = [None if x is None else x.flatten(0, 1) for x in (as_float(batch.rgb), as_float(batch.flow))]
        network.features(images[0], images[1])
    network.train(training)
    for hook in hooks:
        hook.remove()
    for norm, moment in moments.items():
        _replace_statistics(norm, *moment.mean_and_variance())


class _Moments:
    """Sums over the samples and cells of a normalisation's inputs, by channel."""

    def __init__(self, norm: nn.BatchNorm2d) -> None:
        self._count = 0
        self._sums = torch.zeros(2, norm.num_features, dtype=torch.float64)

    def add(self, _: nn.Module, inputs: tuple[Tensor, ...]) -> None:
        x = inputs[0].transpose(0, 1).flatten(1).double()
        self._count += x.shape[1]
        self._sums = self._sums.to(x.device) + torch.stack([x.sum(1), x.square().sum(1)])

    def mean_and_variance(self) -> tuple[Tensor, Tensor]:
        mean, square = self._sums / self._count
        return mean, (square - mean.square()).clamp(min=0)


def _replace_statistics(norm: nn.BatchNorm2d, mean: Tensor, variance: Tensor) -> None:
    assert norm.running_mean is not None
    assert norm.running_var is not None
    slope = norm.weight / (norm.running_var + norm.eps).sqrt()
    norm.bias.add_(slope * (mean - norm.running_mean))
    norm.weight.copy_(slope * (variance + norm.eps).sqrt())
    norm.running_mean.copy_(mean)
    norm.running_var.copy_(variance)
