"""Areas and overlaps of boxes, for everything that computes with NumPy.

Arrays here hold a coordinate a row, (4, …): contiguous rows are what makes this fast. Those of the contracts, (…, 4),
are turned by `.T` or `np.moveaxis`. The maximum of a box is exclusive: its width is x2 - x1.
"""

from __future__ import annotations

from typing import TypeVar

import numpy as np
from numpy.typing import NDArray

from amtnet_ros.contracts import Bool, Float32, Int64

Floats = TypeVar("Floats", bound=NDArray[np.floating])

_SMALLEST = float(np.finfo(np.float32).tiny)
"""Area that stands for 0 in a division."""


def area(boxes: Floats) -> Floats:
    """Of each box, (4, …) → (…), in square pixels (or whatever unit the sides have, squared)."""
    product: Floats = (boxes[2] - boxes[0]) * (boxes[3] - boxes[1])
    return product


def intersection(a: Floats, b: NDArray[np.floating]) -> Floats:
    """The area that two boxes share: (4, …), (4, …), broadcast against each other → (…), at least one dimension."""
    common: Floats = np.minimum(a[2], b[2])
    common -= np.maximum(a[0], b[0])
    height = np.minimum(a[3], b[3])
    height -= np.maximum(a[1], b[1])
    np.maximum(common, 0, out=common)
    np.maximum(height, 0, out=height)
    common *= height
    return common


def iou(a: Floats, b: NDArray[np.floating]) -> Floats:
    """Intersection over union: (4, …), (4, …), broadcast against each other → (…); 0 where both boxes are empty.

    Of the i-th box of `a` with the i-th of `b` for (4, P) and (4, P); of each with each for (4, P, 1) and (4, 1, Q).
    """
    common = intersection(a, b)
    union = area(a) + area(b)
    union -= common
    np.divide(common, np.maximum(union, _SMALLEST, out=union), out=common)
    return common


def clip(boxes: Floats, width: float, height: float) -> Floats:
    """The parts of boxes (4, …) inside an image of that size; boxes outside it become empty."""
    corner = np.array([width, height, width, height], boxes.dtype).reshape(4, *[1] * (boxes.ndim - 1))
    inside: Floats = np.minimum(np.maximum(boxes, 0), corner)
    return inside


def ranges(start: Int64, stop: Int64) -> tuple[Int64, Int64]:
    """All pairs (i, j) with start[i] <= j < stop[i], by ascending i, then j."""
    length = np.maximum(stop - start, 0)
    first = np.arange(len(length)).repeat(length)
    before = length.cumsum()
    before -= length
    second = (start - before).take(first)
    second += np.arange(len(first))
    return first, second


def overlaps(a: Float32, b: Float32) -> tuple[Int64, Int64, Float32]:
    """The pairs (i, j) of boxes that share an x coordinate, by ascending i, then j, and their IoU.

    a: (4, T), b: (4, M). Most boxes lie side by side, so looking at x first saves most of the work.
    """
    width = np.minimum.outer(a[2], b[2])
    width -= np.maximum.outer(a[0], b[0])
    i, j = np.divmod(np.flatnonzero(width > 0), max(b.shape[1], 1))
    return i, j, iou(a.take(i, axis=1), b.take(j, axis=1))


def nms(boxes: Float32, group_end: Int64, threshold: float) -> Bool:
    """Greedy non-maximum suppression in several groups at once.

    boxes: (4, N), group after group, each by falling score; group_end: (N,) where the group of each box ends.
    Returns (N,), true for the boxes that stay: those that no better box that stays overlaps by more than `threshold`.
    """
    if len(group_end) and group_end[0] == len(group_end):
        better, worse, overlap = overlaps(boxes, boxes)
        overlap[worse <= better] = 0
    else:
        better, worse = ranges(np.arange(1, len(group_end) + 1), group_end)
        overlap = iou(boxes.take(better, axis=1), boxes.take(worse, axis=1))
    clash = np.flatnonzero(overlap > max(threshold, 0))
    if len(clash) == 0:
        return np.ones(len(group_end), np.bool_)
    keep = [True] * len(group_end)
    for i, j in zip(better.take(clash).tolist(), worse.take(clash).tolist(), strict=True):
        if keep[i]:
            keep[j] = False
    return np.array(keep, np.bool_)
