"""Box voting against a plain version in float64."""

from __future__ import annotations

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from amtnet_ros.contracts import Float32
from amtnet_ros.inference.selection import vote


def iou(a: Float32, b: Float32) -> float:
    width = min(a[2], b[2]) - max(a[0], b[0])
    height = min(a[3], b[3]) - max(a[1], b[1])
    common = max(width, 0.0) * max(height, 0.0)
    union = (a[2] - a[0]) * (a[3] - a[1]) + (b[2] - b[0]) * (b[3] - b[1]) - common
    return common / union


def crowd(seed: int, count: int) -> tuple[Float32, Float32]:
    rng = np.random.default_rng(seed)
    low = rng.uniform(0, 0.5, (3, 1, 2))
    actors = np.concatenate([low, low + rng.uniform(0.3, 0.5, low.shape)], axis=-1)
    boxes = actors[rng.integers(3, size=count)] + rng.normal(0, 0.03, (count, 2, 4))
    return boxes.astype(np.float32), rng.uniform(0.05, 1, count).astype(np.float32)


@settings(deadline=None)
@given(st.integers(0, 10_000), st.integers(0, 30))
def test_every_box_is_the_weighted_mean_of_those_around_it(seed: int, count: int) -> None:
    boxes, scores = crowd(seed, count)
    voted = vote(boxes, scores, 0.6)
    assert voted.shape == (count, 2, 4)
    exact, weights = boxes.astype(np.float64), scores.astype(np.float64)
    for i in range(count):
        overlaps = [iou(exact[i, 0], other) for other in exact[:, 0]]
        if min(abs(value - 0.6) for value in overlaps) < 1e-5:
            continue  # float32 may count it either way
        voters = [j for j, value in enumerate(overlaps) if value > 0.6]
        expected = sum(weights[j] * exact[j] for j in voters) / sum(weights[j] for j in voters)
        np.testing.assert_allclose(voted[i], expected, atol=1e-5)


def test_a_box_alone_stays_where_it_is() -> None:
    boxes = np.array([[[0, 0, 1, 1]] * 2, [[2, 2, 2, 2]] * 2, [[5, 5, 7, 7]] * 2], np.float32)  # the second is empty
    np.testing.assert_array_equal(vote(boxes, np.array([0.9, 0.5, 0.1], np.float32), 0.6), boxes)
