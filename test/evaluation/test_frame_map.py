"""Frame-mAP: known answers and the naive implementation."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from naive_metrics import naive_frame_map
from scenes import make_dataset

from amtnet_ros.evaluation.frame_map import FrameDetections, frame_map

BOX = [10, 10, 110, 110]


def detections(*entries):
    """(frame, box, label, score), …"""
    frames, boxes, labels, scores = zip(*entries, strict=True) if entries else ((), (), (), ())
    return FrameDetections(
        np.array(frames, int), np.array(boxes, float).reshape(-1, 4), np.array(labels, int), np.array(scores)
    )


def test_perfect_detections_score_one_and_none_score_zero():
    dataset = make_dataset({"v": [(0, range(5), [BOX] * 5)]})
    assert frame_map(dataset, {"v": detections(*((f, BOX, 0, 0.9) for f in range(5)))}).mean == 1.0
    assert frame_map(dataset, {}).mean == 0.0


def test_a_detection_in_a_frame_without_ground_truth_is_wrong():
    dataset = make_dataset({"v": [(0, [3], [BOX])]})
    found = {"v": detections((60, BOX, 0, 0.9), (3, BOX, 0, 0.8))}
    assert frame_map(dataset, found).average_precision[0] == pytest.approx(0.5)


def test_only_chosen_frames_are_scored():
    dataset = make_dataset({"v": [(0, range(10), [BOX] * 10)], "w": [(0, range(10), [BOX] * 10)]})
    found = {"v": detections((2, BOX, 0, 0.5), (60, BOX, 0, 0.9))}
    assert frame_map(dataset, found, frames={"v": np.array([2])}).average_precision[0] == 1.0


def test_an_iou_equal_to_the_threshold_is_right():
    dataset = make_dataset({"v": [(0, [0], [BOX])]})
    assert frame_map(dataset, {"v": detections((0, [10, 10, 60, 110], 0, 0.9))}).mean == 1.0
    assert frame_map(dataset, {"v": detections((0, [10, 10, 59, 110], 0, 0.9))}).mean == 0.0


def test_detections_of_unknown_videos_or_classes_or_with_nan_are_refused():
    dataset = make_dataset({"v": [(0, [0], [BOX])]})
    good = detections((0, BOX, 0, 0.5))
    for bad in ({"w": good}, {"v": detections((0, BOX, 7, 0.5))}, {"v": detections((0, BOX, 0, np.nan))}):
        with pytest.raises(ValueError, match="video"):
            frame_map(dataset, bad)


@settings(max_examples=30, deadline=None)
@given(seed=st.integers(0, 2**32 - 1))
def test_equal_to_the_naive_implementation(seed):
    rng = np.random.default_rng(seed)
    videos, found, plain = {}, {}, {}
    for name in ("a", "b", "c"):
        instances, entries = [], []
        for _ in range(rng.integers(0, 4)):
            label, frames = int(rng.integers(3)), np.arange(rng.integers(1, 6))
            corner = rng.integers(0, 30, (len(frames), 2))
            boxes = np.hstack([corner, corner + rng.integers(5, 40, 2)])
            instances.append((label, frames, boxes))
            for _ in range(rng.integers(0, 20)):
                i = int(rng.integers(len(frames)))
                moved = boxes[i] + rng.integers(-4, 5, 4)
                moved[2:] = np.maximum(moved[2:], moved[:2] + 1)
                frame = int(frames[i]) if rng.random() < 0.9 else 7
                entries.append(
                    (frame, moved, int(rng.integers(3)) if rng.random() < 0.2 else label, rng.integers(9) / 8)
                )
        # The naive one visits frame by frame; ties must come in the same order.
        entries.sort(key=lambda entry: entry[0])
        videos[name], plain[name], found[name] = instances, entries, detections(*entries)
    dataset = make_dataset(videos, n_frames=8)
    result = frame_map(dataset, found, threshold=0.5)
    assert np.allclose(result.average_precision, naive_frame_map(dataset, plain, 0.5), atol=1e-12, equal_nan=True)
