"""Two people in one picture, made of what a network saw of each by himself: side by side, or crossing each other.

What is real is the micro-tubes: scores, jitter, what is missed, false ones. What is made is where the two stand, and
that who is behind is not seen.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Literal

import numpy as np

from amtnet_ros.bench.switch import Clip, stream
from amtnet_ros.boxes import iou
from amtnet_ros.contracts import Float32, Int64, MicroTubes
from amtnet_ros.data.annotations import ActionInstance, AnnotatedVideo

Layout = Literal["beside", "crossing"]
SIZE = (640, 240)
HIDDEN = 0.45
"""Share of a person's box that is covered from which on he is not seen."""
APART = 0.85
"""Of the mean width of the two, between the centres of people side by side."""


@dataclass(frozen=True)
class Scene:
    """What a network sees of two people, pairs end to start, and where they are."""

    video: AnnotatedVideo
    pairs: tuple[MicroTubes, ...]


def compose(name: str, people: tuple[Clip, Clip], layout: Layout, seconds: float) -> Scene:
    """Both for so long; the first stands, or passes, before the second."""
    streams = [stream(person, seconds, None, None) for person in people]
    length = min(len(one) for one in streams)
    frames = np.array([0, *(pair.frames[1] for pair in streams[0][:length])])
    here = [_boxes(person, length) for person in people]
    ways = _ways(here, layout)
    placed = [boxes + np.tile(way, (1, 2)) for boxes, way in zip(here, ways, strict=True)]
    labels = (person.label for person in people)
    instances = tuple(
        ActionInstance(label, frames, boxes.astype(np.float32)) for label, boxes in zip(labels, placed, strict=True)
    )
    pairs = []
    for i in range(length):
        parts = [_moved(one[i], way[i : i + 2]) for one, way in zip(streams, ways, strict=True)]
        front, behind = (boxes[i : i + 2] for boxes in placed)
        kept = [parts[0], _without(parts[1], behind) if _covered(front, behind) >= HIDDEN else parts[1]]
        pairs.append(_together(kept))
    return Scene(AnnotatedVideo(name, SIZE, int(frames[-1]) + 1, instances, None), tuple(pairs))


def _boxes(person: Clip, pairs: int) -> Float32:
    """(pairs + 1, 4) the person's boxes at the ends of the pairs, there and back."""
    there = person.boxes
    cycle = np.concatenate([there, there[-2::-1]])[:-1]
    return np.asarray(cycle[np.arange(pairs + 1) % len(cycle)])


def _ways(boxes: Sequence[Float32], layout: Layout) -> list[Float32]:
    """For each person (n, 2): how far the picture of him is moved, so that he is where he shall be."""
    n = len(boxes[0])
    widths = [float(np.mean(one[:, 2] - one[:, 0])) for one in boxes]
    gap = APART * sum(widths) / 2
    if layout == "beside":
        centres = [np.full(n, SIZE[0] / 2 - gap / 2), np.full(n, SIZE[0] / 2 + gap / 2)]
    else:
        far = 2.5 * gap
        centres = [SIZE[0] / 2 + np.linspace(-far, far, n), SIZE[0] / 2 + np.linspace(far, -far, n)]
    ways = []
    for one, x in zip(boxes, centres, strict=True):
        middle = (one[0, 0] + one[0, 2]) / 2  # as he stood in the beginning: what he does himself stays
        ways.append(np.stack([x - middle, np.zeros(n)], axis=1).astype(np.float32))
    return ways


def _moved(pair: MicroTubes, way: Float32) -> MicroTubes:
    return replace(pair, boxes=pair.boxes + np.tile(way, (1, 2)), image_size=SIZE)


def _covered(front: Float32, behind: Float32) -> float:
    """The share of the box behind that the box in front covers, in the pair's first frame or its second."""
    side = np.minimum(front[:, 2:], behind[:, 2:]) - np.maximum(front[:, :2], behind[:, :2])
    area = np.prod(behind[:, 2:] - behind[:, :2], axis=1)
    return float((np.prod(np.maximum(side, 0), axis=1) / area).max())


def _without(pair: MicroTubes, hidden: Float32) -> MicroTubes:
    """Without the micro-tubes on the hidden person."""
    first = pair.boxes[:, 0].astype(np.float64)
    on = iou(first.T, hidden[0].astype(np.float64)[:, None]) >= 0.3
    return _rows(pair, np.flatnonzero(~on))


def _rows(pair: MicroTubes, rows: Int64) -> MicroTubes:
    return replace(
        pair,
        boxes=pair.boxes[rows],
        labels=pair.labels[rows],
        scores=pair.scores[rows],
        class_scores=pair.class_scores[rows],
    )


def _together(parts: Sequence[MicroTubes]) -> MicroTubes:
    return replace(
        parts[0],
        boxes=np.concatenate([part.boxes for part in parts]),
        labels=np.concatenate([part.labels for part in parts]),
        scores=np.concatenate([part.scores for part in parts]),
        class_scores=np.concatenate([part.class_scores for part in parts]),
    )
