"""The two-stream network's scores of a tube's last second."""

from __future__ import annotations

import numpy as np

from amtnet_ros.actors.last_second import LastSecond

SECOND = 1_000_000_000


def test_it_is_the_mean_over_the_micro_tubes_of_the_last_second() -> None:
    rng = np.random.default_rng(0)
    stamps = np.cumsum(rng.integers(30, 300, 400)) * 1_000_000
    scores = rng.uniform(0, 1, (400, 5)).astype(np.float32)
    last = LastSecond()
    for i, stamp in enumerate(stamps):
        found = last.add(int(stamp), scores[: i + 1].mean(axis=0))
        recent = scores[: i + 1][stamps[: i + 1] > stamp - SECOND]
        np.testing.assert_allclose(found, recent.mean(axis=0), atol=1e-3)


def test_an_update_without_a_new_micro_tube_changes_nothing() -> None:
    last = LastSecond()
    last.add(0, np.array([0.5, 0.1], np.float32))
    first = last.add(100, np.array([0.4, 0.2], np.float32))
    np.testing.assert_array_equal(last.add(100, np.array([0.4, 0.2], np.float32)), first)
    np.testing.assert_allclose(first, [0.4, 0.2], atol=1e-6)


def test_after_an_hour_it_is_as_exact_and_no_larger() -> None:
    """In float32, as the linker keeps its means."""
    rng = np.random.default_rng(1)
    last, mean, recent = LastSecond(), np.zeros(3, np.float32), []
    for i in range(8 * 3600):
        scores = rng.uniform(0, 0.5, 3).astype(np.float32)
        mean += (scores - mean) / np.float32(i + 1)
        recent = [*recent[-7:], scores]
        found = last.add(round(i * SECOND / 8), mean)
    np.testing.assert_allclose(found, np.mean(recent, axis=0), atol=1e-2)
    assert len(last._sums) <= 10
