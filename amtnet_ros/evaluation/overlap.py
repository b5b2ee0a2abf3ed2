"""Overlap of tubes, many pairs at once."""

from __future__ import annotations

import numpy as np

from amtnet_ros.boxes import iou, ranges
from amtnet_ros.contracts import Int64
from amtnet_ros.evaluation.tubes import Float64, TubeTable

# Boxes compared at a time: bounds memory (some 200 bytes for each) whatever the number of tubes.
_BATCH = 1 << 19


def candidate_pairs(detection_key: Int64, truth_key: Int64) -> tuple[Int64, Int64]:
    """All pairs of a detection and a ground truth with equal keys.

    detection_key: (N,) and truth_key: (G,), for instance one number for each (video, class).
    Returns the indices (P,) of the detections, ascending, and (P,) of the ground truths, ascending for each detection.
    """
    order = np.argsort(truth_key, kind="stable")
    low = np.searchsorted(truth_key[order], detection_key, side="left")
    high = np.searchsorted(truth_key[order], detection_key, side="right")
    detection, place = ranges(low, high)
    return detection, order[place]


def tube_overlap(
    detections: TubeTable,
    truths: TubeTable,
    detection: Int64,
    truth: Int64,
    *,
    shift: float = 0.0,
    min_common_frames: int = 1,
) -> Float64:
    """Spatio-temporal overlap of pairs of tubes: temporal IoU times the mean spatial IoU over their common frames.

    detection, truth: (P,) indices of the pairs; the two tubes of a pair must be of the same video.
    shift: pixels by which detected boxes are moved right and down before they are compared.
    min_common_frames: pairs with fewer frames in common have overlap 0.
    Where the ground truth is sparsely annotated, the spatial mean is over the common frames that carry a box, and
    the temporal IoU over the whole extent of both. Returns (P,) float64 in 0..1.
    """
    start = np.maximum(detections.first_frame[detection], truths.first_frame[truth])
    stop = np.minimum(detections.end_frame[detection], truths.end_frame[truth])
    union = np.maximum(detections.end_frame[detection], truths.end_frame[truth]) - np.minimum(
        detections.first_frame[detection], truths.first_frame[truth]
    )
    common = stop - start
    result = np.zeros(len(detection))
    meeting = np.flatnonzero(common >= max(min_common_frames, 1))
    for part in _batches(meeting, common):
        d, t = detection[part], truth[part]
        _, of_detection = ranges(
            detections.offset[d] + start[part] - detections.first_frame[d],
            detections.offset[d] + stop[part] - detections.first_frame[d],
        )
        _, of_truth = ranges(
            truths.offset[t] + start[part] - truths.first_frame[t],
            truths.offset[t] + stop[part] - truths.first_frame[t],
        )
        annotated = truths.annotated[of_truth]
        overlap = iou((detections.boxes[of_detection] + shift).T, truths.boxes[of_truth].T) * annotated
        segment = np.cumsum(common[part]) - common[part]
        counted = np.add.reduceat(annotated, segment, dtype=np.int64)
        spatial = np.add.reduceat(overlap, segment) / np.maximum(counted, 1)
        result[part] = common[part] / union[part] * spatial
    return result


def _batches(pairs: Int64, frames: Int64) -> list[Int64]:
    """Split pairs into runs of about _BATCH frames in all (never less than one pair)."""
    if len(pairs) == 0:
        return []
    batch = np.cumsum(frames[pairs]) // _BATCH
    return np.split(pairs, np.flatnonzero(np.diff(batch)) + 1)
