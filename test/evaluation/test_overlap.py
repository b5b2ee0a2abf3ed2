"""Overlap of boxes and tubes against numbers worked out by hand."""

import numpy as np
import pytest
from naive_metrics import act_box_iou, road_box_iou
from scenes import make_dataset

from amtnet_ros.boxes import iou
from amtnet_ros.evaluation.overlap import candidate_pairs, tube_overlap
from amtnet_ros.evaluation.tubes import ScoredTube, table_of_instances, table_of_tubes

BOX = [10.0, 10.0, 20.0, 20.0]


def overlap_of(instance, tube, **options):
    dataset = make_dataset({"v": [(0, *instance)]})
    first, boxes = tube
    table = table_of_tubes([ScoredTube("v", 0, 1.0, first, np.array(boxes))], ["v"])
    zero = np.zeros(1, dtype=np.int64)
    return float(tube_overlap(table, table_of_instances(dataset, ["v"]), zero, zero, **options)[0])


def test_the_two_releases_conventions_are_a_shift_of_the_same_iou():
    rng = np.random.default_rng(3)
    corner = rng.uniform(0, 100, (200, 2, 2))
    boxes = np.concatenate([corner, corner + rng.uniform(2, 100, (200, 2, 2))], axis=2)
    truth, found = boxes[:, 0], boxes[:, 1]
    assert np.allclose(iou(found.T, truth.T), [act_box_iou(t, f) for t, f in zip(truth, found, strict=True)])
    assert np.allclose(iou(found.T + 1, truth.T), [road_box_iou(t, f) for t, f in zip(truth, found, strict=True)])


def test_tube_overlap_is_temporal_iou_times_mean_spatial_iou():
    # Frames 0..9 against 5..14: 5 in common of 15; in the common frames IoU is 1/3.
    found = (5, [[15, 10, 25, 20]] * 10)
    assert overlap_of((range(10), [BOX] * 10), found) == pytest.approx(5 / 15 / 3)


def test_one_common_frame_counts_unless_two_are_asked_for():
    instance, tube = (range(10), [BOX] * 10), (9, [BOX] * 10)
    assert overlap_of(instance, tube) == pytest.approx(1 / 19)
    assert overlap_of(instance, tube, min_common_frames=2) == 0.0


def test_tubes_apart_in_time_do_not_overlap():
    assert overlap_of((range(10), [BOX] * 10), (10, [BOX] * 10)) == 0.0


def test_shift_moves_the_detection_right_and_down():
    assert overlap_of((range(3), [BOX] * 3), (0, [BOX] * 3), shift=1.0) == pytest.approx(81 / 119)


def test_sparse_ground_truth_takes_the_spatial_mean_over_annotated_frames_only():
    instance = ([0, 4, 8], [BOX] * 3)
    far = [100, 100, 110, 110]
    # Boxes are right at 0 and 4, wrong at 8; what stands between annotated frames does not count.
    tube = (0, [BOX, far, far, far, BOX, far, far, far, far])
    assert overlap_of(instance, tube) == pytest.approx(2 / 3)
    assert overlap_of(instance, (1, [BOX] * 3)) == 0.0


def test_candidate_pairs_list_everything_once():
    detection, truth = candidate_pairs(np.array([5, 2, 5, 9]), np.array([5, 7, 5, 2]))
    assert list(zip(detection.tolist(), truth.tolist(), strict=True)) == [(0, 0), (0, 2), (1, 3), (2, 0), (2, 2)]


def test_overlaps_are_the_same_however_many_pairs_are_asked_for_at_once(monkeypatch):
    rng = np.random.default_rng(0)
    tubes = []
    for _ in range(30):
        corner = rng.uniform(0, 50, (rng.integers(1, 20), 2))
        tubes.append(ScoredTube("v", 0, 1.0, int(rng.integers(0, 20)), np.hstack([corner, corner + 40])))
    table = table_of_tubes(tubes, ["v"])
    first, second = candidate_pairs(table.label, table.label)
    whole = tube_overlap(table, table, first, second)
    monkeypatch.setattr("amtnet_ros.evaluation.overlap._BATCH", 7)
    assert np.array_equal(tube_overlap(table, table, first, second), whole)
    one_by_one = [float(tube_overlap(table, table, first[i : i + 1], second[i : i + 1])[0]) for i in range(len(first))]
    assert np.array_equal(whole, one_by_one)
