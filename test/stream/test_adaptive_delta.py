"""Delta follows the load, by given step times."""

from __future__ import annotations

import pytest

from amtnet_ros.stream import AdaptiveDelta
from amtnet_ros.stream.pairs import GROW_AFTER, SHRINK_AFTER

INTERVAL = 1 / 30


def settle(policy: AdaptiveDelta, every: float, key: float, frames: int = 1000) -> list[int]:
    """Delta after each of so many key frames of the same cost (seconds)."""
    return [policy.observe(every, key) for _ in range(frames)]


@pytest.mark.parametrize(
    ("every", "key", "expected"),
    [
        (0.008, 0.015, 1),  # 23 of 33 ms
        (0.008, 0.030, 2),  # 38 ms do not fit, 8 + 15 do
        (0.008, 0.065, 3),  # 8 + 22 ms: just fits
        (0.000, 0.200, 7),  # no flow: 200 / 7 = 29 ms
        (0.008, 9.000, 8),  # more than any delta mends
    ],
)
def test_delta_grows_to_the_least_that_fits(every: float, key: float, expected: int) -> None:
    policy = AdaptiveDelta(INTERVAL, 1, 8)
    assert settle(policy, every, key)[-1] == expected
    assert every + key / expected <= INTERVAL or expected == 8


def test_when_the_load_is_gone_delta_falls_back_step_by_step() -> None:
    policy = AdaptiveDelta(INTERVAL, 1, 8)
    assert settle(policy, 0.008, 0.1, GROW_AFTER) == [1] * (GROW_AFTER - 1) + [5]
    after = settle(policy, 0.008, 0.010, 4 * SHRINK_AFTER)
    assert after[SHRINK_AFTER - 2 :: SHRINK_AFTER] == [5, 4, 3, 2]
    assert after[-1] == 1


def test_a_single_slow_frame_changes_nothing() -> None:
    policy = AdaptiveDelta(INTERVAL, 1, 8)
    for _ in range(50):
        assert settle(policy, 0.008, 0.015, 5) == [1] * 5
        assert settle(policy, 0.008, 0.500, GROW_AFTER - 1) == [1] * (GROW_AFTER - 1)


@pytest.mark.parametrize("key", [n / 1000 for n in range(5, 400, 5)])
def test_a_steady_load_never_makes_delta_swing(key: float) -> None:
    policy = AdaptiveDelta(INTERVAL, 1, 16)
    settled = settle(policy, 0.008, key)[GROW_AFTER * 16 :]
    assert len(set(settled)) == 1


def test_flow_that_alone_is_too_slow_does_not_drive_delta_to_its_limit() -> None:
    policy = AdaptiveDelta(INTERVAL, 1, 8)
    assert settle(policy, 0.050, 0.060)[-1] == 2


def test_limits() -> None:
    policy = AdaptiveDelta(INTERVAL, 4, 6)
    assert settle(policy, 0.001, 0.001) == [4] * 1000, "never below the base"
    assert settle(policy, 0.008, 9.0)[-1] == 6
    policy.configure(2, 5)
    assert policy.delta == 5
    policy.configure(2, 0)
    assert settle(policy, 0.008, 9.0) == [2] * 1000, "0: does not adapt"
