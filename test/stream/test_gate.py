"""Which frames are taken, by their stamps."""

import pytest

from amtnet_ros.stream import Admission, FrameGate

MS = 1_000_000
T, D, L, S, G, R = (
    Admission.TAKEN,
    Admission.DUPLICATE,
    Admission.LATE,
    Admission.TOO_SOON,
    Admission.GAP,
    Admission.RESTART,
)


@pytest.mark.parametrize(
    ("milliseconds", "expected"),
    [
        ([0, 33, 67, 100], [T, T, T, T]),
        ([0, 33, 33, 67], [T, T, D, T]),
        ([0, 17, 33, 50, 67], [T, S, T, S, T]),  # 60 Hz at a nominal 30
        ([0, 67, 133], [T, T, T]),  # 15 Hz
        ([0, 26, 60], [T, T, T]),  # jitter
        ([0, 100, 80, 133], [T, T, L, T]),  # the small reversals of real cameras
        ([0, 100, 5, 133], [T, T, L, T]),
        ([5000, 5033, 0, 33], [T, T, R, T]),  # a bag that loops
        ([0, 33, 600, 633], [T, T, G, T]),
        ([0, 500, 1000], [T, T, T]),  # a gap of exactly the limit is none
    ],
)
def test_frames_are_judged_by_order_rate_and_gap(milliseconds, expected):
    gate = FrameGate(rate=30, max_frame_gap=0.5, reset_jump=1.0)
    assert [gate.admit(t * MS) for t in milliseconds] == expected


def test_a_dropped_frame_does_not_move_the_clock():
    gate = FrameGate(rate=30, max_frame_gap=0.5, reset_jump=1.0)
    assert [gate.admit(t * MS) for t in (1000, 950, 900, 500, 1033)] == [T, L, L, L, T]


def test_after_a_reset_any_stamp_is_the_first():
    gate = FrameGate(rate=30, max_frame_gap=0.5, reset_jump=1.0)
    gate.admit(10_000 * MS)
    gate.reset()
    assert gate.admit(0) is T
