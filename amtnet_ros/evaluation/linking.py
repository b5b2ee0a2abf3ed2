"""Tubes from kept detections: the online linker, replayed."""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np

from amtnet_ros.contracts import Tube, TubeState, TubeUpdate
from amtnet_ros.errors import UserError
from amtnet_ros.evaluation.detections import VideoDetections
from amtnet_ros.evaluation.tubes import ScoredTube
from amtnet_ros.tubes import LinkerOptions, TubeAssembler, TubeLinker, trim

SHARES = tuple(round(0.1 * k, 1) for k in range(1, 11))
"""The observed shares of a video at which online metrics look: 10 %, 20 % … 100 %."""

MIN_BOXES = 4
"""Tubes of 3 or fewer boxes are not scored (as in the release), unless they cover all that was seen of the video."""


MIN_CLASS_SCORE = 0.01
"""Of a tube that follows an actor, classes below it are not scored (the network's own threshold on scores)."""


@dataclass(frozen=True, slots=True)
class LinkedVideo:
    """What the linker made of one video.

    updates: as the robot would get them, the last one ends all tubes.
    tubes: whole, in the order in which they ended; those with fewer than MIN_BOXES boxes too.
    scored: the tubes of the finished video as they are scored: of at least MIN_BOXES boxes.
    observed: the same for each of SHARES, with what was known when that share of the video had been seen; the last are
        `scored`.
    """

    updates: tuple[TubeUpdate, ...]
    tubes: tuple[Tube, ...]
    scored: tuple[ScoredTube, ...]
    observed: tuple[tuple[ScoredTube, ...], ...]


def link_video(
    video: str, n_frames: int, detections: VideoDetections, options: LinkerOptions, *, trimmed: bool = False
) -> LinkedVideo:
    """Link the micro-tubes of one video online, pair after pair.

    video: its name. n_frames: its length, of which SHARES are shares.
    trimmed: score only the parts of tubes in which their action goes on (see `tubes.labelling`), as one does where
        videos are longer than the actions in them. Raises UserError in `actor` mode: there a box has no score for each
        class.
    """
    every_class = options.mode == "actor"
    check_trimming(trimmed, options)
    linker = TubeLinker(detections.n_classes, options)
    assembler = TubeAssembler(keep_ended=False)
    updates: list[TubeUpdate] = []
    ended: list[Tube] = []
    observed: list[tuple[ScoredTube, ...]] = []

    def known() -> tuple[ScoredTube, ...]:
        seen = updates[-1].frame - detections.pairs[0].frames[0] + 1 if updates else 0
        long_enough = [tube for tube in (*ended, *assembler.tubes()) if len(tube.frames) >= min(MIN_BOXES, seen)]
        return scored_tubes(video, in_action(long_enough) if trimmed else long_enough, every_class=every_class)

    cuts = [observed_frames(n_frames, share) for share in SHARES[:-1]]
    for pair in detections.pairs:
        while len(observed) < len(cuts) and pair.frames[1] >= cuts[len(observed)]:
            observed.append(known())
        updates.append(linker.update(pair, detections.delta))
        ended += assembler.add(updates[-1])
    # Shares that end after the last pair see what was known then.
    observed += [known()] * (len(cuts) - len(observed))
    if updates:
        updates.append(linker.end(detections.delta))
        ended += assembler.add(updates[-1])
    scored = known()
    return LinkedVideo(tuple(updates), tuple(ended), scored, (*observed, scored))


def observed_frames(n_frames: int, share: float) -> int:
    """Frames seen when that share of a video has been observed; at least one."""
    return max(1, math.ceil(round(share * n_frames, 6)))


def scored_tubes(video: str, tubes: Iterable[Tube], *, every_class: bool) -> tuple[ScoredTube, ...]:
    """Tubes as they are scored; those whose boxes were never reported are left out.

    every_class: score each tube as a tube of every class in which it reaches MIN_CLASS_SCORE (for tubes that follow an
        actor whatever the class); else as one of its own class.
    Frames that got no box (a tube missed for longer than the linker's history) are filled linearly.
    """
    result = []
    for tube in tubes:
        if len(tube.frames) == 0:
            continue
        first, boxes = int(tube.frames[0]), _without_gaps(tube)
        if every_class:
            for label in np.flatnonzero(tube.class_scores >= MIN_CLASS_SCORE).tolist():
                result.append(ScoredTube(video, label, float(tube.class_scores[label]), first, boxes))
        else:
            result.append(ScoredTube(video, tube.label, tube.score, first, boxes))
    return tuple(result)


def check_trimming(trimmed: bool, options: LinkerOptions) -> None:
    """Raise UserError where tubes shall be trimmed that hold no score of one class for each box."""
    if trimmed and options.mode == "actor":
        raise UserError("tubes of mode actor cannot be trimmed, since their class may change; use mode per_class")


def in_action(tubes: Iterable[Tube]) -> list[Tube]:
    """The parts of the tubes in which their action goes on."""
    return [part for tube in tubes if len(tube.frames) for part in trim(tube)]


def ever_active(updates: Iterable[TubeUpdate]) -> set[int]:
    """Ids of the tubes that were confirmed at some time: those a robot acts on."""
    return {tube.id for update in updates for tube in update.tubes if tube.state == TubeState.ACTIVE}


def _without_gaps(tube: Tube) -> np.ndarray:
    frames = np.arange(tube.frames[0], tube.frames[-1] + 1)
    if len(frames) == len(tube.frames):
        return tube.boxes
    return np.stack([np.interp(frames, tube.frames, tube.boxes[:, i]) for i in range(4)], axis=1)
