"""The actor stream of a checkpoint becomes the third graph of a model folder, with the rule that joins both answers."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import Any

import onnx

from amtnet_ros.actors.actors import Actors
from amtnet_ros.actors.fusion import Fusion, Rule
from amtnet_ros.contracts import NOBODY, OTHER, UInt8
from amtnet_ros.data.actor_clips import plain_clip
from amtnet_ros.data.actor_tracks import PersonTrack, Tracks
from amtnet_ros.data.jpeg_store import JpegStore
from amtnet_ros.deploy.actor_graph import quantise_actor_graph, trace_actor_graph
from amtnet_ros.deploy.export import store_in_half
from amtnet_ros.deploy.folder import write_card
from amtnet_ros.errors import UserError
from amtnet_ros.evaluation.actor_moments import (
    Seen,
    Watcher,
    choose_rule,
    claimed,
    moments_of,
    named,
    spread_by_class,
)
from amtnet_ros.inference.card import ACTOR, ACTOR_INT8, ActorCard, ActorRule, Int8, ModelCard, read_card
from amtnet_ros.inference.factory import make_actor_engine, make_engine
from amtnet_ros.model.checkpoint import averaged_weights, load_checkpoint
from amtnet_ros.model.movinet import IMAGE_SIZE, MoViNet
from amtnet_ros.pipeline import Pipeline
from amtnet_ros.settings import PipelineOptions

ORIGIN = "MoViNet-A0-Stream, Kinetics-600 (Kondratyuk et al., MoViNets, CVPR 2021), as Google publishes it for phones"
LICENCE = "Apache-2.0"
CALIBRATED_BY = 24
"""People of the training whose pictures set the ranges of the 8-bit form."""
OF_EACH_CLASS = 12
"""People held out of the training, of each class, by whom the rule is chosen."""
LEAST_FRAMES = 20

Progress = Callable[[Sequence[PersonTrack]], Iterable[PersonTrack]]


def read_actor_network(checkpoint: Path) -> tuple[MoViNet, tuple[str, ...], dict[str, Any]]:
    """The taught network, what it answers, in order, and its experiment. Raises UserError where it is none."""
    content = load_checkpoint(checkpoint)
    experiment = json.loads(content["experiment"])
    if experiment.get("task") != "actor":
        raise UserError(f"{checkpoint}: holds no actor stream (task: {experiment.get('task', 'detect')})")
    answers = (*content["labels"], OTHER, NOBODY)
    network = MoViNet(len(answers))
    network.load_state_dict(averaged_weights(content))
    return network.eval(), answers, {**experiment, "iterations": int(content["step"])}


def add_actor_stream(
    folder: Path, checkpoint: Path, tracks: Tracks, store: JpegStore, progress: Progress = iter
) -> ModelCard:
    """Write the graphs of the actor stream, in floats and in 8 bits, and its part of the card into a model folder.

    tracks: of the data that the stream was taught by; those held out choose the rule. store: holds their frames.
    progress: wraps the people held out while they are watched. An actor stream that was there is replaced. Raises
    UserError where checkpoint and model do not go together or the folder cannot be written.
    """
    card = read_card(folder)
    network, answers, experiment = read_actor_network(checkpoint)
    if answers[:-2] != card.actions:
        raise UserError(f"{checkpoint}: was taught {len(answers) - 2} actions other than those of model {card.name}")
    graph = trace_actor_graph(network)
    people = spread_by_class(tracks.learnt, 2, LEAST_FRAMES)[:: max(1, len(tracks.classes) // 12)][:CALIBRATED_BY]
    clips: list[UInt8] = [plain_clip(track, store, IMAGE_SIZE) for track in people]
    int8 = quantise_actor_graph(graph, clips)
    store_in_half(graph, {tensor.name for tensor in graph.graph.initializer})
    onnx.save(graph, folder / ACTOR)
    onnx.save(int8, folder / ACTOR_INT8)
    part = ActorCard(
        picture_size=IMAGE_SIZE,
        answers=answers,
        rule=ActorRule(w_light=0.0, w_taught=1.0, w_names=0.0, temperature=1.0, other=0.0),
        origin=ORIGIN,
        licence=LICENCE,
        changes="taught further on people of J-HMDB-21 and UCF-101; a layer of its own answers",
        training=experiment,
        int8=Int8(calibration=f"{len(clips)} people of its training"),
    )
    card = _write(folder, card, part)
    seen = watch_held_out(folder, tracks, store, progress)
    moments = moments_of(seen)
    rule = choose_rule(moments)
    accuracy = {
        "held out: named %": round(100 * named(rule, moments, with_other=False), 1),
        "held out: named, other allowed %": round(100 * named(rule, moments, with_other=True), 1),
        "held out: claimed of others %": round(100 * claimed(rule, moments), 1),
        "held out: people": float(len(seen)),
    }
    numbers = {name: round(getattr(rule, name), 4) for name in ActorRule.model_fields}
    return _write(folder, card, part.model_copy(update={"rule": ActorRule(**numbers), "accuracy": accuracy}))


def watch_held_out(folder: Path, tracks: Tracks, store: JpegStore, progress: Progress = iter) -> list[Seen]:
    """What both networks of a model folder say of the people held out."""
    card = read_card(folder)
    assert card.actor is not None
    watcher = Watcher(
        Pipeline(make_engine(folder, "cpu"), PipelineOptions(actor_stream=False)),
        Actors(make_actor_engine(folder, "cpu"), at_once=16),
        Fusion(card.actions, card.actor.answers, Rule(1, 0, 0)),
    )
    people = spread_by_class(tracks.held_out, OF_EACH_CLASS, LEAST_FRAMES)
    found = [watcher.watch(track, store) for track in progress(people)]
    return [seen for seen in found if seen is not None]


def _write(folder: Path, card: ModelCard, part: ActorCard) -> ModelCard:
    content = json.loads(card.model_dump_json(by_alias=True))
    content["actor"] = json.loads(part.model_dump_json())
    return write_card(folder, ModelCard(**content))
