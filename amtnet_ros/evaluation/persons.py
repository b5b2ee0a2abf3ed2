"""What a detector calls the person of a clip that shows one action: with the actor stream, and without it."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field, replace

import numpy as np

from amtnet_ros.boxes import iou
from amtnet_ros.contracts import OTHER, Float32, TubeState, UInt8
from amtnet_ros.data.annotations import AnnotatedVideo
from amtnet_ros.errors import UserError
from amtnet_ros.evaluation.reliability import Reliability, reliability
from amtnet_ros.evaluation.tubes import ScoredTube
from amtnet_ros.media.video import open_source
from amtnet_ros.pipeline import Pipeline

SECOND = 1_000_000_000


@dataclass
class WatchedPerson:
    """One tube of a clip, in whatever state.

    scores: (L,) its newest class scores, which are of the last second. boxes: frame → (4,) x1 y1 x2 y2, source pixels.
    confirmed: whether it was ever more than TENTATIVE.
    """

    scores: Float32
    boxes: dict[int, Float32] = field(default_factory=dict)
    confirmed: bool = False


def watch_persons(pipeline: Pipeline, video: AnnotatedVideo) -> list[WatchedPerson]:
    """Everybody whom the detector follows in a video, as on a robot; who is followed longest comes first.

    The frames get stamps at the model's nominal rate: in a data set, frames count, not seconds. Raises UserError if the
    video cannot be read.
    """
    if video.path is None:
        raise UserError(f"video {video.name!r}: only its annotations are known; a model needs the video itself")
    return follow_persons(pipeline, open_source(str(video.path)), pipeline.card.rate)


def follow_persons(pipeline: Pipeline, images: Iterable[UInt8], rate: float) -> list[WatchedPerson]:
    """Everybody whom the detector follows in images that come `rate` times a second; longest first.

    The frames are numbered from 0, as the images come.
    """
    found: dict[int, WatchedPerson] = {}
    number_of: dict[int, int] = {}
    pipeline.reset()
    for index, image in enumerate(images):
        stamp = round(index * SECOND / rate)
        number_of[stamp] = index
        for update in pipeline.push(stamp, image):
            for tube in update.tubes:
                if tube.state == TubeState.ENDED:
                    continue
                person = found.setdefault(tube.id, WatchedPerson(tube.class_scores))
                person.scores = tube.class_scores
                person.confirmed |= tube.state != TubeState.TENTATIVE
                numbers = (number_of[stamp] for stamp in tube.stamps.tolist())
                person.boxes.update(zip(numbers, tube.boxes, strict=True))
    pipeline.finish()
    return sorted(found.values(), key=lambda person: -len(person.boxes))


def says(persons: Sequence[WatchedPerson], labels: Sequence[str], with_other: bool) -> str | None:
    """What the person who is followed longest is called in the end, of the last second; None without one.

    with_other: whether `other` may be said; else the likeliest action counts.
    """
    if not persons:
        return None
    scores = persons[0].scores.copy()
    if not with_other and OTHER in labels:
        scores[labels.index(OTHER)] = -1
    return labels[int(scores.argmax())]


def reliability_of(clips: Iterable[tuple[Sequence[WatchedPerson], str]], labels: Sequence[str]) -> Reliability:
    """How often an action is right that the person followed longest is called in the end, by its score.

    clips: everybody in a clip, and what is right; who is called `other` counts in none of them.
    """
    said = [(persons[0].scores, right) for persons, right in clips if says(persons, labels, True) not in (None, OTHER)]
    scores = np.array([scores.max() for scores, _ in said], np.float32)
    return reliability(scores, np.array([labels[int(scores.argmax())] == right for scores, right in said], np.bool_))


def rescored(tubes: Iterable[ScoredTube], persons: Sequence[WatchedPerson], power: float) -> list[ScoredTube]:
    """Tubes of one video, each of one class, their scores times what the person there is called, to a power.

    A tube where nobody was followed keeps its score times the least that anybody was given for its class.
    """
    out = []
    for tube in tubes:
        overlaps = [_overlap(tube, person) for person in persons]
        best = int(np.argmax(overlaps)) if overlaps else -1
        of_class = [float(person.scores[tube.label]) for person in persons] or [1.0]
        share = of_class[best] if best >= 0 and overlaps[best] > 0 else min(of_class)
        out.append(replace(tube, score=tube.score * share**power))
    return out


def _overlap(tube: ScoredTube, person: WatchedPerson) -> float:
    """Mean overlap (IoU) of boxes in the frames that both have, times the share of the tube's frames that these are."""
    common = [i for i in range(len(tube.boxes)) if tube.first_frame + i in person.boxes]
    if not common:
        return 0.0
    theirs = np.stack([person.boxes[tube.first_frame + i] for i in common]).astype(np.float64)
    overlap = iou(np.asarray(tube.boxes, np.float64)[common].T, theirs.T)
    return float(overlap.mean()) * len(common) / len(tube.boxes)
