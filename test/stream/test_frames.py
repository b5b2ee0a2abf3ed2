"""Images become numbered frames; what breaks a stream off is told."""

from __future__ import annotations

import numpy as np

from amtnet_ros.stream import Admission, FrameStream

MS = 1_000_000
IMAGE = np.zeros((4, 6, 3), np.uint8)
SMALLER = np.zeros((3, 5, 3), np.uint8)


def stream() -> FrameStream:
    return FrameStream(rate=30.0, max_frame_gap=0.5, reset_jump=1.0)


def test_frames_are_numbered_on_the_nominal_grid_and_a_lost_one_leaves_a_number_out() -> None:
    frames = [stream_.take(ms * MS, IMAGE)[1] for stream_ in [stream()] for ms in (5000, 5033, 5100, 5133)]
    assert [frame.index for frame in frames if frame] == [0, 1, 3, 4]


def test_dropped_images_get_no_frame_and_are_counted() -> None:
    taken = stream()
    assert [taken.take(ms * MS, IMAGE)[1] is None for ms in (5000, 5000, 4900, 5010)] == [False, True, True, True]
    assert taken.counters == {"taken": 1, "duplicate": 1, "late": 1, "too_soon": 1, "gap": 0, "restart": 0}


def test_numbers_go_on_across_a_gap_and_begin_anew_after_a_jump_back() -> None:
    taken = stream()
    found = [taken.take(ms * MS, IMAGE) for ms in (5000, 7000, 1000, 1033)]
    assert [admission for admission, _ in found] == [
        Admission.TAKEN,
        Admission.GAP,
        Admission.RESTART,
        Admission.TAKEN,
    ]
    assert [frame.index for _, frame in found if frame] == [0, 60, 0, 1]


def test_another_size_begins_a_new_stream_also_after_a_gap() -> None:
    for later in (5033, 7000):
        taken = stream()
        taken.take(5000 * MS, IMAGE)
        admission, frame = taken.take(later * MS, SMALLER)
        assert admission is Admission.RESTART
        assert frame is not None
        assert (frame.index, frame.size) == (0, (5, 3))
        assert taken.take((later + 33) * MS, SMALLER)[0] is Admission.TAKEN
