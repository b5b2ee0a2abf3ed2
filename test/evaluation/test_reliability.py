"""Scores against how often they are right."""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np
import pytest

from amtnet_ros.evaluation.reliability import plot_reliability, reliability


def test_a_calibrated_score_has_no_error_and_a_boast_has() -> None:
    rng = np.random.default_rng(4)
    scores = rng.uniform(0, 1, 50_000)
    right = rng.uniform(0, 1, 50_000) < scores
    found = reliability(scores, right)
    np.testing.assert_allclose(found.said, found.right, atol=0.03)
    assert found.error < 0.02
    assert reliability(np.full(1000, 0.9), rng.uniform(size=1000) < 0.5).error == pytest.approx(0.4, abs=0.05)
    assert reliability(np.array([1.0, 0.05]), np.array([True, False])).moments.tolist() == [1, 1]


def test_the_diagram_is_a_picture(tmp_path: Path) -> None:
    found = reliability(np.array([0.2, 0.9]), np.array([False, True]))
    plot_reliability({"clips": found}, tmp_path / "diagram.png", "a model")
    picture = cv2.imread(str(tmp_path / "diagram.png"))
    assert picture is not None
    assert picture.std() > 10
