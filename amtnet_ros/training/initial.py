"""Initial weights of a network: ImageNet, local files, or earlier runs."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from amtnet_ros.errors import UserError
from amtnet_ros.model.amtnet import AMTnet
from amtnet_ros.model.streams import STREAMS, Streams
from amtnet_ros.training.checkpoint import averaged_weights, load_checkpoint
from amtnet_ros.training.config import CHECKPOINT_SUFFIX, JOINED, InitialConfig


def initialise(network: Streams, config: InitialConfig) -> None:
    """Load what the configuration names into trunks and heads. Raises UserError where something does not fit.

    A file that ends with CHECKPOINT_SUFFIX is a checkpoint of this package, any other a trunk's own state dict.
    """
    for stream, source in (("rgb", config.rgb), ("flow", config.flow)):
        if stream not in network.options.streams or source is None:
            continue
        if source.endswith(CHECKPOINT_SUFFIX):
            _load_part(network.trunk(stream), _checkpoint_part(source, f"trunks.{stream}."), source)
        else:
            network.trunk(stream).load_initial_weights(source)
    if config.heads is None or not isinstance(network, AMTnet):
        return
    if config.heads == JOINED:
        sources = {"rgb": str(config.rgb), "flow": str(config.flow)}
        _load_part(network.heads, _joined_heads(sources), " and ".join(sources.values()))
    else:
        _load_part(network.heads, _checkpoint_part(config.heads, "heads."), config.heads)


def earlier_runs(config: InitialConfig) -> list[dict[str, Any]]:
    """The runs whose checkpoints the configuration names, after those that they started from: experiment, iterations.

    Raises UserError where a checkpoint cannot be read.
    """
    runs: list[dict[str, Any]] = []
    for source in (config.rgb, config.flow, config.heads):
        if source is None or not source.endswith(CHECKPOINT_SUFFIX):
            continue
        content = load_checkpoint(Path(source))
        own = {"experiment": json.loads(content["experiment"]), "iterations": content["step"]}
        runs += [run for run in (*json.loads(content.get("earlier", "[]")), own) if run not in runs]
    return runs


def _joined_heads(sources: dict[str, str]) -> dict[str, Tensor]:
    """Heads over concatenated maps that give the mean of what each stream's own heads make of its maps alone."""
    rgb, flow = (_heads_alone(load_checkpoint(Path(sources[stream])), stream) for stream in STREAMS)
    return {
        name: torch.cat([rgb[name], flow[name]], dim=1) / 2 if name.endswith("weight") else (rgb[name] + flow[name]) / 2
        for name in rgb
    }


def _heads_alone(content: dict[str, Any], stream: str) -> dict[str, Tensor]:
    """A checkpoint's heads as of a network of this stream alone: a fused one is asked by it alone (see `fuse_one`)."""
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


def _checkpoint_part(source: str, prefix: str) -> dict[str, Tensor]:
    weights = averaged_weights(load_checkpoint(Path(source)))
    part = {name.removeprefix(prefix): value for name, value in weights.items() if name.startswith(prefix)}
    if not part:
        raise UserError(f"{source}: the network trained there has no {prefix.removesuffix('.')}")
    return part


def _load_part(module: nn.Module, part: dict[str, Tensor], source: str) -> None:
    try:
        module.load_state_dict(part)
    except RuntimeError as error:
        raise UserError(f"{source}: does not fit this network: {str(error).splitlines()[-1].strip()}") from error
