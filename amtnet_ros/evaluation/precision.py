"""Precision, recall and average precision from detections that are known to be right or wrong."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

import numpy as np

from amtnet_ros.contracts import Bool, Int64
from amtnet_ros.evaluation.tubes import Float64


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
