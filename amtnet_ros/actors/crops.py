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


def whole_view(size: tuple[int, int]) -> View:
    """All of a picture (width, height)."""
    return View(size[0] / 2, size[1] / 2, *size)


def is_visible(box: Float32, size: tuple[int, int]) -> bool:
    """Whether there is anything to see of a box x1 y1 x2 y2 in a picture (width, height): its centre lies inside."""
    x1, y1, x2, y2 = (float(v) for v in box)
    if not LEAST_SIDE <= max(x2 - x1, y2 - y1) < np.inf:  # nor if it is no number
        return False
    return 0 <= (x1 + x2) / 2 < size[0] and 0 <= (y1 + y2) / 2 < size[1]


def cut(image: UInt8, view: View, size: int) -> UInt8:
    """What a view shows of an image (h, w, 3), as (size, size, 3); beyond the border the image mirrored.

    It costs the same however large the image and the view are: of a view that is larger than `size`, each value is the
    mean of four that are interpolated, which is close to the mean over its area.
    """
    finer = size if max(view.width, view.height) <= size else 2 * size
    step_x, step_y = view.width / finer, view.height / finer
    first_x, first_y = (view.x - view.width / 2 + step_x / 2 - 0.5, view.y - view.height / 2 + step_y / 2 - 0.5)
    to_image = np.array([[step_x, 0, first_x], [0, step_y, first_y]])
    flags = cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP
    seen = cv2.warpAffine(image, to_image, (finer, finer), flags=flags, borderMode=cv2.BORDER_REFLECT_101)
    if finer > size:
        seen = cv2.resize(seen, (size, size), interpolation=cv2.INTER_AREA)
    return np.asarray(seen, dtype=np.uint8)


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
