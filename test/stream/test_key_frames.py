"""Key frames, which end one pair and begin the next."""

import numpy as np
import pytest

from amtnet_ros.stream import PairMaker, frames_between

SECOND = 1_000_000_000


def key_frames(rate: float, delta: int, stamps) -> list[int]:
    maker = PairMaker(rate=rate, delta=delta)
    return [i for i, stamp in enumerate(stamps) if maker.is_key(int(stamp))]


@pytest.mark.parametrize("delta", [1, 2, 4, 8, 16])
def test_at_the_nominal_rate_every_delta_th_frame_is_a_key_frame(delta):
    stamps = np.arange(40) * SECOND // 30
    assert key_frames(30, delta, stamps) == list(range(0, 40, delta))


@pytest.mark.parametrize(("camera_rate", "delta", "step"), [(15, 1, 1), (15, 2, 1), (15, 4, 2), (25, 4, 3), (24, 1, 1)])
def test_at_another_rate_pairs_span_about_the_same_time(camera_rate, delta, step):
    stamps = np.arange(80) * SECOND // camera_rate
    assert key_frames(30, delta, stamps) == list(range(0, 80, step))


def test_jitter_does_not_shift_the_key_frames():
    rng = np.random.default_rng(0)
    stamps = np.arange(400) * SECOND / 30 + rng.uniform(-0.005, 0.005, 400) * SECOND
    assert key_frames(30, 4, stamps) == list(range(0, 400, 4))


def test_a_lost_key_frame_is_replaced_by_the_next_frame():
    stamps = [i * SECOND // 30 for i in range(12) if i != 4]
    assert key_frames(30, 4, stamps) == [0, 4, 8]  # frames 0, 5, 9


def test_the_distance_of_a_pair_is_counted_in_nominal_frames():
    assert frames_between(0, SECOND // 30, 30.0) == 1
    assert frames_between(0, SECOND // 15, 30.0) == 2
    assert frames_between(0, SECOND // 100, 30.0) == 1
