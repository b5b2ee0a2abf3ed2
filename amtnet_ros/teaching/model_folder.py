"""From a model and a lesson to a model folder: the two-stream network's files linked, the stream's answers replaced."""

from __future__ import annotations

import os
import shutil
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import onnx

from amtnet_ros.contracts import NOBODY, OTHER
from amtnet_ros.deploy.answer_layer import with_answers
from amtnet_ros.deploy.folder import new_folder, write_card
from amtnet_ros.files import write_whole
from amtnet_ros.inference.card import ACTOR, ACTOR_INT8, PEOPLE, ActorCard, ActorRule, ModelCard
from amtnet_ros.teaching.known_people import KnownPeople
from amtnet_ros.teaching.layer import Layer
from amtnet_ros.teaching.lesson import Lesson, TaughtClip

KEPT_MOMENTS = 4
"""Of each clip, among the people of the new folder."""


def write_taught_model(
    base: Path,
    card: ModelCard,
    out: Path,
    lesson: Lesson,
    people: KnownPeople,
    training: Mapping[str, Any],
    accuracy: Mapping[str, float],
    overwrite: bool,
) -> ModelCard:
    """Write the folder, whole or not at all. people: those who came with the model, and those of the clips.

    Raises UserError if it cannot be written, or is there already.
    """
    actor = card.actor
    assert actor is not None
    with new_folder(out, overwrite) as folder:
        for name in card.files:
            if name not in (ACTOR, ACTOR_INT8, PEOPLE):
                _link(base / name, folder / name)
        layer = lesson.layer
        for name in (ACTOR, ACTOR_INT8):
            if name in card.files:
                graph = with_answers(onnx.load(base / name), layer.weight, layer.bias, layer.direction, layer.middle)
                write_whole(folder / name, graph.SerializeToString())
        people.write(folder / PEOPLE)
        answers = lesson.answers
        taught = replace(
            actor,
            answers=answers.order,
            actions=(*answers.actions, *answers.kept),
            rule=_rule(lesson, actor),
            changes=f"{actor.changes}; its last layer taught {', '.join(answers.actions)}",
            training={**training, "earlier": actor.training},
            accuracy=dict(accuracy),
        )
        description = f"{card.name}, taught {', '.join(answers.actions)} from clips"
        kept = {key: value for key, value in card.accuracy.items() if answers.kept}
        return write_card(folder, replace(card, name=out.name, description=description, actor=taught, accuracy=kept))


def with_clips(known: KnownPeople, clips: Sequence[TaughtClip]) -> KnownPeople:
    """Known people, and some moments of each clip: so that what was taught can be kept when more is."""
    chosen = [
        (way[-1], clip.label, clip.group, clip.last_second[1] if clip.whole and clip.alone else way[-1])
        for clip in clips
        for way in clip.ways[:KEPT_MOMENTS]
    ]
    features, labels, groups, whole = zip(*chosen, strict=True)
    return KnownPeople(
        np.concatenate([known.features, np.stack(features)]),
        (*known.labels, *labels),
        (*known.groups, *groups),
        np.concatenate([known.whole, np.stack(whole)]),
    )


def _rule(lesson: Lesson, actor: ActorCard) -> ActorRule:
    """Where answers are kept, their rule is too."""
    if lesson.answers.given is not None:
        return actor.rule
    return ActorRule(w_light=0, w_taught=1, w_names=0, temperature=1, other=0, whole=lesson.whole)


def given_answers(layer: Layer, actor: ActorCard, new: Sequence[str]) -> tuple[tuple[str, ...], Layer]:
    """The actions of a stream that are not taught anew, and their rows of its layer, with those of other and nobody."""
    kept = tuple(answer for answer in actor.answers if answer not in (OTHER, NOBODY, *new))
    rows = [actor.answers.index(answer) for answer in (*kept, OTHER, NOBODY)]
    return kept, Layer(layer.weight[rows], layer.bias[rows], layer.direction[rows], layer.middle)


def _link(source: Path, target: Path) -> None:
    """A hard link costs no room; across file systems it is a copy."""
    try:
        os.link(source, target)
    except OSError:
        shutil.copyfile(source, target)
