"""Average precision: which detections are right, each ground truth being matched once; then precision, recall, area."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

import numpy as np

from amtnet_ros.contracts import Bool, Int64
from amtnet_ros.evaluation.tubes import Float64

# Overlaps are quotients of sums in floating point: one that equals a threshold in exact arithmetic may come out a few
# ulps beside it. Within this tolerance it is taken as equal.
_TOLERANCE = 1e-9


def match(
    detection: Int64,
    truth: Int64,
    overlap: Float64,
    *,
    score: Float64,
    n_truths: int,
    thresholds: Sequence[float],
    strict: bool,
) -> Bool:
    """Match detections to ground truths greedily, at several thresholds at once.

    Within a group (detections and ground truths connected by pairs: those of one class in one video or frame) the
    detections are visited by falling score, ties in the order given. Each takes the ground truth it overlaps most of
    those not yet taken (of equals the first), provided that the overlap passes the threshold.

    detection, truth: (P,) indices of all pairs with a chance to match, sorted by detection; a detection's pairs must
        name every ground truth of its group that it overlaps.
    overlap: (P,) of the pairs.
    score: (N,) of all detections.
    strict: whether the overlap has to be greater than the threshold, or at least the threshold.
    Returns (T, N) bool, true where the detection is right at that threshold.
    """
    limits = np.asarray(thresholds, dtype=np.float64)[:, None]
    correct = np.zeros((len(limits), len(score)), dtype=np.bool_)
    passes = overlap > limits + _TOLERANCE if strict else overlap >= limits - _TOLERANCE
    useful = np.flatnonzero(passes.any(axis=0))
    if len(useful) == 0:
        return correct
    # Best overlap first within a detection: the first pair still free is the one to take.
    rounded = np.round(overlap[useful] / _TOLERANCE)
    useful = useful[np.lexsort((truth[useful], -rounded, detection[useful]))]
    free = np.ones((len(limits), n_truths), dtype=np.bool_)
    for turn in _turns(detection[useful], truth[useful], score):
        pairs = useful[turn]
        d, t = detection[pairs], truth[pairs]
        first_of_detection = np.flatnonzero(np.diff(d, prepend=-1))
        position = np.where(passes[:, pairs] & free[:, t], np.arange(len(pairs)), len(pairs))
        best = np.minimum.reduceat(position, first_of_detection, axis=1)
        row, column = np.nonzero(best < len(pairs))
        taken = best[row, column]
        correct[row, d[taken]] = True
        free[row, t[taken]] = False
    return correct


def _turns(detection: Int64, truth: Int64, score: Float64) -> list[Int64]:
    """Split pairs (sorted by detection) into turns in which no ground truth is wanted twice.

    A detection's turn comes after those of all better detections that want one of its ground truths: the result is
    that of visiting them one by one, but independent detections are visited together.
    """
    start = np.flatnonzero(np.diff(detection, prepend=-1))
    stop = np.append(start[1:], len(detection))
    order = np.argsort(-score[detection[start]], kind="stable")
    next_turn = np.zeros(truth.max() + 1, dtype=np.int64)
    turn = np.zeros(len(start), dtype=np.int64)
    for i in order:
        wanted = truth[start[i] : stop[i]]
        turn[i] = next_turn[wanted].max()
        next_turn[wanted] = turn[i] + 1
    of_pair = np.repeat(turn, stop - start)
    by_turn = np.argsort(of_pair, kind="stable")
    return np.split(by_turn, np.cumsum(np.bincount(of_pair))[:-1])


class AreaRule(Protocol):
    """How the area under a precision-recall curve is measured; (n,) recall, ascending, and (n,) precision → 0..1."""

    def __call__(self, recall: Float64, precision: Float64) -> float: ...


def envelope_area(recall: Float64, precision: Float64) -> float:
    """Area under the monotone envelope: at each recall the best precision at that recall or more (VOC 2010)."""
    best = np.maximum.accumulate(precision[::-1])[::-1]
    return float(np.sum(np.diff(recall, prepend=0.0) * best))


def trapezoid_area(recall: Float64, precision: Float64) -> float:
    """Area of the trapezoids under the raw curve, which starts at precision 1, recall 0 (ACT)."""
    left = np.concatenate(([1.0], precision))[:-1]
    return float(np.sum(np.diff(recall, prepend=0.0) * (left + precision) / 2))


@dataclass(frozen=True, slots=True)
class JudgedDetections:
    """N detections of C classes, each judged right or wrong at T thresholds: all that curves and APs need.

    labels: (N,) int64.
    scores: (N,) float64.
    correct: (T, N) bool.
    positives: (C,) int64, ground truths of each class.
    thresholds: the T overlaps, ascending or not.
    """

    labels: Int64
    scores: Float64
    correct: Bool
    positives: Int64
    thresholds: tuple[float, ...]

    def curve(self, label: int, threshold: float) -> tuple[Float64, Float64]:
        """Recall and precision after each detection of the class by falling score (ties in the order given), (n,) each.

        Raises KeyError if the threshold is not one of `thresholds`. Recall of a class without ground truth is NaN.
        """
        row = self.thresholds.index(threshold) if threshold in self.thresholds else None
        if row is None:
            raise KeyError(threshold)
        of_class = np.flatnonzero(self.labels == label)
        ordered = of_class[np.argsort(-self.scores[of_class], kind="stable")]
        hits = np.cumsum(self.correct[row, ordered])
        precision = hits / np.arange(1, len(ordered) + 1)
        positives = self.positives[label]
        recall = hits / positives if positives else np.full(len(ordered), np.nan)
        return recall, precision

    def average_precision(self, area: AreaRule) -> Float64:
        """(T, C) float64 in 0..1; NaN for classes without ground truth, which have no AP."""
        result = np.full((len(self.thresholds), len(self.positives)), np.nan)
        for label in np.flatnonzero(self.positives):
            for row, threshold in enumerate(self.thresholds):
                result[row, label] = area(*self.curve(int(label), threshold))
        return result


def mean_over_classes(average_precision: Float64) -> Float64:
    """Mean AP over the classes that have ground truth, (T, C) → (T,); NaN if there are none."""
    known = ~np.isnan(average_precision).all(axis=0)
    if not known.any():
        return np.full(len(average_precision), np.nan)
    result: Float64 = average_precision[:, known].mean(axis=1)
    return result
