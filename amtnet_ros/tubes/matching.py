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
    if options.assignment == "optimal":
        return _optimal(tube, candidate, value, (len(live), len(candidates)))
    return _greedy(tube, candidate, value, live.strength)


def _greedy(tube: Int64, candidate: Int64, value: Float32, strength: Float32) -> tuple[Int64, Int64]:
    """Tubes choose one after another, the strongest first (of equals, the older), the best candidate still free."""
    turn = np.empty(len(strength), np.int64)
    turn[np.argsort(-strength, kind="stable")] = np.arange(len(strength))
    order = (2.0 * turn.take(tube) - value).argsort(kind="stable")  # values are within 0 to 1
    taken = [-1] * len(strength)
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
