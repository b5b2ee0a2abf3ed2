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


@pytest.mark.parametrize("camera_rate", [30, 29.97, 25, 10])
@pytest.mark.parametrize("delta", [2, 4, 12])
def test_by_the_clock_key_frames_do_not_depend_on_the_first_frame(camera_rate, delta):
    rng = np.random.default_rng(0)
    stamps = ((np.arange(400) + rng.uniform(-0.1, 0.1, 400)) / camera_rate * SECOND + 7.123 * SECOND).astype(np.int64)
    of_all, of_late = (
        [int(stamp) for stamp in stamps[first:] if maker.is_key(int(stamp))]
        for first, maker in ((0, PairMaker(30, delta, by_clock=True)), (101, PairMaker(30, delta, by_clock=True)))
    )
    assert of_late[1:] == [stamp for stamp in of_all if stamp > stamps[101]][-len(of_late) + 1 :]
    steps = np.diff(of_all[1:]) / SECOND * 30
    assert steps.mean() == pytest.approx(max(delta, 30 / camera_rate), rel=0.05)
    assert abs(steps - delta).max() < 1.3 * 30 / camera_rate


def test_by_the_clock_a_delta_of_one_loses_no_frame_to_jitter():
    rng = np.random.default_rng(0)
    stamps = np.arange(100) * SECOND / 30 + rng.uniform(0.4, 0.6, 100) * SECOND / 30
    maker = PairMaker(30, 1, by_clock=True)
    assert all(maker.is_key(int(stamp)) for stamp in stamps)
