"""What robots do to a detector: every camera, crashes, stalls, loops, floods, and many transitions."""

from __future__ import annotations

import signal
import time
from itertools import repeat
from pathlib import Path

import cv2
import numpy as np
import pytest
from lifecycle_msgs.msg import Transition
from lifecycle_msgs.srv import ChangeState
from rclpy.qos import QoSProfile
from sensor_msgs.msg import CompressedImage, Image
from stage import Stage, ends, set_together, stamps_of, wait_until, walker
from std_msgs.msg import Header
from test_conversions import encoded
from tiny import box_in

from amtnet_ros.msg import ActionTubeArray
from amtnet_ros.ros.conversions import ENCODINGS
from amtnet_ros.ros.messages import nanoseconds, time_message
from amtnet_ros.ros.qos import RESULTS

SECOND = 10**9
WHITE = np.full((48, 64, 3), 250, dtype=np.uint8)


def sessions(messages: list[ActionTubeArray]) -> list[bytes]:
    """In the order of their appearance."""
    return list(dict.fromkeys(bytes(np.asarray(message.session.uuid)) for message in messages))


def test_every_encoding_is_looked_at(stage: Stage) -> None:
    detector = stage.detector()
    stamp = time.time_ns()
    for name in ENCODINGS:
        asked: set[int] = set()

        def answered(asked: set[int] = asked) -> bool:
            return any(nanoseconds(message.header.stamp) in asked for message in stage.tubes)

        rows = encoded(name, WHITE)
        deadline = time.monotonic() + 20
        while not answered() and time.monotonic() < deadline:
            stamp += SECOND // 15
            asked.add(stamp)
            header = Header(stamp=time_message(stamp), frame_id="eye")
            stage.show(
                Image(header=header, height=48, width=64, encoding=name, step=rows.shape[1], data=rows.tobytes()), 0
            )
            wait_until_answer = time.monotonic() + 0.2
            while not answered() and time.monotonic() < wait_until_answer:
                time.sleep(0.005)
        assert answered(), f"{name}: {detector.output}"
    names = {tube.class_name for message in stage.tubes for tube in message.tubes}
    assert names == {"bright"}, "no encoding turned white into something else"


@pytest.mark.parametrize("suffix", [".jpg", ".png"])
def test_compressed_images_are_looked_at(stage: Stage, suffix: str) -> None:
    publisher = stage.node.create_publisher(CompressedImage, "image/compressed", 1)
    detector = stage.run(
        "detector_node",
        *("--ros-args", "-p", "autostart:=true", "-p", f"model:={stage.model}", "-p", "image_transport:=compressed"),
    )
    detector.wait_for("Looking at /image/compressed")
    wait_until(publisher.get_subscription_count, "the detector subscribes")
    _, data = cv2.imencode(suffix, WHITE)
    stamp = time.time_ns()

    def seen() -> bool:
        nonlocal stamp
        stamp += SECOND // 15
        header = Header(stamp=time_message(stamp), frame_id="eye")
        publisher.publish(CompressedImage(header=header, format=suffix[1:], data=data.tobytes()))
        time.sleep(0.05)
        return any(tube.class_name == "bright" for message in stage.tubes for tube in message.tubes)

    wait_until(seen, "it sees the compressed images")


def test_a_hundred_rounds_of_the_lifecycle_leave_no_memory_behind(stage: Stage) -> None:
    detector = stage.run("detector_node", "--ros-args", "-p", f"model:={stage.model}")
    client = stage.node.create_client(ChangeState, "/detector/change_state")
    assert client.wait_for_service(60)

    def change(transition: int) -> None:
        future = client.call_async(ChangeState.Request(transition=Transition(id=transition)))
        wait_until(future.done, "the transition is over")
        assert future.result().success, detector.output

    def resident() -> float:
        pages = Path(f"/proc/{detector.popen.pid}/statm").read_text().split()[1]
        return int(pages) * 4096 / 2**20

    sizes = []
    for _ in range(100):
        for transition in (
            Transition.TRANSITION_CONFIGURE,
            Transition.TRANSITION_ACTIVATE,
            Transition.TRANSITION_DEACTIVATE,
            Transition.TRANSITION_CLEANUP,
        ):
            change(transition)
        sizes.append(resident())
    assert np.median(sizes[90:]) - np.median(sizes[20:30]) < 12, f"MiB after each round: {sizes}"
    assert detector.end() == 0
    assert "Traceback" not in detector.output


def test_a_detector_that_was_killed_is_replaced_while_the_camera_runs(stage: Stage) -> None:
    first = stage.detector()
    stage.film(repeat(WHITE), until=lambda: any(message.tubes for message in stage.tubes))
    assert first.end(signal.SIGKILL) == -signal.SIGKILL
    before = len(sessions(stage.tubes))
    second = stage.run("detector_node", "--ros-args", "-p", "autostart:=true", "-p", f"model:={stage.model}")
    stage.film(
        repeat(WHITE),
        until=lambda: len(sessions(stage.tubes)) > before and any(tube.state == 1 for tube in stage.tubes[-1].tubes),
    )
    assert second.end() == 0


def test_a_camera_that_stalls_and_returns_is_named_and_looked_at_again(stage: Stage) -> None:
    detector = stage.detector(image_timeout=1.0)
    stage.film(repeat(WHITE), until=lambda: any(message.tubes for message in stage.tubes))
    detector.wait_for("although it has 1 publisher(s)")
    old = {tube.id for message in stage.tubes for tube in message.tubes}
    wait_until(lambda: old <= {number for _, number in ends(stage.tubes)}, "what was seen before the stall ends")
    before = len(stage.tubes)
    later = stamps_of(stage.tubes)[-1] + 5 * SECOND
    stage.film(repeat(WHITE), until=lambda: len(stage.tubes) > before + 3, start=later)
    assert len(sessions(stage.tubes)) == 1, "time has only gone on"
    assert not old & {tube.id for message in stage.tubes[before:] for tube in message.tubes}


def test_two_cameras_in_two_namespaces_do_not_mix(stage: Stage) -> None:
    heard: dict[str, list[ActionTubeArray]] = {"left": [], "right": []}
    cameras = {}
    for side, messages in heard.items():
        stage.node.create_subscription(ActionTubeArray, f"/{side}/action_tubes", messages.append, RESULTS)
        cameras[side] = stage.node.create_publisher(Image, f"/{side}/image", QoSProfile(depth=10))
        stage.run(
            "detector_node",
            *("--ros-args", "-r", f"__ns:=/{side}", "-p", "autostart:=true", "-p", f"model:={stage.model}"),
        )
    for side, camera in cameras.items():
        wait_until(camera.get_subscription_count, f"the detector of {side} subscribes")
    stamp = time.time_ns()
    pictures = {"left": WHITE, "right": np.zeros((60, 80, 3), dtype=np.uint8)}

    def both() -> bool:
        nonlocal stamp
        stamp += SECOND // 15
        for side, picture in pictures.items():
            stage.images = cameras[side]
            stage.show(picture, stamp, frame_id=side)
        time.sleep(0.05)
        return all(any(message.tubes for message in messages) for messages in heard.values())

    wait_until(both, "both see something")
    for side, name, width in (("left", "bright", 64), ("right", "dark", 80)):
        assert {message.header.frame_id for message in heard[side]} == {side}
        assert {message.image_width for message in heard[side]} == {width}
        assert {tube.class_name for message in heard[side] for tube in message.tubes} == {name}


def test_a_looping_bag_begins_a_session_each_time_and_a_small_reversal_does_not(stage: Stage) -> None:
    stage.detector()
    stage.film(repeat(WHITE), until=lambda: len(stage.tubes) >= 3, start=100 * SECOND)
    latest = stamps_of(stage.tubes)[-1]
    stage.show(WHITE, latest - SECOND // 20)
    before = len(stage.tubes)
    stage.film(repeat(WHITE), until=lambda: len(stage.tubes) >= before + 3, start=latest + SECOND // 15)
    assert len(sessions(stage.tubes)) == 1
    stage.film(repeat(WHITE), until=lambda: stamps_of(stage.tubes)[-1] > 103 * SECOND, start=102 * SECOND)
    for loop in (2, 3):
        stage.film(
            repeat(WHITE),
            until=lambda loop=loop: (
                len(sessions(stage.tubes)) == loop and 102 * SECOND < stamps_of(stage.tubes)[-1] < 103 * SECOND
            ),
            start=100 * SECOND,
        )
    *over, current = sessions(stage.tubes)
    assert {session for session, _ in ends(stage.tubes)} == set(over)
    assert current not in over
    assert len(ends(stage.tubes)) == len(set(ends(stage.tubes)))


def test_a_flood_of_tiny_images_leaves_it_responsive(stage: Stage) -> None:
    detector = stage.detector()
    picture = np.full((24, 32, 3), 250, dtype=np.uint8)
    stamp, until = time.time_ns(), time.monotonic() + 3
    next_at = time.monotonic()
    while time.monotonic() < until:
        stage.show(picture, stamp)
        stamp += SECOND // 1000
        next_at += 0.001
        time.sleep(max(0.0, next_at - time.monotonic()))
    assert set_together(stage, score_threshold=0.1).successful, "services are served"
    wait_until(lambda: any(message.tubes for message in stage.tubes), "tubes come")
    assert stamps_of(stage.tubes) == sorted(stamps_of(stage.tubes))
    assert detector.end() == 0


def test_4k_images_are_looked_at(stage: Stage) -> None:
    stage.detector()
    frame = next(walker(3840, 2160))
    stage.film(repeat(frame), until=lambda: any(tube.boxes for message in stage.tubes for tube in message.tubes))
    boxes = {(box.x1, box.y1, box.x2, box.y2) for m in stage.tubes for tube in m.tubes for box in tube.boxes}
    assert boxes == {box_in(3840, 2160)}
