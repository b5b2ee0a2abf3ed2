"""Which tube takes which micro-tube."""

from __future__ import annotations

import numpy as np

from amtnet_ros.boxes import iou, overlaps, ranges
from amtnet_ros.contracts import Float32, Int64
from amtnet_ros.libraries import library
from amtnet_ros.tubes.live import LiveTubes
from amtnet_ros.tubes.options import LinkerOptions
from amtnet_ros.tubes.selection import Candidates


def match(live: LiveTubes, frame: int, candidates: Candidates, options: LinkerOptions) -> tuple[Int64, Int64]:
    """Pairs of tubes and candidates, each of them in one pair at most, by the overlap of their boxes in `frame`.

    frame: the first of the candidates' pair. Returns the rows of the matched tubes, ascending, and of their candidates.
    """
    tube_boxes = np.ascontiguousarray(live.boxes_at(frame).T)
    first_boxes = np.ascontiguousarray(candidates.boxes[:, 0].T)
    if options.mode == "per_class":
        start = np.searchsorted(candidates.labels, live.label)
        stop = np.searchsorted(candidates.labels, live.label, side="right")
        tube, candidate = ranges(start, stop)
        overlap = iou(tube_boxes.take(tube, axis=1), first_boxes.take(candidate, axis=1))
    else:
        tube, candidate, overlap = overlaps(tube_boxes, first_boxes)
    least = np.where(live.frame < frame, options.lost_iou_threshold, options.iou_threshold).astype(np.float32)
    near = np.flatnonzero((overlap >= least.take(tube)) & (overlap > 0))
    tube, candidate, overlap = tube.take(near), candidate.take(near), overlap.take(near)
    score = candidates.scores.take(candidate)
    if options.match == "score":
        value = score
    elif options.match == "iou":
        value = overlap
    elif options.match == "similarity":
        value = 1 - np.abs(live.score.take(tube) - score)
    else:
        value = score * overlap
    if options.class_weight:
        alike = _cosine(live.class_scores.take(tube, axis=0), candidates.class_scores.take(candidate, axis=0))
        value = value * (1 + np.float32(options.class_weight) * (alike - 1))
    if options.assignment == "optimal":
        return _optimal(tube, candidate, value, (len(live), len(candidates)))
    if options.assignment == "best":
        return _taken(tube, candidate, (-value).argsort(kind="stable"), len(live))
    # the strongest first (of equals, the older), the best candidate still free; values are within 0 to 1
    turn = np.empty(len(live), np.int64)
    turn[np.argsort(-live.strength, kind="stable")] = np.arange(len(live))
    return _taken(tube, candidate, (2.0 * turn.take(tube) - value).argsort(kind="stable"), len(live))


def _cosine(a: Float32, b: Float32) -> Float32:
    """(P,) how alike two class distributions (P, C) are, 0 to 1."""
    product = np.linalg.norm(a, axis=1) * np.linalg.norm(b, axis=1)
    return np.asarray((a * b).sum(axis=1) / np.maximum(product, np.float32(1e-9)), dtype=np.float32)


def _taken(tube: Int64, candidate: Int64, order: Int64, n_tubes: int) -> tuple[Int64, Int64]:
    """Go through the pairs in this order, and take each whose tube and candidate are still free."""
    taken = [-1] * n_tubes
    given = set()
    for t, c in zip(tube.take(order).tolist(), candidate.take(order).tolist(), strict=True):
        if taken[t] < 0 and c not in given:
            taken[t] = c
            given.add(c)
    choice = np.array(taken, np.int64)
    rows = np.flatnonzero(choice >= 0)
    return rows, choice.take(rows)


def _optimal(tube: Int64, candidate: Int64, value: Float32, shape: tuple[int, int]) -> tuple[Int64, Int64]:
    """The assignment with the greatest sum of values."""
    linear_sum_assignment = library("scipy.optimize", "link.assignment: optimal").linear_sum_assignment
    gain = np.zeros(shape)
    # a pair is worth something even at value 0, so that it beats no pair at all
    gain[tube, candidate] = value + 1e-6
    rows, columns = linear_sum_assignment(gain, maximize=True)
    real = gain[rows, columns] > 0
    return rows[real], columns[real]
