"""The account of tubes: what is told twice, after the end, never, or under a strange header is found."""

from __future__ import annotations

from importlib.util import find_spec

import numpy as np
import pytest

if find_spec("rclpy") is None:
    pytest.skip("rclpy is not installed", allow_module_level=True)

from std_msgs.msg import Header

from amtnet_ros.bench.tube_ledger import TubeLedger
from amtnet_ros.msg import ActionTube, ActionTubeArray
from amtnet_ros.ros.messages import time_message

ACTIVE, ENDED = ActionTube.ACTIVE, ActionTube.ENDED


def told(*steps: dict[int, int], frame_id: str = "eye") -> TubeLedger:
    """A ledger to which these were told, one after another: the states of tubes by id."""
    ledger = TubeLedger()
    for stamp, states in enumerate(steps):
        ledger.show(stamp, "eye", (64, 48))
        message = ActionTubeArray(header=Header(stamp=time_message(stamp), frame_id=frame_id))
        message.image_width, message.image_height = 64, 48
        message.session.uuid = np.full(16, 7, dtype=np.uint8)
        message.tubes = [ActionTube(id=number, state=state) for number, state in states.items()]
        ledger.add(message)
    return ledger


def test_tubes_that_end_once_are_well() -> None:
    ledger = told({1: ACTIVE, 2: ACTIVE}, {1: ENDED, 2: ACTIVE}, {2: ENDED})
    assert (ledger.twice, ledger.revived, ledger.strangers, len(ledger.live), len(ledger.ended)) == (0, 0, 0, 0, 2)


def test_an_end_that_is_told_twice_is_found() -> None:
    assert told({1: ACTIVE}, {1: ENDED}, {1: ENDED}).twice == 1


def test_a_tube_that_is_heard_of_after_its_end_is_found() -> None:
    assert told({1: ACTIVE}, {1: ENDED}, {1: ACTIVE}).revived == 1


def test_a_tube_that_never_ends_is_found() -> None:
    assert len(told({1: ACTIVE, 2: ACTIVE}, {1: ENDED}).live) == 1


def test_a_result_under_the_header_of_no_image_is_found() -> None:
    assert told({1: ACTIVE}, frame_id="other").strangers == 1
