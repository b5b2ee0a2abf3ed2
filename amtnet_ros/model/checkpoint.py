"""Checkpoints: everything a run needs to go on exactly where it was, written whole or not at all."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import torch
from torch import Tensor

from amtnet_ros.errors import UserError
from amtnet_ros.files import WholeFile, unwritable
from amtnet_ros.model.amtnet import AMTnet
from amtnet_ros.model.streams import NetworkOptions

FORMAT = "amtnet-checkpoint-1"


@dataclass(frozen=True)
class TrainingFacts:
    """What a model's card says of the training data, so that an export need not understand experiments.

    dataset, split, seed: of the training.
    deltas: distances of the pairs in frames; 0 is a single frame.
    flow: the engine of the flow images.
    placement: of their window, see flow.stack.
    """

    dataset: str
    split: int | None
    seed: int | None
    deltas: tuple[int, ...]
    flow: str
    placement: Literal["past", "causal", "centred"]


def save_checkpoint(path: Path, content: dict[str, Any]) -> None:
    """Write a file whole or not at all. Raises UserError if it cannot be written; an older one is then untouched."""
    with WholeFile(path, durable=True) as temporary, temporary.open("wb") as file:
        try:
            torch.save({"format": FORMAT, **content}, file)
        except RuntimeError as error:  # so torch reports a full disk
            raise unwritable(path, error) from error


def load_checkpoint(path: Path) -> dict[str, Any]:
    """Read a checkpoint, tensors and plain values only (never arbitrary pickles). Raises UserError."""
    if not path.is_file():
        raise UserError(f"no such checkpoint: {path}")
    try:
        content: dict[str, Any] = torch.load(path, map_location="cpu", weights_only=True)
    except Exception as error:  # torch raises many kinds for a damaged or unsafe file
        raise UserError(f"{path}: not a readable checkpoint ({str(error).splitlines()[0]})") from error
    if not isinstance(content, dict) or content.get("format") != FORMAT:
        raise UserError(f"{path}: not a checkpoint of this package")
    return content


def averaged_weights(content: dict[str, Any]) -> dict[str, Tensor]:
    """The weights to use: the moving average where one was kept."""
    weights: dict[str, Tensor] = content["average"] or content["network"]
    return weights


def read_facts(content: dict[str, Any], source: str) -> TrainingFacts:
    """The facts of a checkpoint's content. Raises UserError where it holds none, as those of older versions."""
    try:
        facts = json.loads(content["facts"])
        return TrainingFacts(**{**facts, "deltas": tuple(facts["deltas"])})
    except (KeyError, TypeError, ValueError) as error:
        raise UserError(
            f"{source}: holds no facts for a model card; go on with the run for a step, and export"
        ) from error


def load_network(path: Path) -> tuple[AMTnet, dict[str, Any]]:
    """The trained network of a checkpoint, in evaluation mode, and the checkpoint's whole content.

    Raises UserError where it cannot be read, or was not taught to detect.
    """
    content = load_checkpoint(path)
    return make_network(content, str(path)), content


def make_network(content: dict[str, Any], source: str) -> AMTnet:
    """The trained network of a checkpoint's content, in evaluation mode. Raises UserError if not taught to detect."""
    if json.loads(content["experiment"]).get("task", "detect") != "detect":
        raise UserError(
            f"{source}: a classifier of close-ups, which finds nobody; name it in initial.rgb or initial.flow"
        )
    options = dict(content["options"])
    if options.pop("motion_trunk", None) is not None:  # of the tag with-all-variants
        raise UserError(f"{source}: its streams have two kinds of trunks, which this version does not know")
    network = AMTnet(NetworkOptions(**{**options, "streams": tuple(options["streams"])}))
    network.load_state_dict(averaged_weights(content))
    return network.eval()
