"""What both networks say of people held out of the actor stream's training, and the rule that follows from it.

The two-stream network has learnt the clips of J-HMDB-21 that are held out here: it knows most of them by heart, and by
what it says of them it would be trusted far too much. So in these clips its scores are taken from another clip, which
it has never seen, as often as it takes until it is right no more often than the actor stream is: of clips that neither
has learnt, the two are assumed to tell equally many.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import minimize
from scipy.special import expit, softmax

from amtnet_ros.actors.actors import Actors
from amtnet_ros.actors.fusion import Float64, Fusion, Rule, Said
from amtnet_ros.boxes import iou
from amtnet_ros.contracts import Float32, Frame, TubeState, TubeUpdate
from amtnet_ros.data.actor_tracks import PersonTrack
from amtnet_ros.data.jpeg_store import JpegStore
from amtnet_ros.pipeline import Pipeline

WIDEST = 3.0
"""The penalty that keeps numbers in bounds where the moments say nothing of them lets so much pass."""


class Moments(NamedTuple):
    """N moments of people of whom it is known what they do.

    said: each (N, K + 2), as `Fusion.inputs` gives them. right: (N,), the index of what is right. weights: (N,), e.g.
    such that each clip weighs the same.
    """

    said: Said
    right: NDArray[np.int64]
    weights: Float64


def negative_log_likelihood(rule: Rule, moments: Moments) -> float:
    """The weighted mean over the moments."""
    joined = rule.join(moments.said)
    said = joined[np.arange(len(joined)), moments.right]
    return float(np.average(-np.log(np.maximum(said, 1e-12)), weights=moments.weights))


def fit_rule(moments: Moments, with_other: bool = True) -> Rule:
    """The rule that makes what is right likeliest.

    with_other: choose the number for `other` too; else it is 0, as it must be where the moments do not hold as many
    people who do something else as will be met. Nelder-Mead: five numbers at most, no derivative.
    """

    def rule_of(x: Float64) -> Rule:
        light, taught, names = softmax([x[0], x[1], 0.0]).tolist()
        other = float(x[4]) if with_other else 0.0
        return Rule(light, taught, names, temperature=float(np.exp(x[2])), other=other, whole=float(expit(x[3])))

    def cost(x: Float64) -> float:
        beyond = np.maximum(np.abs(x) - WIDEST, 0)
        return negative_log_likelihood(rule_of(x), moments) + 0.1 * float(beyond @ beyond)

    length = 5 if with_other else 4
    starts = [np.array([light, taught, 0.0, -1.0, 0.0])[:length] for light in (-1, 1) for taught in (-1, 1)]
    found = [minimize(cost, start, method="Nelder-Mead", options={"xatol": 1e-3, "fatol": 1e-7}) for start in starts]
    best = min(found, key=lambda result: float(result.fun))
    return rule_of(np.asarray(best.x))


SECOND = 1_000_000_000
OVERLAP = 0.5
"""A tube is of the annotated person if their boxes overlap by as much (IoU)."""
LONGEST = 75
"""Frames of a person that are watched, at most."""
CLAIMED = 0.05
"""The share of the time of people who do something else in which an action may be claimed."""


class Seen(NamedTuple):
    """One person in one clip, M moments.

    said: each (M, K + 2). right: the index of the right answer. learnt: whether the two-stream network learnt from this
    clip.
    """

    said: Said
    right: int
    learnt: bool


@dataclass(frozen=True)
class Watcher:
    """Both networks, side by side, and not yet joined.

    pipeline: without the actor stream. actors: of that stream. fusion: knows the order of the answers.
    """

    pipeline: Pipeline
    actors: Actors
    fusion: Fusion

    def watch(self, track: PersonTrack, store: JpegStore) -> Seen | None:
        """What both say of a person while the clip runs; None where no tube follows the person."""
        rate = self.pipeline.card.rate
        rows: list[Said] = []
        boxes: dict[int, Float32] = {}
        self.pipeline.reset()
        self.actors.reset()
        for number in range(min(len(track.boxes), LONGEST)):
            image = store.frame(track.video, track.first + number)
            for update in self.pipeline.push(round(number * SECOND / rate), image):
                boxes = _newest_boxes(update, boxes)
                if update.frame != number:  # the first frames wait for flow
                    image = store.frame(track.video, track.first + update.frame)
                answers = self.actors.look(Frame(update.frame, update.stamp, image), boxes)
                light = {tube.id: tube.class_scores for tube in update.tubes}
                nearest = _nearest(boxes, track.boxes[update.frame])
                if nearest in answers:
                    rows.append(self.fusion.inputs(light[nearest], answers[nearest], self.actors.whole(nearest)))
        if not rows:
            return None
        said = Said(*map(np.stack, zip(*rows, strict=True)))
        right = self.fusion.labels.index(track.answers[0])
        return Seen(said, right, learnt=track.source[0] == "jhmdb21")


def _newest_boxes(update: TubeUpdate, before: dict[int, Float32]) -> dict[int, Float32]:
    """Of each live tube, by id."""
    live = [tube for tube in update.tubes if tube.state != TubeState.ENDED]
    newest = {tube.id: tube.boxes[-1] for tube in live if len(tube.boxes)}
    return {tube.id: box for tube in live if (box := newest.get(tube.id, before.get(tube.id))) is not None}


def _nearest(boxes: dict[int, Float32], person: Float32) -> int | None:
    """The id of the tube whose box overlaps the person's most, if it overlaps enough."""
    if not boxes:
        return None
    overlaps = iou(np.stack(list(boxes.values())).T, person[:, None])
    best = int(overlaps.argmax())
    return list(boxes)[best] if overlaps[best] >= OVERLAP else None


def moments_of(seen: Sequence[Seen], seed: int = 0) -> Moments:
    """The moments of all clips, each clip with the same weight; half of all weight is that of `other`."""
    seen = _as_if_not_learnt(seen, np.random.default_rng(seed))
    n_answers = seen[0].said.light.shape[1]
    other = n_answers - 2
    shares = np.array([one.right == other for one in seen])
    weights = np.where(shares, 0.5 / max(shares.sum(), 1), 0.5 / max((~shares).sum(), 1))
    lengths = [len(one.said.light) for one in seen]
    return Moments(
        said=Said(*map(np.concatenate, zip(*(one.said for one in seen), strict=True))),
        right=np.repeat([one.right for one in seen], lengths),
        weights=np.repeat(weights / lengths, lengths),
    )


def _as_if_not_learnt(seen: Sequence[Seen], rng: np.random.Generator) -> list[Seen]:
    """See the top of this file."""
    learnt = [one for one in seen if one.learnt]
    strange = np.concatenate([one.said.light for one in seen if not one.learnt] or [np.zeros((0, 0))])
    if not learnt or not len(strange):
        return list(seen)
    by_heart, taught = (
        np.mean([_is_right(said, one.right) for one, said in zip(learnt, of, strict=True)])
        for of in ([one.said.light for one in learnt], [one.said.taught for one in learnt])
    )
    replaced = max(0.0, 1 - float(taught) / max(float(by_heart), 1e-9))
    out = []
    for one in seen:
        if one.learnt and rng.random() < replaced:
            drawn = rng.integers(len(strange), size=len(one.said.light))
            one = one._replace(said=one.said._replace(light=strange[drawn]))
        out.append(one)
    return out


def _is_right(said: Float64, right: int) -> bool:
    """Whether the action that a clip's moments speak for is the right one, `other` and `nobody` not counted."""
    return int(said[:, :-2].mean(axis=0).argmax()) == right


def choose_rule(moments: Moments) -> Rule:
    """The likeliest rule; then `other` as much likelier as it takes to claim little of people who do something else."""
    rule = fit_rule(moments)
    low, high = rule.other, rule.other + 10.0
    if claimed(rule, moments) <= CLAIMED:
        return rule
    for _ in range(40):
        middle = (low + high) / 2
        low, high = (low, middle) if claimed(replace(rule, other=middle), moments) <= CLAIMED else (middle, high)
    return replace(rule, other=high)


def claimed(rule: Rule, moments: Moments) -> float:
    """Of people who do something else, the share of the time in which an action is claimed."""
    other = moments.said.light.shape[1] - 2
    rows = moments.right == other
    said = rule.join(Said(*(x[rows] for x in moments.said))).argmax(axis=1)
    return float(np.average(said < other, weights=moments.weights[rows]))


def named(rule: Rule, moments: Moments, with_other: bool) -> float:
    """Of people who do one of the actions, the share of the time in which the right one is said.

    with_other: whether `other` may be said; else the likeliest action counts.
    """
    other = moments.said.light.shape[1] - 2
    rows = moments.right < other
    joined = rule.join(Said(*(x[rows] for x in moments.said)))
    said = joined[:, : None if with_other else other].argmax(axis=1)
    return float(np.average(said == moments.right[rows], weights=moments.weights[rows]))
