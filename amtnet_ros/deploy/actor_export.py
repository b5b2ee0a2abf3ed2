"""From a checkpoint of the actor stream to the third graph of a model folder."""

from __future__ import annotations

import json
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import onnxruntime as ort
import torch

from amtnet_ros.contracts import NOBODY, OTHER, UInt8
from amtnet_ros.deploy.actor_graph import LAST_SECOND, look_at, quantise_actor_graph, trace_actor_graph
from amtnet_ros.deploy.export import store_in_half
from amtnet_ros.deploy.folder import write_card
from amtnet_ros.errors import UserError
from amtnet_ros.files import write_whole
from amtnet_ros.inference.card import ACTOR, ACTOR_INT8, ActorCard, ActorRule, Int8, ModelCard, read_card
from amtnet_ros.model.checkpoint import averaged_weights, load_checkpoint
from amtnet_ros.model.movinet import MoViNet

TOLERANCE = 0.01
"""Largest difference of a probability between torch and the graph with weights in half precision that passes."""
ORIGIN = "MoViNet-A0-Stream, taught Kinetics-600 by its authors (Kondratyuk et al., MoViNets, CVPR 2021)"
LICENCE = "Apache-2.0"
CHANGES = "taught further on people of J-HMDB-21 and UCF-101; a layer of answers of our own beside the 600 names"


@dataclass(frozen=True)
class TrainedActor:
    """network: with its averaged weights, in evaluation mode. answers: in its order. experiment: as it was run."""

    network: MoViNet
    answers: tuple[str, ...]
    experiment: dict[str, Any]
    iterations: int


def read_trained_actor(checkpoint: Path) -> TrainedActor:
    """Read a checkpoint of `amtnet train` with task actor. Raises UserError where it is none."""
    content = load_checkpoint(checkpoint)
    experiment = json.loads(content["experiment"])
    if experiment.get("task") != "actor":
        raise UserError(f"{checkpoint}: is not of an actor stream (task: actor)")
    answers = (*content["labels"], OTHER, NOBODY)
    network = MoViNet(len(answers))
    network.load_state_dict(averaged_weights(content))
    return TrainedActor(network.eval(), answers, experiment, int(content["step"]))


def add_actor(
    folder: Path, trained: TrainedActor, rule: ActorRule, clips: Iterable[UInt8], calibration: str
) -> ModelCard:
    """Put the actor stream into a model folder, in floats and in 8 bits, in the place of an earlier one.

    rule: how its answers and the two-stream network's become one. clips: (T, 172, 172, 3) uint8 of people, ten pictures
    a second, that set the ranges of the 8-bit form; calibration: whose they are, for the card.
    Raises UserError where the model knows other actions, or the graph does not say what torch says.
    """
    card, shown = read_card(folder), list(clips)
    if trained.answers != (*card.actions, OTHER, NOBODY):
        raise UserError(f"{folder}: has other actions than the actor stream, which was taught {trained.answers[:-2]}")
    exact = trace_actor_graph(trained.network)
    quantised = quantise_actor_graph(exact, shown)
    store_in_half(exact, [tensor.name for tensor in exact.graph.initializer if tensor.name.startswith("network.")])
    _check_against_torch(exact, trained.network, shown[0])
    write_whole(folder / ACTOR, exact.SerializeToString())
    write_whole(folder / ACTOR_INT8, quantised.SerializeToString())
    actor = ActorCard(
        answers=trained.answers,
        rule=rule,
        origin=ORIGIN,
        licence=LICENCE,
        changes=CHANGES,
        training={"experiment": trained.experiment, "iterations": trained.iterations},
        int8=Int8(calibration=calibration),
    )
    content = json.loads(card.model_dump_json(by_alias=True))
    return write_card(folder, ModelCard(**{**content, "actor": json.loads(actor.model_dump_json())}))


def read_rule(path: Path | None, card: ModelCard) -> ActorRule:
    """The rule of a JSON file; without one, the card's. Raises UserError if there is none."""
    if path is None:
        if card.actor is None:
            raise UserError(f"{card.name}: its card has no rule yet; give a file with its numbers by --rule")
        return card.actor.rule
    try:
        return ActorRule(**json.loads(path.read_text(encoding="utf-8")))
    except OSError as error:
        raise UserError(f"{path}: cannot be read ({error.strerror})") from error
    except (TypeError, ValueError) as error:
        raise UserError(f"{path}: not the numbers of a rule ({str(error).splitlines()[0]})") from error


@torch.no_grad()
def _check_against_torch(graph: onnx.ModelProto, network: MoViNet, clip: UInt8) -> None:
    """Both look at a clip, one at a time and all at once."""
    session = ort.InferenceSession(graph.SerializeToString(), providers=["CPUExecutionProvider"])
    *_, (_, found) = look_at(session, clip)
    pictures = torch.from_numpy(clip).permute(0, 3, 1, 2)[None].float() / 255
    said = network.say(network.features(pictures)[:, -LAST_SECOND:].mean(dim=1))
    for name, logits in (("answers", said.answers), ("names", said.names)):
        error = float(np.abs(found[name] - logits.softmax(dim=-1).numpy()).max())
        if not error <= TOLERANCE:
            raise UserError(f"the exported graph's '{name}' are off torch's by {error:.1e}; not written")
