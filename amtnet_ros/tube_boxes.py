"""The boxes of one tube, put together from what each update reports of it."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from amtnet_ros.contracts import Float32, Tube, TubeState, TubeUpdate


class Box(NamedTuple):
    """Where the actor was at one moment.

    stamp: ns. box: (4,) float32, x1, y1, x2, y2 in source pixels. score: 0..1.
    interpolated: whether it lies between two boxes that were seen.
    frame: the frame's index; -1 where it is not known, as in ROS messages.
    """

    stamp: int
    box: Float32
    score: float
    interpolated: bool
    frame: int = -1


def boxes_of(tube: Tube) -> list[Box]:
    """The boxes that are new in this update, ascending by stamp."""
    columns = tube.stamps.tolist(), tube.boxes, tube.scores.tolist(), tube.interpolated.tolist(), tube.frames.tolist()
    return [Box(*row) for row in zip(*columns, strict=True)]


def newest_box(tube: Tube, stamp: int) -> Float32 | None:
    """(4,) float32: the tube's box in the frame of that stamp (ns), or None where it has none."""
    (hits,) = np.nonzero(tube.stamps == stamp)
    return tube.boxes[hits[-1]] if len(hits) else None


def grow(boxes: list[Box], tube: Tube, limit: int | None = None) -> None:
    """Append the boxes that are new in this update; one sent again replaces the one before, and all that follow it.

    boxes: of the same tube so far, ascending by stamp; changed in place. limit: only so many are kept, the newest.
    """
    new = boxes_of(tube)
    while boxes and new and boxes[-1].stamp >= new[0].stamp:
        boxes.pop()
    boxes += new
    if limit is not None:
        del boxes[: max(0, len(boxes) - limit)]


class TubeAssembler:
    """Keeps every tube's boxes, as of the newest update.

    history_limit: keep only the newest so many boxes of a tube; None keeps all (evaluation).
    keep_ended: whether `tubes` also gives the tubes that ended; a node that runs for days says no.

        assembler = TubeAssembler()
        for tube in assembler.add(update):  # those that ended
            print(tube.id, tube.stamps, tube.boxes)
    """

    def __init__(self, history_limit: int | None = None, keep_ended: bool = True) -> None:
        if history_limit is not None and history_limit < 1:
            raise ValueError(f"a history of {history_limit} boxes holds no tube")
        self.history_limit = history_limit
        self.keep_ended = keep_ended
        self._newest: dict[int, Tube] = {}
        self._boxes: dict[int, list[Box]] = {}

    def add(self, update: TubeUpdate) -> tuple[Tube, ...]:
        """Take in one update; returns, whole, the tubes that ended in it."""
        ended = []
        for tube in update.tubes:
            self._newest[tube.id] = tube
            grow(self._boxes.setdefault(tube.id, []), tube, self.history_limit)
            if tube.state == TubeState.ENDED:
                ended.append(_whole(tube, self._boxes[tube.id]))
                if not self.keep_ended:
                    del self._newest[tube.id], self._boxes[tube.id]
        return tuple(ended)

    def tubes(self, min_frames: int = 1) -> tuple[Tube, ...]:
        """All tubes with at least so many boxes, whole, by id. The release evaluates those of 4 and more."""
        long_enough = sorted(key for key, boxes in self._boxes.items() if len(boxes) >= min_frames)
        return tuple(_whole(self._newest[key], self._boxes[key]) for key in long_enough)


def _whole(newest: Tube, boxes: list[Box]) -> Tube:
    """The newest state of a tube, with all its boxes."""
    return newest._replace(
        frames=np.array([box.frame for box in boxes], np.int64),
        stamps=np.array([box.stamp for box in boxes], np.int64),
        boxes=np.array([box.box for box in boxes], np.float32).reshape(-1, 4),
        scores=np.array([box.score for box in boxes], np.float32),
        interpolated=np.array([box.interpolated for box in boxes], np.bool_),
    )
