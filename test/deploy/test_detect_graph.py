"""The detect graph against softmax, decoding and suppression written out in float64."""

from __future__ import annotations

import numpy as np
import onnxruntime as ort
import pytest
from tiny import reference_selection, select_by_score

from amtnet_ros.deploy.detect_graph import make_detect_graph
from amtnet_ros.model.priors import make_priors

PRIORS = make_priors(128, (16, 8, 4, 2, 1, 1))
N_CLASSES = 5


def shares(seed: int, pairs: int, values: int) -> np.ndarray:
    rng = np.random.default_rng(seed)
    rows = rng.normal(0, 1.2, (pairs, len(PRIORS), values)).astype(np.float32)
    rows[..., 0] += 2  # mostly background
    return rows


def run(first: np.ndarray, second: np.ndarray, late: bool = False, **thresholds: float) -> list[np.ndarray]:
    graph = make_detect_graph(PRIORS, N_CLASSES, 18, half=first.dtype == np.float16, late=late)
    options = ort.SessionOptions()
    options.log_severity_level, options.intra_op_num_threads = 3, 1
    session = ort.InferenceSession(graph.SerializeToString(), options, providers=["CPUExecutionProvider"])
    settings = {"score_threshold": 0.2, "nms_iou": 0.45, "max_per_class": 10, **thresholds}
    feed = {name: np.array(value, np.float32) for name, value in settings.items()}
    feed["max_per_class"] = np.array(settings["max_per_class"], np.int64)
    return session.run(None, {"first": first, "second": second, **feed})


def decode(rows: np.ndarray) -> np.ndarray:
    """(M, 8) offsets → (M, 2, 4) corners, float64, straight from the definition (variances 0.1 and 0.2)."""
    priors = PRIORS.astype(np.float64)
    boxes = []
    for k in (0, 4):
        dx, dy, dw, dh = rows[:, k : k + 4].astype(np.float64).T
        x, y = priors[:, 0] + 0.1 * dx * priors[:, 2], priors[:, 1] + 0.1 * dy * priors[:, 3]
        w, h = priors[:, 2] * np.exp(0.2 * dw), priors[:, 3] * np.exp(0.2 * dh)
        boxes.append(np.stack([x - w / 2, y - h / 2, x + w / 2, y + h / 2], axis=1))
    return np.stack(boxes, axis=1)


def compare(found: list[np.ndarray], expected: list, tolerance: float = 1e-5) -> None:
    boxes, labels, scores = found[:3]
    assert len(expected) > 5, "nothing is compared"
    order = np.argsort(-scores, kind="stable")
    assert labels[order].tolist() == [label for label, _, _ in expected]
    np.testing.assert_allclose(scores[order], [score for _, score, _ in expected], atol=tolerance)
    np.testing.assert_allclose(boxes[order], [boxes for _, _, boxes in expected], atol=tolerance)


@pytest.mark.parametrize(("threshold", "iou", "limit"), [(0.2, 0.45, 10), (0.35, 0.1, 100), (0.3, 0.9, 2)])
def test_selection_is_softmax_decoding_and_suppression(threshold: float, iou: float, limit: int) -> None:
    first, second = shares(1, 1, N_CLASSES + 9), shares(2, 1, N_CLASSES + 9)
    rows = (first.astype(np.float64) + second)[0]
    expected = reference_selection(rows[:, : N_CLASSES + 1], decode(rows[:, N_CLASSES + 1 :]), threshold, iou, limit)
    compare(run(first, second, score_threshold=threshold, nms_iou=iou, max_per_class=limit), expected)


def test_each_pair_of_a_batch_is_selected_by_itself() -> None:
    first, second = shares(3, 3, N_CLASSES + 9), shares(4, 3, N_CLASSES + 9)
    together = run(first, second)
    for i in range(3):
        alone = run(first[i : i + 1], second[i : i + 1])
        mine = together[4] == i
        for name, batched, single in zip(("boxes", "labels", "scores", "class scores"), together, alone, strict=False):
            np.testing.assert_allclose(batched[mine], single, atol=1e-6, err_msg=name)


def test_late_fusion_averages_the_scores_and_keeps_the_appearance_boxes() -> None:
    first, second = shares(5, 1, 2 * N_CLASSES + 10), shares(6, 1, 2 * N_CLASSES + 10)
    first[..., N_CLASSES + 9] += 2  # the motion network's background
    rows = (first.astype(np.float64) + second)[0]

    def softmax(logits: np.ndarray) -> np.ndarray:
        exponentials = np.exp(logits)
        return exponentials / exponentials.sum(-1, keepdims=True)

    scores = (softmax(rows[:, : N_CLASSES + 1]) + softmax(rows[:, N_CLASSES + 9 :]))[:, 1:] / 2
    boxes = decode(rows[:, N_CLASSES + 1 : N_CLASSES + 9])
    compare(run(first, second, late=True), select_by_score(scores, boxes, 0.2, 0.45, 10))


def test_half_precision_shares_are_computed_with_in_single_precision() -> None:
    first, second = (shares(seed, 1, N_CLASSES + 9).astype(np.float16) for seed in (7, 8))
    rows = (first.astype(np.float64) + second)[0]
    expected = reference_selection(rows[:, : N_CLASSES + 1], decode(rows[:, N_CLASSES + 1 :]), 0.2, 0.45, 10)
    compare(run(first, second), expected)


def test_no_micro_tube_above_the_threshold_gives_empty_arrays() -> None:
    first = np.zeros((1, len(PRIORS), N_CLASSES + 9), np.float32)
    boxes, labels, scores, class_scores, pair = run(first, first, score_threshold=0.5)
    assert boxes.shape == (0, 2, 4)
    assert labels.shape == scores.shape == pair.shape == (0,)
    assert class_scores.shape == (0, N_CLASSES)
