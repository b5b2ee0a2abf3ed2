"""Frame-mAP: detection quality frame by frame, before any linking."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from amtnet_ros.boxes import iou
from amtnet_ros.contracts import Int64
from amtnet_ros.data.annotations import Dataset
from amtnet_ros.evaluation.overlap import candidate_pairs
from amtnet_ros.evaluation.precision import JudgedDetections, envelope_area, match, mean_over_classes
from amtnet_ros.evaluation.tubes import Float64


@dataclass(frozen=True, slots=True)
class FrameDetections:
    """The detections in the frames of one video, after per-class NMS in each frame.

    frames: (N,) int64, 0-based frame of each detection, in any order.
    boxes: (N, 4) float, x1 y1 x2 y2 in pixels of the video, 0-based, exclusive maximum.
    labels: (N,) int64, 0-based.
    scores: (N,) float.
    """

    frames: Int64
    boxes: NDArray[np.floating]
    labels: Int64
    scores: NDArray[np.floating]


@dataclass(frozen=True, slots=True)
class FrameMap:
    """Frame-mAP at one overlap.

    classes: the C class names.
    average_precision: (C,) float64 in 0..1; NaN for classes without ground truth.
    """

    classes: tuple[str, ...]
    judged: JudgedDetections
    average_precision: Float64

    @property
    def mean(self) -> float:
        """Mean over the classes that have ground truth, 0..1."""
        return float(mean_over_classes(self.average_precision[None])[0])


def frame_map(
    ground_truth: Dataset,
    detections: Mapping[str, FrameDetections],
    threshold: float = 0.5,
    frames: Mapping[str, Int64] | None = None,
) -> FrameMap:
    """Score detections frame by frame: VOC 2010 envelope, right from an IoU of `threshold` on.

    detections: by name of the video; a video may be missing (nothing detected).
    frames: the frames to score of each video to score; by default all frames of all test videos, also those without
        ground truth, where every detection is wrong. (A subset makes a quick look during training.)
    Detections in other frames are left out. Raises ValueError for detections in other videos, of unknown classes, or
    with values that are not finite.
    """
    videos = list(ground_truth.test) if frames is None else list(frames)
    strangers = sorted(set(detections) - set(videos))
    if strangers:
        raise ValueError(f"detections of video {strangers[0]!r}, which is not among the {len(videos)} evaluated")
    parts = [_of_video(ground_truth, i, name, detections.get(name), frames) for i, name in enumerate(videos)]
    detected = _Boxes.concatenate([part[0] for part in parts])
    truths = _Boxes.concatenate([part[1] for part in parts])
    keys_detected, keys_truth = _keys(detected, truths, len(ground_truth.classes))
    detection, truth = candidate_pairs(keys_detected, keys_truth)
    correct = match(
        detection,
        truth,
        iou(detected.boxes[detection].T, truths.boxes[truth].T),
        score=detected.scores,
        n_truths=len(truths.frames),
        thresholds=[threshold],
        strict=False,
    )
    judged = JudgedDetections(
        labels=detected.labels,
        scores=detected.scores,
        correct=correct,
        positives=np.bincount(truths.labels, minlength=len(ground_truth.classes)),
        thresholds=(threshold,),
    )
    return FrameMap(ground_truth.classes, judged, judged.average_precision(envelope_area)[0])


@dataclass(frozen=True, slots=True)
class _Boxes:
    """Boxes of many videos: video (N,), frames (N,), labels (N,) int64; boxes (N, 4), scores (N,) float64."""

    video: Int64
    frames: Int64
    labels: Int64
    boxes: Float64
    scores: Float64

    @staticmethod
    def concatenate(parts: list[_Boxes]) -> _Boxes:
        empty = np.zeros(0, dtype=np.int64)
        parts = [_Boxes(empty, empty, empty, np.zeros((0, 4)), np.zeros(0)), *parts]
        return _Boxes(
            np.concatenate([part.video for part in parts]),
            np.concatenate([part.frames for part in parts]),
            np.concatenate([part.labels for part in parts]),
            np.concatenate([part.boxes for part in parts]),
            np.concatenate([part.scores for part in parts]),
        )

    def select(self, chosen: NDArray[np.bool_]) -> _Boxes:
        return _Boxes(
            self.video[chosen], self.frames[chosen], self.labels[chosen], self.boxes[chosen], self.scores[chosen]
        )


def _of_video(
    ground_truth: Dataset,
    index: int,
    name: str,
    found: FrameDetections | None,
    frames: Mapping[str, Int64] | None,
) -> tuple[_Boxes, _Boxes]:
    """Detections and ground truth of one video, in the frames that are scored."""
    video = ground_truth.videos[name]
    truths = _Boxes.concatenate(
        [
            _Boxes(
                np.full(len(instance.frames), index),
                instance.frames,
                np.full(len(instance.frames), instance.label),
                instance.boxes.astype(np.float64),
                np.zeros(len(instance.frames)),
            )
            for instance in video.instances
        ]
    )
    detected = _Boxes.concatenate([])
    if found is not None:
        detected = _Boxes(
            np.full(len(found.frames), index),
            np.asarray(found.frames, dtype=np.int64),
            np.asarray(found.labels, dtype=np.int64),
            np.asarray(found.boxes, dtype=np.float64).reshape(-1, 4),
            np.asarray(found.scores, dtype=np.float64),
        )
        if not (np.isfinite(detected.boxes).all() and np.isfinite(detected.scores).all()):
            raise ValueError(f"detections of video {name!r} have a score or box that is not finite")
        n_classes = len(ground_truth.classes)
        if len(detected.labels) and not 0 <= detected.labels.min() <= detected.labels.max() < n_classes:
            raise ValueError(f"detections of video {name!r} have a label outside 0 to {n_classes - 1}")
    if frames is None:
        return detected, truths
    return detected.select(np.isin(detected.frames, frames[name])), truths.select(np.isin(truths.frames, frames[name]))


def _keys(detected: _Boxes, truths: _Boxes, n_classes: int) -> tuple[Int64, Int64]:
    """One number for each (video, frame, class)."""
    first = min(detected.frames.min(initial=0), truths.frames.min(initial=0))
    span = max(detected.frames.max(initial=0), truths.frames.max(initial=0)) - first + 1

    def key(boxes: _Boxes) -> Int64:
        keys: Int64 = (boxes.video * span + boxes.frames - first) * n_classes + boxes.labels
        return keys

    return key(detected), key(truths)
