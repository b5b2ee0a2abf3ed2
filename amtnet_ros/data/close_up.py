"""The view of a person that the actor stream looks at: a square around the person's box."""

from __future__ import annotations

from typing import NamedTuple

import cv2
import numpy as np

from amtnet_ros.contracts import Float32, UInt8

MARGIN = 1.6
"""The square's side, in longer sides of the person's box."""
LEAST_SIDE = 8.0
"""Pixels; of smaller squares nothing is seen."""


class View(NamedTuple):
    """A part of a picture by its centre and its sides, in pixels; it may reach beyond the picture."""

    x: float
    y: float
    width: float
    height: float


def square_around(box: Float32, margin: float = MARGIN) -> View:
    """The square around a box x1 y1 x2 y2, of `margin` times its longer side."""
    x1, y1, x2, y2 = (float(v) for v in box)
    side = max(margin * max(x2 - x1, y2 - y1), LEAST_SIDE)
    return View((x1 + x2) / 2, (y1 + y2) / 2, side, side)


def whole(size: tuple[int, int]) -> View:
    """All of a picture (width, height)."""
    return View(size[0] / 2, size[1] / 2, *size)


def cut(image: UInt8, view: View, size: int) -> UInt8:
    """What a view shows of an image (h, w, 3), as (size, size, 3); beyond the border the image mirrored."""
    height, width = image.shape[:2]
    left, right = _span(view.x, view.width)
    top, bottom = _span(view.y, view.height)
    seen = image[max(top, 0) : bottom, max(left, 0) : right]
    above, below, before, after = (max(x, 0) for x in (-top, bottom - height, -left, right - width))
    if above or below or before or after:
        padded = np.asarray(cv2.copyMakeBorder(image, above, below, before, after, cv2.BORDER_REFLECT_101), np.uint8)
        seen = padded[max(top, 0) :, max(left, 0) :][: bottom - top, : right - left]
    return np.asarray(cv2.resize(seen, (size, size), interpolation=cv2.INTER_AREA), dtype=np.uint8)


def _span(middle: float, length: float) -> tuple[int, int]:
    whole_length = max(round(length), 1)
    first = round(middle - whole_length / 2)
    return first, first + whole_length
