"""Overlaps of pairs of boxes. Arrays here hold a coordinate a row, (4, P): contiguous rows are what makes this fast."""

from __future__ import annotations

import numpy as np

from amtnet_ros.contracts import Bool, Float32, Int64


def iou(a: Float32, b: Float32) -> Float32:
    """Intersection over union of the i-th box of `a` with the i-th of `b`: (4, P), (4, P) → (P,); none is empty."""
    common: Float32 = np.minimum(a[2], b[2])
    common -= np.maximum(a[0], b[0])
    height = np.minimum(a[3], b[3])
    height -= np.maximum(a[1], b[1])
    np.maximum(common, 0, out=common)
    np.maximum(height, 0, out=height)
    common *= height
    union = (a[2] - a[0]) * (a[3] - a[1])
    union += (b[2] - b[0]) * (b[3] - b[1])
    union -= common
    common /= union
    return common


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
