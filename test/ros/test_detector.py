"""Images in, tubes out: the detector as its users meet it, in a process of its own."""

from __future__ import annotations

import signal
import time
from itertools import repeat
from typing import Any

import numpy as np
import pytest
from lifecycle_msgs.msg import State
from lifecycle_msgs.srv import GetState
from stage import BUNDLED, Stage, darkness, ends, stamps_of, wait_until, walker
from std_srvs.srv import SetBool, Trigger
from tiny import box_in

from amtnet_ros.msg import ActionTube, ActionTubeArray


def ended(message: ActionTubeArray) -> bool:
    """Whether it has tubes, and all of them are over."""
    return bool(message.tubes) and all(tube.state == ActionTube.ENDED for tube in message.tubes)


@pytest.mark.parametrize("parameters", [{}, BUNDLED], ids=["tiny", "bundled"])
def test_every_step_carries_the_header_of_its_image_untouched(stage: Stage, parameters: dict[str, Any]) -> None:
    stage.detector(**parameters)
    start = 1_700_000_000_123_456_789
    shown = stage.film(walker(), until=lambda: len(stage.tubes) >= 10, start=start, frame_id="head_camera_optical")
    answered = stamps_of(stage.tubes)
    assert set(answered) <= set(shown)
    assert answered == sorted(answered)
    # Where images were lost on a busy machine, a message more ends the tubes, with the header of the last image.
    steps = [message for message in stage.tubes if not ended(message)]
    assert len(set(stamps_of(steps))) == len(steps)
    assert {message.header.frame_id for message in stage.tubes} == {"head_camera_optical"}
    assert {(message.image_width, message.image_height) for message in stage.tubes} == {(320, 240)}


@pytest.mark.parametrize("parameters", [{}, BUNDLED], ids=["tiny", "bundled"])
def test_boxes_are_in_pixels_of_the_source_image(stage: Stage, parameters: dict[str, Any]) -> None:
    stage.detector(**parameters)
    boxes = {}
    for factor in (1, 3):
        stage.tubes.clear()
        stage.call(Trigger, "/detector/reset", Trigger.Request())
        picture = next(walker(320 * factor, 240 * factor))
        stage.film(repeat(picture), until=lambda: sum(bool(m.tubes) for m in stage.tubes) >= 6)
        wide = [message for message in stage.tubes if message.image_width == 320 * factor]
        tubes = [tube for message in wide for tube in message.tubes]
        boxes[factor] = np.array([[b.x1, b.y1, b.x2, b.y2] for tube in tubes for b in tube.boxes])
        assert (boxes[factor] >= 0).all()
        assert (boxes[factor][:, 2] <= 320 * factor).all()
        assert (boxes[factor][:, 3] <= 240 * factor).all()
        if not parameters:
            np.testing.assert_allclose(boxes[factor], [box_in(320 * factor, 240 * factor)] * len(boxes[factor]))
    # The same still picture, three times as large: so are the boxes.
    np.testing.assert_allclose(np.median(boxes[3], axis=0) / 3, np.median(boxes[1], axis=0), atol=12)


def test_an_empty_scene_is_published_as_empty(stage: Stage) -> None:
    stage.detector(model="light", score_threshold=0.9)
    stage.film(darkness(), until=lambda: len(stage.tubes) >= 5)
    assert all(len(message.tubes) == 0 for message in stage.tubes)


def test_a_tube_ends_once_and_its_id_never_returns(stage: Stage) -> None:
    detector = stage.detector()
    stage.film(walker(), until=lambda: sum(bool(m.tubes) for m in stage.tubes) >= 5)
    answer = stage.call(Trigger, "/detector/reset", Trigger.Request())
    assert answer.success
    wait_until(lambda: ends(stage.tubes), "tubes end at the reset")
    sessions = {bytes(np.asarray(message.session.uuid)) for message in stage.tubes}
    assert len(sessions) == 1
    stage.film(walker(), until=lambda: len({bytes(np.asarray(m.session.uuid)) for m in stage.tubes}) == 2)
    assert detector.end() == 0
    time.sleep(0.5)

    alive: set[tuple[bytes, int]] = set()
    over: set[tuple[bytes, int]] = set()
    for message in stage.tubes:
        for tube in message.tubes:
            key = (bytes(np.asarray(message.session.uuid)), tube.id)
            assert key not in over, "reported after its end"
            (over if tube.state == ActionTube.ENDED else alive).add(key)
    assert len(ends(stage.tubes)) == len(over)
    assert over == alive, "every tube that was reported ended by the time the detector was gone"


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_ends_it_in_good_order(stage: Stage, number: int) -> None:
    detector = stage.detector()
    stage.film(walker(), until=lambda: any(message.tubes for message in stage.tubes))
    assert detector.end(number) == 0
    assert "Traceback" not in detector.output
    wait_until(lambda: ends(stage.tubes), "its last tubes end")


def test_images_cost_nothing_while_disabled(stage: Stage) -> None:
    stage.detector()
    stage.film(walker(), until=lambda: len(stage.tubes) >= 3)
    assert stage.call(SetBool, "/detector/set_enabled", SetBool.Request(data=False)).success
    wait_until(lambda: stage.images.get_subscription_count() == 0, "the detector unsubscribes")
    state = stage.call(GetState, "/detector/get_state", GetState.Request())
    assert state.current_state.id == State.PRIMARY_STATE_ACTIVE
    assert stage.call(SetBool, "/detector/set_enabled", SetBool.Request(data=True)).success
    wait_until(lambda: stage.images.get_subscription_count() == 1, "the detector subscribes again")
    before = len(stage.tubes)
    stage.film(walker(), until=lambda: len(stage.tubes) > before + 2)
