"""Video-mAP, under the two definitions in use."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from amtnet_ros.data.annotations import Dataset
from amtnet_ros.evaluation.overlap import candidate_pairs, tube_overlap
from amtnet_ros.evaluation.precision import (
    AreaRule,
    JudgedDetections,
    envelope_area,
    match,
    mean_over_classes,
    trapezoid_area,
)
from amtnet_ros.evaluation.tubes import (
    Float64,
    ScoredTube,
    TubeTable,
    table_of_instances,
    table_of_tubes,
)

STRICT_TEN = tuple(round(0.5 + 0.05 * k, 2) for k in range(10))
"""The ten thresholds 0.50, 0.55 … 0.95 behind "0.5:0.95"."""

THRESHOLDS = (0.2, *STRICT_TEN)
"""The thresholds of the paper's tables."""


@dataclass(frozen=True, slots=True)
class Definition:
    """What "video-mAP" means exactly.

    shift: pixels the detected boxes are moved right and down before comparison.
    strict: whether a right tube overlaps by more than the threshold, or by at least the threshold.
    min_common_frames: overlap is 0 below this number of frames in common.
    area: of the precision-recall curve.
    """

    name: str
    shift: float
    strict: bool
    min_common_frames: int
    area: AreaRule


ROAD = Definition("road", shift=1.0, strict=True, min_common_frames=2, area=envelope_area)
"""The evaluation released with Singh et al. (ICCV 2017), most likely also that of the Two-Stream AMTnet paper.

It takes boxes as x y w h and adds 1 to all four numbers of the detection, whose w and h come from inclusive maxima:
the detection ends up one pixel right and down of the ground truth, at equal size. Its temporal intersection is first
counted as last minus first frame, so one frame in common counts nothing.
"""

ACT = Definition("act", shift=0.0, strict=False, min_common_frames=1, area=trapezoid_area)
"""The evaluation released with ACT (Kalogeiton et al., ICCV 2017), used by MOC and most later work."""

DEFINITIONS = {definition.name: definition for definition in (ROAD, ACT)}


@dataclass(frozen=True, slots=True)
class VideoMap:
    """Video-mAP of one set of tubes under one definition.

    classes: the C class names.
    judged: every tube, right or wrong at each of the T thresholds.
    average_precision: (T, C) float64 in 0..1; NaN for classes without ground truth.
    """

    definition: Definition
    classes: tuple[str, ...]
    judged: JudgedDetections
    average_precision: Float64

    @property
    def thresholds(self) -> tuple[float, ...]:
        return self.judged.thresholds

    def at(self, threshold: float) -> float:
        """Mean AP over the classes with ground truth, 0..1. Raises ValueError for a threshold that was not scored."""
        return float(mean_over_classes(self.average_precision)[self.thresholds.index(threshold)])

    @property
    def strict_mean(self) -> float:
        """0.5:0.95, the mean over the ten thresholds 0.50, 0.55 … 0.95; NaN unless all of them were scored."""
        if not set(STRICT_TEN) <= set(self.thresholds):
            return float("nan")
        return float(np.mean([self.at(threshold) for threshold in STRICT_TEN]))


def video_map(
    ground_truth: Dataset,
    tubes: Sequence[ScoredTube],
    definition: Definition,
    thresholds: Sequence[float] = THRESHOLDS,
    *,
    observed: Mapping[str, int] | None = None,
) -> VideoMap:
    """Score tubes against the test videos of a dataset.

    A ground-truth tube is matched once; tubes come by falling score, ties in the order of the test videos and, within
    a video, of `tubes`.
    observed: frames seen of each video so far: the ground truth is cut there (see `evaluation.online`).
    Raises ValueError for tubes of other videos, of unknown classes, or with values that are not finite.
    """
    detections = table_of_tubes(tubes, ground_truth.test)
    truths = table_of_instances(ground_truth, ground_truth.test, observed)
    return score_tables(ground_truth.classes, detections, truths, definition, thresholds)


def score_tables(
    classes: tuple[str, ...],
    detections: TubeTable,
    truths: TubeTable,
    definition: Definition,
    thresholds: Sequence[float] = THRESHOLDS,
) -> VideoMap:
    """`video_map` on tables that are made already; both over the same list of videos."""
    n_classes = len(classes)
    if len(detections) and not 0 <= detections.label.min() <= detections.label.max() < n_classes:
        raise ValueError(f"a tube has a label outside 0 to {n_classes - 1}")
    detection, truth = candidate_pairs(
        detections.video * n_classes + detections.label, truths.video * n_classes + truths.label
    )
    overlap = tube_overlap(
        detections,
        truths,
        detection,
        truth,
        shift=definition.shift,
        min_common_frames=definition.min_common_frames,
    )
    correct = match(
        detection,
        truth,
        overlap,
        score=detections.score,
        n_truths=len(truths),
        thresholds=thresholds,
        strict=definition.strict,
    )
    judged = JudgedDetections(
        labels=detections.label,
        scores=detections.score,
        correct=correct,
        positives=np.bincount(truths.label, minlength=n_classes),
        thresholds=tuple(thresholds),
    )
    return VideoMap(definition, classes, judged, judged.average_precision(definition.area))


def tube_nms(tubes: Sequence[ScoredTube], threshold: float) -> list[ScoredTube]:
    """Drop each tube that overlaps a better one of its video and class by more than the threshold; keeps the order.

    ACT builds its tubes with 0.3; it is no part of either definition of video-mAP.
    """
    by_score = sorted(tubes, key=lambda tube: -tube.score)
    places: dict[tuple[str, int], list[int]] = {}
    for i, tube in enumerate(by_score):
        places.setdefault((tube.video, tube.label), []).append(i)
    kept: set[int] = set()
    for (video, _), indices in places.items():
        rivals = table_of_tubes([by_score[i] for i in indices], [video])
        alive = np.ones(len(indices), dtype=np.bool_)
        for best in range(len(indices)):
            if alive[best]:
                worse = best + 1 + np.flatnonzero(alive[best + 1 :])
                overlap = tube_overlap(rivals, rivals, np.full(len(worse), best), worse)
                alive[worse[overlap > threshold]] = False
        kept.update(id(by_score[indices[i]]) for i in np.flatnonzero(alive))
    return [tube for tube in tubes if id(tube) in kept]
