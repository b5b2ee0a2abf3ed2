"""A tube's boxes out of its increments."""

import numpy as np
import pytest

from amtnet_ros.contracts import Tube, TubeState
from amtnet_ros.tube_boxes import Box, boxes_of, grow


def increment(stamps, left=0.0):
    """A tube whose new boxes have these stamps and this left edge."""
    count = len(stamps)
    return Tube(
        id=1,
        state=TubeState.ACTIVE,
        label=0,
        score=0.5,
        class_scores=np.ones(1, np.float32),
        start_stamp=0,
        last_stamp=0,
        frames=np.array(stamps, np.int64) // 10,
        stamps=np.array(stamps, np.int64),
        boxes=np.tile(np.array([left, 1, left + 5, 9], np.float32), (count, 1)),
        scores=np.full(count, 0.25, np.float32),
        interpolated=np.array([stamp % 20 == 0 for stamp in stamps], np.bool_),
    )


def grown(*increments, limit=None):
    boxes = []
    for number, stamps in enumerate(increments):
        grow(boxes, increment(stamps, float(number)), limit)
    return [(box.stamp, int(box.box[0])) for box in boxes]


def test_a_box_is_a_row_of_the_tubes_arrays():
    first, second = boxes_of(increment([10, 20], 3.0))
    assert first._replace(box=None) == Box(10, None, 0.25, False, 1)
    assert second._replace(box=None) == Box(20, None, 0.25, True, 2)
    assert second.box.tolist() == [3.0, 1.0, 8.0, 9.0]


@pytest.mark.parametrize(
    ("increments", "expected"),
    [
        (([10, 20], [30]), [(10, 0), (20, 0), (30, 1)]),
        (([10, 20], [20, 30]), [(10, 0), (20, 1), (30, 1)]),  # the shared frame again, revised
        (([10, 30], [20, 30, 40]), [(10, 0), (20, 1), (30, 1), (40, 1)]),
        (([10, 20, 30], [10]), [(10, 1)]),
        (([10, 20], []), [(10, 0), (20, 0)]),
        (([], [10]), [(10, 1)]),
    ],
)
def test_a_box_sent_again_replaces_the_one_before_and_all_that_follow(increments, expected):
    assert grown(*increments) == expected


def test_a_limit_keeps_the_newest():
    assert grown([10, 20, 30], [40, 50], limit=3) == [(30, 0), (40, 1), (50, 1)]
    assert grown([10, 20, 30, 40], limit=2) == [(30, 0), (40, 0)]
