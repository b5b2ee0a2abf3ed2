"""What cameras get wrong: one clear line each, and the detector stays up."""

from __future__ import annotations

import time

import numpy as np
from diagnostic_msgs.msg import DiagnosticArray, DiagnosticStatus
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


def test_old_stamps_are_named(stage: Stage) -> None:
    detector = stage.detector(max_image_age=5.0)
    stage.film(walker(), until=lambda: "s old when they arrive" in detector.output, start=time.time_ns() - 60 * 10**9)
    assert np.all([message.header.frame_id == "camera" for message in stage.tubes])
