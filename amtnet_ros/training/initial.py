"""Initial weights of a network: ImageNet, local files, or earlier runs."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from torch import Tensor, nn

from amtnet_ros.errors import UserError
from amtnet_ros.model.amtnet import AMTnet
from amtnet_ros.model.streams import Streams
from amtnet_ros.training.checkpoint import averaged_weights, load_checkpoint
from amtnet_ros.training.config import InitialConfig

CHECKPOINT_SUFFIX = ".pt"


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
    if config.heads is not None and isinstance(network, AMTnet):
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
