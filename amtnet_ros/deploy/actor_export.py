"""From a checkpoint of the actor stream to the third graph of a model folder."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import onnxruntime as ort
import torch

from amtnet_ros.actors.actors import Actors
from amtnet_ros.actors.fusion import Fusion, Rule
from amtnet_ros.contracts import NOBODY, OTHER, UInt8
from amtnet_ros.data.actor_tracks import PersonTrack
from amtnet_ros.data.jpeg_store import JpegStore
from amtnet_ros.deploy.actor_graph import LAST_SECOND, look_at, quantise_actor_graph, trace_actor_graph
from amtnet_ros.deploy.folder import write_card
from amtnet_ros.deploy.stored_weights import store_in_half
from amtnet_ros.errors import UserError
from amtnet_ros.evaluation.actor_moments import Watcher, choose_rule, claimed, moments_of, named
from amtnet_ros.files import read_json, write_whole
from amtnet_ros.inference.card import ACTOR, ACTOR_INT8, ActorCard, ActorRule, Int8, ModelCard, read_card
from amtnet_ros.inference.factory import make_actor_engine, make_engine
from amtnet_ros.inference.reading import read
from amtnet_ros.model.checkpoint import averaged_weights, load_checkpoint
from amtnet_ros.model.movinet import MoViNet
from amtnet_ros.pipeline import Pipeline, PipelineOptions

TOLERANCE = 0.01
"""Largest difference of a probability between torch and the graph with weights in half precision that passes."""
ORIGIN = "MoViNet-A0-Stream, taught Kinetics-600 by its authors (Kondratyuk et al., MoViNets, CVPR 2021)"
LICENCE = "Apache-2.0"
UNCHOSEN = ActorRule(w_light=0, w_taught=1, w_names=0, temperature=1, other=0)
"""Until a rule is chosen the stream's own answers stand."""
CHANGES = "taught further on people of J-HMDB-21 and UCF-101; a layer of answers of our own beside the 600 names"


Progress = Callable[[Sequence[PersonTrack]], Iterable[PersonTrack]]


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
    experiment["data"].pop("teachers", None)  # a folder of the machine that taught it
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
    return write_card(folder, replace(card, actor=actor))


def choose_card_rule(folder: Path, people: Sequence[PersonTrack], store: JpegStore, progress: Progress) -> ModelCard:
    """Choose the rule of a model that has an actor stream, and write it into the card with what it brings.

    people: held out of the actor stream's training, doing one known thing each. store: holds their frames. progress:
    wraps them while they are watched, which takes as long as the clips do.
    """
    card = read_card(folder)
    assert card.actor is not None
    watcher = Watcher(
        Pipeline(make_engine(folder, "cpu"), PipelineOptions(actor_stream=False)),
        Actors(make_actor_engine(folder, "cpu"), at_once=16, nobody=card.actor.answers.index(NOBODY)),
        Fusion(card.actions, card.actor.answers, Rule(1, 0, 0)),
    )
    seen = [found for track in progress(people) if (found := watcher.watch(track, store)) is not None]
    moments = moments_of(seen)
    rule = choose_rule(moments)
    numbers = ActorRule(**{name: round(value, 4) for name, value in asdict(rule).items()})
    accuracy = {
        "people held out": len(seen),
        "named %": round(100 * named(rule, moments, with_other=False), 1),
        "named, other allowed %": round(100 * named(rule, moments, with_other=True), 1),
        "an action claimed of others %": round(100 * claimed(rule, moments), 1),
    }
    return write_card(folder, replace(card, actor=replace(card.actor, rule=numbers, accuracy=accuracy)))


def read_rule(path: Path) -> ActorRule:
    """The rule of a JSON file. Raises UserError if there is none."""
    content = read_json(path)
    try:
        return read(ActorRule, content)
    except UserError as error:
        raise UserError(f"{path}: not the numbers of a rule ({error})") from error


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
