"""What the actor stream sees of a person: a square around the person's box, mirrored beyond the picture's border."""

from __future__ import annotations

from collections import deque
from typing import NamedTuple

import cv2
import numpy as np

from amtnet_ros.contracts import Float32, UInt8

SECOND = 1_000_000_000
MARGIN = 1.6
"""The square's side, in longer sides of the person's box."""
SMOOTHED = SECOND // 2
"""Nanoseconds over whose mean a box is smoothed: a box that trembles would look like a person who moves."""
LEAST_SIDE = 4.0
"""Pixels; of a person whose longer side is less nothing can be seen."""


class View(NamedTuple):
    """A part of a picture by its centre and its sides, in pixels; it may reach beyond the picture."""

    x: float
    y: float
    width: float
    height: float


def square_around(box: Float32, margin: float = MARGIN) -> View:
    """The square around a box x1 y1 x2 y2, of `margin` times its longer side."""
    x1, y1, x2, y2 = (float(v) for v in box)
    side = margin * max(x2 - x1, y2 - y1)
    return View((x1 + x2) / 2, (y1 + y2) / 2, side, side)


def is_visible(box: Float32, size: tuple[int, int]) -> bool:
    """Whether there is anything to see of a box x1 y1 x2 y2 in a picture (width, height): its centre lies inside."""
    x1, y1, x2, y2 = (float(v) for v in box)
    if not LEAST_SIDE <= max(x2 - x1, y2 - y1) < np.inf:  # nor if it is no number
        return False
    return 0 <= (x1 + x2) / 2 < size[0] and 0 <= (y1 + y2) / 2 < size[1]


def cut(image: UInt8, view: View, size: int) -> UInt8:
    """What a view shows of an image (h, w, 3), as (size, size, 3).

    The view's centre lies in the image. Only what is seen is copied, however large the image.
    """
    height, width = image.shape[:2]
    left, right = _span(view.x, view.width)
    top, bottom = _span(view.y, view.height)
    rows, columns = _with_mirrored(top, bottom, height), _with_mirrored(left, right, width)
    seen = image[rows, columns]
    before, after = max(-top, 0), max(bottom - height, 0)
    before_x, after_x = max(-left, 0), max(right - width, 0)
    if before or after or before_x or after_x:
        padded = np.asarray(
            cv2.copyMakeBorder(seen, before, after, before_x, after_x, cv2.BORDER_REFLECT_101), np.uint8
        )
        first_row, first_column = max(top, 0) - rows.start, max(left, 0) - columns.start
        seen = padded[first_row:, first_column:][: bottom - top, : right - left]
    shrinks = min(seen.shape[:2]) > size
    small = cv2.resize(seen, (size, size), interpolation=cv2.INTER_AREA if shrinks else cv2.INTER_LINEAR)
    return np.asarray(small, dtype=np.uint8)


class SmoothBox:
    """The mean of a box over the last half second, by stamps."""

    def __init__(self) -> None:
        self._boxes: deque[tuple[int, Float32]] = deque()

    def add(self, stamp: int, box: Float32) -> None:
        """The newest box x1 y1 x2 y2, in pixels. One that is no number is left out."""
        if np.isfinite(box).all():
            self._boxes.append((stamp, box))
        while self._boxes and self._boxes[0][0] <= stamp - SMOOTHED:
            self._boxes.popleft()

    @property
    def mean(self) -> Float32 | None:
        """(4,); None where there was no box for half a second."""
        if not self._boxes:
            return None
        return np.asarray(np.mean([box for _, box in self._boxes], axis=0), dtype=np.float32)


def _span(middle: float, length: float) -> tuple[int, int]:
    whole_length = max(round(length), 1)
    first = round(middle - whole_length / 2)
    return first, first + whole_length


def _with_mirrored(first: int, end: int, length: int) -> slice:
    """The places of a line of `length` of which first … end - 1 shows some, directly or mirrored at either end."""
    low, high = max(first, 0), min(end, length)
    if end > length:
        low = min(low, max(2 * length - 1 - end, 0))
    if first < 0:
        high = max(high, min(1 - first, length))
    return slice(low, high)
