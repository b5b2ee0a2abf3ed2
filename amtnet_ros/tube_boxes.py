"""The boxes of one tube, put together from what each update reports of it."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from amtnet_ros.contracts import Float32, Tube


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
