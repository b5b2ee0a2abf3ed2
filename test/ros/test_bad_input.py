"""What cameras get wrong: one clear line each, and the detector stays up."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from itertools import count, repeat
from typing import Any

import numpy as np
from diagnostic_msgs.msg import DiagnosticArray, DiagnosticStatus
from rclpy.node import Node
from sensor_msgs.msg import CompressedImage, Image
from stage import Stage, wait_until, walker
from std_msgs.msg import Header

from amtnet_ros.ros.conversions import image_from_rgb
from amtnet_ros.ros.messages import time_message


def test_a_broken_image_is_named_in_diagnostics_and_the_next_good_one_is_used(stage: Stage) -> None:
    detector = stage.detector()
    said: list[DiagnosticStatus] = []
    stage.node.create_subscription(
        DiagnosticArray, "/diagnostics", lambda m: said.extend(s for s in m.status if s.name.startswith("detector")), 10
    )
    stage.film(walker(), until=lambda: stage.tubes)
    good = image_from_rgb(next(walker()), Header())
    broken: dict[str, dict[str, object]] = {
        "unknown encoding 'h264'": {"encoding": "h264"},
        "no bytes of data": {"data": b""},
        "1000 bytes of data, but": {"data": bytes(1000)},
        "zero size, 0x240": {"width": 0},
        "'16UC1' is a depth image": {"encoding": "16UC1"},
    }
    for words, changes in broken.items():
        image = Image(**{name: getattr(good, name) for name in Image.get_fields_and_field_types()})
        image.header = Header(stamp=time_message(time.time_ns()))
        for name, value in changes.items():
            setattr(image, name, value)
        stage.show(image, 0)
        status = wait_until(
            lambda words=words: next((s for s in said if words in s.message), None), f"it says: {words}"
        )
        assert status.level == DiagnosticStatus.ERROR
        assert "\n" not in status.message
    assert detector.output.count("Image refused") == 1, "throttled: one line for all within ten seconds"
    before = len(stage.tubes)
    stage.film(walker(), until=lambda: len(stage.tubes) > before + 2)
    assert "Traceback" not in detector.output


def test_a_topic_nobody_publishes_is_named_with_those_that_are(stage: Stage) -> None:
    stage.node.create_publisher(Image, "/left/image_raw", 1)
    drawn = stage.node.create_publisher(Image, "/other/debug_image", 1)  # by another detector: no camera's
    detector = stage.run(
        "detector_node",
        "--ros-args",
        "-r",
        "image:=/right/image_raw",
        "-p",
        "autostart:=true",
        "-p",
        "image_timeout:=1.5",
    )
    detector.wait_for("nobody publishes /right/image_raw")
    detector.wait_for("images are published on /image, /left/image_raw")
    assert drawn.topic_name not in detector.output


def test_the_wrong_type_on_the_topic_is_named(stage: Stage) -> None:
    stage.node.create_publisher(CompressedImage, "/eye", 1)
    detector = stage.run(
        "detector_node",
        "--ros-args",
        "-r",
        "image:=/eye",
        "-p",
        f"model:={stage.model}",
        "-p",
        "autostart:=true",
        "-p",
        "image_timeout:=1.5",
    )
    detector.wait_for("/eye carries sensor_msgs/msg/CompressedImage")


def test_a_publisher_whose_qos_does_not_match_is_named(stage: Stage) -> None:
    from rclpy.qos import QoSProfile, ReliabilityPolicy

    stage.node.create_publisher(Image, "/eye", QoSProfile(depth=1, reliability=ReliabilityPolicy.BEST_EFFORT))
    detector = stage.run(
        "detector_node",
        "--ros-args",
        *("-r", "image:=/eye", "-p", f"model:={stage.model}", "-p", "autostart:=true", "-p", "image_timeout:=1.5"),
        *("-p", "qos_overrides./eye.subscription.reliability:=reliable"),
    )
    detector.wait_for("offers an incompatible QoS (RELIABILITY)")


def test_ros_arguments_that_make_no_sense_are_named_in_one_line(stage: Stage) -> None:
    for module in ("detector_node", "recorder"):
        process = stage.run(module, *(["--tubes", "t"] if module == "recorder" else []), "--ros-args", "-p", "model:=")
        assert process.wait() == 2
        (line,) = [line for line in process.output.splitlines() if "[rcl]" not in line]
        assert "model:=" in line


def watch_health(stage: Stage) -> list[DiagnosticStatus]:
    """Every status of the detector from now on."""
    said: list[DiagnosticStatus] = []
    stage.node.create_subscription(DiagnosticArray, "/diagnostics", lambda m: said.extend(m.status), 10)
    return said


def show_until(stage: Stage, stamps: Iterator[int], until: Callable[[], Any], what: str, pause: float = 0.1) -> None:
    """Show white images of these stamps until something is so."""

    def seen() -> Any:
        stage.show(np.full((48, 64, 3), 250, dtype=np.uint8), next(stamps))
        time.sleep(pause)
        return until()

    wait_until(seen, what)


def test_a_camera_that_stamps_nothing_is_named(stage: Stage) -> None:
    said = watch_health(stage)
    stage.detector()
    show_until(stage, repeat(0), lambda: any("stamp of zero" in s.message for s in said), "it says so")
    assert all(status.level == DiagnosticStatus.ERROR for status in said if "stamp of zero" in status.message)
    assert not any("old when they arrive" in status.message for status in said)


def test_a_camera_that_repeats_its_stamp_is_named(stage: Stage) -> None:
    said, stamp = watch_health(stage), time.time_ns()
    stage.detector(max_image_age=60.0)
    words = f"do not exceed that of an earlier one, {stamp / 1e9:.3f} s"
    show_until(stage, repeat(stamp), lambda: any(words in s.message for s in said), "it says so")
    assert all(status.level == DiagnosticStatus.WARN for status in said if words in status.message)


def test_a_camera_too_slow_for_pairs_is_named_with_both_numbers(stage: Stage) -> None:
    said = watch_health(stage)
    stage.detector()
    words = "images on /image are 1.00 s apart, more than max_frame_gap (0.50 s)"
    start = time.time_ns()
    # The stamps count, not the time between arrivals, of which a test should not need so much; 0.6 s is a gap as well.
    stamps = count(start, 10**9)
    show_until(stage, stamps, lambda: any(words in s.message for s in said), "it says so", pause=0.6)
    assert all(status.level == DiagnosticStatus.WARN for status in said if words in status.message)
    assert not any(message.tubes for message in stage.tubes)


def test_a_camera_too_slow_for_the_actor_stream_is_named(stage: Stage) -> None:
    said = watch_health(stage)
    detector = stage.detector(model="light")
    stamps = count(time.time_ns(), 3 * 10**8)
    words = "fewer than four pictures a second"
    show_until(stage, stamps, lambda: any(words in s.message for s in said), "it says so")
    assert all(status.level == DiagnosticStatus.WARN for status in said if words in status.message)
    assert detector.output.count(words) == 1


def test_two_publishers_on_one_topic_are_named(stage: Stage) -> None:
    said = watch_health(stage)
    detector = stage.detector()
    other = Node("other_camera", namespace="/back", context=stage.context)
    try:
        images = other.create_publisher(Image, "/image", 10)
        wait_until(images.get_subscription_count, "the detector hears the other, too")
        words = "2 publishers on /image: /back/other_camera, /stage"
        stage.film(walker(), until=lambda: any(words in status.message for status in said))
    finally:
        other.destroy_node()
    assert all(status.level == DiagnosticStatus.WARN for status in said if words in status.message)
    assert words in detector.output


def test_a_frame_that_is_not_said_and_one_that_changes_are_warned_of_once(stage: Stage) -> None:
    said = watch_health(stage)
    detector = stage.detector()
    none = "image on /image comes without a frame_id"
    several = "image on /image comes with more than one frame_id: '' and 'left'"
    stage.film(walker(), until=lambda: sum(none in status.message for status in said) > 2, frame_id="")
    stage.film(walker(), until=lambda: sum(several in status.message for status in said) > 1, frame_id="left")
    assert all(status.level == DiagnosticStatus.WARN for status in said if "frame_id" in status.message)
    assert (detector.output.count(none), detector.output.count(several)) == (1, 1)
    assert {message.header.frame_id for message in stage.tubes} == {"", "left"}


def test_remaps_that_cross_are_applied_once(stage: Stage) -> None:
    crossed = ("-r", "image:=/other", "-r", "/other:=/image")
    given = ("-p", f"model:={stage.model}", "-p", "autostart:=true", "-p", "image_timeout:=1.5")
    detector = stage.run("detector_node", "--ros-args", *crossed, *given)
    detector.wait_for("Looking at /other")
    detector.wait_for("nobody publishes /other")
    assert stage.images.get_subscription_count() == 0, "nobody asked for /image"


def test_old_stamps_are_named(stage: Stage) -> None:
    detector = stage.detector(max_image_age=5.0)
    stage.film(walker(), until=lambda: "s old when they arrive" in detector.output, start=time.time_ns() - 60 * 10**9)
    assert np.all([message.header.frame_id == "camera" for message in stage.tubes])
