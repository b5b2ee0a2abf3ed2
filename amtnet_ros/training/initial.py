"""Initial weights of a network: ImageNet, local files, or what was trained before; and the network to learn from.

The weights of a model folder come without batch statistics, which the export folds into the convolutions. Without them
the first step of training, which normalises by the batch's own, would make another network of it: `take_statistics`
gives them anew.
"""

from __future__ import annotations

import json
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from amtnet_ros.deploy.unfolding import read_as_checkpoint
from amtnet_ros.errors import UserError
from amtnet_ros.inference.card import find_model
from amtnet_ros.model.amtnet import AMTnet
from amtnet_ros.model.checkpoint import averaged_weights, load_checkpoint, make_network
from amtnet_ros.model.heads import MicroTubeHeads
from amtnet_ros.model.streams import STREAMS, Streams
from amtnet_ros.training.batches import Batch
from amtnet_ros.training.config import CHECKPOINT_SUFFIX, JOINED, Experiment, InitialConfig, is_trained

STATISTICS_SAMPLES = 64
"""Samples from which batch statistics are taken: means over a hundred frames, of many cells each."""


def initialise(network: Streams, config: InitialConfig, labels: tuple[str, ...] | None = None) -> None:
    """Load what the configuration names into trunks and heads. Raises UserError where something does not fit.

    labels: the network's classes, where they may differ from those of the heads to start from, see `_heads_for`; None
        where they are the same.
    A file that is not of a trained network (see `is_trained`) is a trunk's own state dict.
    """
    for stream, source in (("rgb", config.rgb), ("flow", config.flow)):
        if stream not in network.options.streams or source is None:
            continue
        if is_trained(source):
            _load_part(network.trunk(stream), _trained_part(source, f"trunks.{stream}."), source)
        else:
            network.trunk(stream).load_initial_weights(source)
    if config.heads is None or not isinstance(network, AMTnet):
        return
    if config.heads == JOINED:
        sources = {"rgb": str(config.rgb), "flow": str(config.flow)}
        _load_part(network.heads, _joined_heads(sources, network.options.fusion), " and ".join(sources.values()))
    else:
        content = _read(config.heads)
        part = _part(content, "heads.", config.heads)
        if labels is not None and tuple(content["labels"]) != labels:
            part = _heads_for(network.heads, labels, part, tuple(content["labels"]))
        _load_part(network.heads, part, config.heads)


def lacks_statistics(config: InitialConfig) -> bool:
    """Whether a trunk comes from a model folder, whose batch statistics are folded away."""
    return any(is_trained(x) and not str(x).endswith(CHECKPOINT_SUFFIX) for x in (config.rgb, config.flow))


@torch.no_grad()
def take_statistics(network: Streams, batches: Iterable[Batch]) -> None:
    """Give every batch normalisation the statistics of what reaches it; in evaluation the network computes as before.

    Scale and shift make up for the change.
    """
    moments = {norm: _Moments(norm) for norm in network.modules() if isinstance(norm, nn.BatchNorm2d)}
    hooks = [norm.register_forward_pre_hook(moment.add) for norm, moment in moments.items()]
    training = network.training
    network.eval()
    for batch in batches:
        images = [None if x is None else x.float().flatten(0, 1) for x in (batch.rgb, batch.flow)]
        network.features(images[0], images[1])
    network.train(training)
    for hook in hooks:
        hook.remove()
    for norm, moment in moments.items():
        _replace_statistics(norm, *moment.mean_and_variance())


def read_teacher(source: str, network: Streams, labels: tuple[str, ...]) -> AMTnet:
    """The trained network that another one is to learn from, in evaluation mode.

    network, labels: those that learn. Raises UserError where the teacher cannot be read, or differs from the network in
    classes, streams, image size or cells.
    """
    content = _read(source)
    teacher = make_network(content, source)
    for what, own, others in (
        ("classes", tuple(content["labels"]), labels),
        ("streams", teacher.options.streams, network.options.streams),
        ("image size", teacher.options.image_size, network.options.image_size),
        ("cells", teacher.cells, network.cells),
    ):
        if own != others:
            raise UserError(f"loss.teacher: {source} has other {what} than the network: {own}, not {others}")
    return teacher.requires_grad_(False)


def earlier_runs(experiment: Experiment) -> list[dict[str, Any]]:
    """The runs whose weights or scores an experiment uses, the earliest first; each has its experiment and iterations.

    Raises UserError where a checkpoint or model folder cannot be read.
    """
    runs: list[dict[str, Any]] = []
    initial = experiment.initial
    for source in dict.fromkeys((initial.rgb, initial.flow, initial.heads, experiment.loss.teacher)):
        if source is None or not is_trained(source):
            continue
        content = _read(source)
        own = {"experiment": json.loads(content["experiment"]), "iterations": content["step"]}
        runs += [run for run in (*json.loads(content.get("earlier", "[]")), own) if run not in runs]
    return runs


def _heads_for(
    heads: MicroTubeHeads, labels: tuple[str, ...], part: dict[str, Tensor], theirs: tuple[str, ...]
) -> dict[str, Tensor]:
    """Heads of other classes as heads of these: boxes, background and classes of the same name are theirs.

    A new class begins as the mean of all of theirs, so that people are found before any action is known.
    heads: those to fill.
    labels: of their classes.
    part: weights of the heads to start from.
    theirs: labels of those.
    """
    own = heads.state_dict()
    known = [label for label in labels if label in theirs]
    rows, their_rows = ([0, *(1 + of.index(label) for label in known)] for of in (labels, theirs))
    adapted = {}
    for name, value in part.items():
        if name.startswith("classify.") and value.shape[1:] == own[name].shape[1:]:
            their_classes = value.reshape(-1, len(theirs) + 1, *value.shape[1:])
            by_class = their_classes[:, 1:].mean(1, keepdim=True).repeat_interleave(len(labels) + 1, dim=1)
            by_class[:, rows] = their_classes[:, their_rows]
            value = by_class.flatten(0, 1)
        adapted[name] = value
    return adapted


def _joined_heads(sources: dict[str, str], fusion: str) -> dict[str, Tensor]:
    """Heads over fused maps whose output is the mean of the outputs of each stream's own heads over its maps.

    With sum and mean there is one set of weights for both streams: exact where both have learnt by the same heads.
    """
    rgb, flow = (_heads_alone(_read(sources[stream]), stream) for stream in STREAMS)
    joined = {name: (rgb[name] + flow[name]) / 2 for name in rgb}
    for name in joined:
        if name.endswith("weight") and fusion == "concat":
            joined[name] = torch.cat([rgb[name], flow[name]], dim=1) / 2
        elif name.endswith("weight") and fusion == "sum":
            joined[name] = joined[name] / 2
    return joined


def _heads_alone(content: dict[str, Any], stream: str) -> dict[str, Tensor]:
    """A checkpoint's heads as those of a network of this stream alone; from a fused one as `fuse_one` feeds them."""
    options = content["options"]
    heads = {}
    for name, value in averaged_weights(content).items():
        if not name.startswith("heads."):
            continue
        if name.endswith("weight") and len(options["streams"]) == 2:
            if options["fusion"] == "concat":
                value = value.chunk(2, dim=1)[STREAMS.index(stream)]
            value = value if options["fusion"] == "mean" else 2 * value
        heads[name.removeprefix("heads.")] = value
    return heads


def _read(source: str) -> dict[str, Any]:
    if source.endswith(CHECKPOINT_SUFFIX):
        return load_checkpoint(Path(source))
    return read_as_checkpoint(find_model(source))


def _trained_part(source: str, prefix: str) -> dict[str, Tensor]:
    return _part(_read(source), prefix, source)


def _part(content: dict[str, Any], prefix: str, source: str) -> dict[str, Tensor]:
    weights = averaged_weights(content)
    part = {name.removeprefix(prefix): value for name, value in weights.items() if name.startswith(prefix)}
    if not part:
        raise UserError(f"{source}: the network trained there has no {prefix.removesuffix('.')}")
    return part


def _load_part(module: nn.Module, part: dict[str, Tensor], source: str) -> None:
    try:
        module.load_state_dict(part)
    except RuntimeError as error:
        raise UserError(f"{source}: does not fit this network: {str(error).splitlines()[-1].strip()}") from error


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
