"""Which micro-tubes of a pair are worth linking."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from amtnet_ros.boxes import clip, nms
from amtnet_ros.contracts import Bool, Float32, Int64, MicroTubes
from amtnet_ros.tubes.options import LinkerOptions

MIN_SIDE = 0.1
"""Pixels; a box with less of it inside the image is refused."""


@dataclass(frozen=True)
class Candidates:
    """Micro-tubes to link, in an order that depends on their values only: by label, then by falling score.

    In ``actor`` mode the label is the likeliest class, and the order is by falling score alone.

    boxes: (M, 2, 4) float32, clipped to the image, not empty.
    labels: (M,) int64.
    scores: (M,) float32, of the label.
    class_scores: (M, C) float32.
    """

    boxes: Float32
    labels: Int64
    scores: Float32
    class_scores: Float32

    def __len__(self) -> int:
        return len(self.scores)

    def take(self, rows: Int64) -> Candidates:
        return Candidates(
            self.boxes.take(rows, axis=0),
            self.labels.take(rows),
            self.scores.take(rows),
            self.class_scores.take(rows, axis=0),
        )


def select(micro_tubes: MicroTubes, options: LinkerOptions) -> tuple[Candidates, int]:
    """The micro-tubes above the threshold, after NMS, the best of each class (``actor`` mode: the best in all).

    Also returns how many were refused because they hold a NaN or an infinity, or lie outside the image.
    """
    boxes = _clipped(micro_tubes)
    usable = _usable(micro_tubes, boxes)
    refused = len(usable) - int(np.count_nonzero(usable))

    labels, scores, groups = micro_tubes.labels, micro_tubes.scores, micro_tubes.labels
    limit = options.per_class_limit
    if options.mode == "actor":
        labels = micro_tubes.class_scores.argmax(axis=1) if len(usable) else labels
        scores = micro_tubes.class_scores[np.arange(len(labels)), labels]
        groups, limit = np.zeros(len(usable), np.int64), options.actor_limit
    usable &= scores >= options.score_threshold
    everything = Candidates(boxes.transpose(2, 1, 0), labels, scores, micro_tubes.class_scores)
    order = _canonical_order(np.flatnonzero(usable), groups, everything)
    return everything.take(_best(order, groups, boxes[:, 0], limit, options)), refused


def _clipped(micro_tubes: MicroTubes) -> Float32:
    """(4, 2, N) first and second boxes, a coordinate a row, clipped to the image."""
    return clip(np.ascontiguousarray(micro_tubes.boxes.transpose(2, 1, 0)), *micro_tubes.image_size)


def _usable(micro_tubes: MicroTubes, clipped: Float32) -> Bool:
    """(N,) whether each micro-tube holds finite numbers only, and both its boxes lie inside the image somewhere."""
    usable: Bool = (clipped[2:] - clipped[:2]).min(axis=(0, 1)) >= MIN_SIDE
    for values in (micro_tubes.boxes, micro_tubes.scores, micro_tubes.class_scores):
        # row by row only where something is wrong
        if not np.isfinite(values.sum()):
            usable &= np.isfinite(values.reshape(len(usable), -1)).all(axis=1)
    return usable


def _canonical_order(rows: Int64, groups: Int64, candidates: Candidates) -> Int64:
    """`rows` by group, then by falling score, copies left out; the order of the input never counts.

    Copies: in ``actor`` mode the network's output lists a prior once for each of its likely classes.
    """
    # the bits of floats that are not negative sort as they do; adding 0 turns -0 into 0
    key = (groups.take(rows) << 32) - (candidates.scores.take(rows) + np.float32(0)).view(np.int32)
    order = key.argsort()
    ordered = key.take(order)
    if not (ordered[1:] == ordered[:-1]).any():
        return rows.take(order)
    # nearly always the place of the first box tells apart what the score does not, or they are copies
    order = np.lexsort((candidates.boxes[:, 0, 0].take(rows), key))
    is_copy, sure = _copies(rows.take(order), key.take(order), candidates)
    if not sure:
        equal = candidates.take(rows)
        order = np.lexsort((*equal.class_scores.T, *equal.boxes.reshape(-1, 8).T, key))
        is_copy, _ = _copies(rows.take(order), key.take(order), candidates)
    return rows.take(order[~is_copy])


def _copies(rows: Int64, key: Int64, candidates: Candidates) -> tuple[Bool, bool]:
    """Which of `rows` hold the same as the row before, and whether all others differ from it in key or place."""
    place = candidates.boxes[:, 0, 0].take(rows)
    alike = 1 + np.flatnonzero((key[1:] == key[:-1]) & (place[1:] == place[:-1]))
    one, other = candidates.take(rows.take(alike)), candidates.take(rows.take(alike - 1))
    same = (one.boxes == other.boxes).all(axis=(1, 2)) & (one.class_scores == other.class_scores).all(axis=1)
    is_copy = np.zeros(len(rows), np.bool_)
    is_copy[alike[same]] = True
    return is_copy, bool(same.all())


def _best(order: Int64, groups: Int64, first_boxes: Float32, limit: int, options: LinkerOptions) -> Int64:
    """Those of `order` that stand non-maximum suppression within their group, and are its `limit` best."""
    group = groups.take(order)
    begin = np.searchsorted(group, group)
    considered = np.arange(len(order)) - begin < options.max_candidates
    if not considered.all():
        order, group = order[considered], group[considered]
        begin = np.searchsorted(group, group)
    if options.nms_iou < 1:
        end = np.searchsorted(group, group, side="right")
        keep = nms(first_boxes.take(order, axis=1), end, options.nms_iou)
        if not keep.all():
            order, group = order[keep], group[keep]
            begin = np.searchsorted(group, group)
    return order[np.arange(len(order)) - begin < limit]
