"""What comes out beside the tubes: detections, labels, the debug image, markers."""

from __future__ import annotations

from typing import Any
from uuid import uuid4

import numpy as np
import pytest
import yaml
from rclpy.lifecycle import LifecycleNode
from rclpy.qos import DurabilityPolicy, QoSProfile
from sensor_msgs.msg import CompressedImage, Image
from stage import ROOT, Stage, stamps_of, wait_until, walker
from std_msgs.msg import Header
from vision_msgs.msg import Detection2DArray, LabelInfo
from visualization_msgs.msg import Marker, MarkerArray

from amtnet_ros.contracts import Tube, TubeState, TubeUpdate
from amtnet_ros.media.drawing import Style
from amtnet_ros.msg import ActionTube
from amtnet_ros.ros.conversions import rgb_from_compressed, rgb_from_image
from amtnet_ros.ros.messages import nanoseconds, time_message
from amtnet_ros.ros.outputs import Outputs
from amtnet_ros.ros.places import Intrinsics
from amtnet_ros.ros.worker import Step


def listen(stage: Stage, kind: Any, topic: str, qos: Any = 10) -> list[Any]:
    heard: list[Any] = []
    stage.node.create_subscription(kind, topic, heard.append, qos)
    return heard


def test_detections_are_the_newest_boxes_of_the_tubes(stage: Stage) -> None:
    heard = listen(stage, Detection2DArray, "action_detections", 100)
    stage.detector()
    wait_until(lambda: stage.node.count_publishers("action_detections"), "detections are published")
    stage.film(walker(), until=lambda: sum(bool(message.detections) for message in heard) >= 5)

    tubes = {nanoseconds(message.header.stamp): message for message in reversed(stage.tubes)}
    compared = 0
    for message in heard:
        array = tubes.get(nanoseconds(message.header.stamp))
        if array is None:
            continue
        assert message.header == array.header
        newest = {
            str(tube.id): (tube, box)
            for tube in array.tubes
            for box in tube.boxes
            if box.stamp == array.header.stamp and tube.state != ActionTube.ENDED
        }
        assert {detection.id for detection in message.detections} == set(newest)
        for detection in message.detections:
            tube, box = newest[detection.id]
            (result,) = detection.results
            assert (result.hypothesis.class_id, result.hypothesis.score) == (tube.class_name, tube.score)
            centre, width, height = detection.bbox.center.position, detection.bbox.size_x, detection.bbox.size_y
            corners = (centre.x - width / 2, centre.y - height / 2, centre.x + width / 2, centre.y + height / 2)
            np.testing.assert_allclose(corners, (box.x1, box.y1, box.x2, box.y2), atol=1e-3)
            compared += 1
    assert compared >= 5


def test_labels_are_told_to_those_who_come_late(stage: Stage) -> None:
    stage.detector()
    heard = listen(stage, LabelInfo, "action_labels", QoSProfile(depth=1, durability=DurabilityPolicy.TRANSIENT_LOCAL))
    wait_until(lambda: heard, "labels arrive")
    labels = {entry.class_id: entry.class_name for entry in heard[0].class_map}
    assert sorted(labels) == list(range(len(labels)))
    assert all(labels.values())
    stage.film(walker(), until=lambda: any(message.tubes for message in stage.tubes))
    for message in stage.tubes:
        for tube in message.tubes:
            assert tube.class_name == labels[tube.class_id]
            assert len(tube.class_scores) == len(labels)


def test_the_debug_image_is_the_source_image_with_the_tubes_drawn(stage: Stage) -> None:
    heard = listen(stage, Image, "/detector/debug_image")
    stage.detector()
    wait_until(lambda: stage.node.count_publishers("/detector/debug_image"), "the debug image is offered")
    sources: dict[int, np.ndarray] = {}
    # Each a little brighter than the one before, so that no pixel of another frame is the same.
    frames = (sources.setdefault(number, frame + np.uint8(number % 20)) for number, frame in enumerate(walker()))
    shown = stage.film(frames, until=lambda: len(heard) >= 8)
    answered = set(stamps_of(stage.tubes))
    drawn = 0
    for message in heard:
        stamp = nanoseconds(message.header.stamp)
        assert stamp in answered
        source, picture = sources[shown.index(stamp)], rgb_from_image(message)
        assert picture.shape == source.shape
        changed = (picture != source).any(axis=-1)
        assert changed.mean() < 0.9, "between the lines it is the source image"
        drawn += bool(changed.any())
    assert drawn >= 4


def test_the_compressed_debug_image_is_a_jpeg_of_the_same_picture(stage: Stage) -> None:
    plain, packed = (
        listen(stage, kind, f"/detector/debug_image{suffix}")
        for kind, suffix in ((Image, ""), (CompressedImage, "/compressed"))
    )
    stage.detector()
    wait_until(lambda: stage.node.count_publishers("/detector/debug_image/compressed"), "it is offered")
    stage.film(walker(), until=lambda: len(packed) >= 4 and len(plain) >= 4)
    pictures = {nanoseconds(message.header.stamp): rgb_from_image(message) for message in plain}
    both = [message for message in packed if nanoseconds(message.header.stamp) in pictures]
    assert both
    for message in both:
        assert message.format == "rgb8; jpeg compressed bgr8"
        picture = pictures[nanoseconds(message.header.stamp)]
        assert np.abs(rgb_from_compressed(message).astype(int) - picture).mean() < 6


def test_markers_outline_the_boxes_and_replace_those_before(stage: Stage) -> None:
    heard = listen(stage, MarkerArray, "/detector/markers")
    stage.detector()
    wait_until(lambda: stage.node.count_publishers("/detector/markers"), "markers are offered")
    stage.film(walker(), until=lambda: sum(len(message.markers) > 1 for message in heard) >= 3, frame_id="eye")
    for message in heard:
        first, *others = message.markers
        assert first.action == Marker.DELETEALL
        assert all(marker.header.frame_id == "eye" for marker in message.markers)
        assert all(marker.action == Marker.ADD for marker in others)
        keys = [(marker.ns, marker.id) for marker in others]
        assert len(keys) == len(set(keys))
    outlines = [marker for message in heard for marker in message.markers if marker.type == Marker.LINE_STRIP]
    assert outlines
    for marker in outlines:
        assert len(marker.points) == 5
        assert marker.points[0] == marker.points[4]
        assert all(point.z == 1.0 for point in marker.points)
        assert all(abs(point.x) < 1.0 and abs(point.y) < 1.0 for point in marker.points), "within the image"


def test_the_rviz_configuration_shows_what_a_detector_offers(stage: Stage) -> None:
    shown = yaml.safe_load((ROOT / "config" / "detector.rviz").read_text())["Visualization Manager"]["Displays"]
    topics = {each["Topic"]["Value"]: each for each in shown if "Topic" in each}
    heard = listen(stage, MarkerArray, "/detector/markers")
    stage.detector()
    kinds = {"sensor_msgs/msg/Image": "Image", "visualization_msgs/msg/MarkerArray": "MarkerArray"}

    def offered() -> dict[str, str]:
        topics_of = stage.node.get_publisher_names_and_types_by_node
        return {name: kinds[types[0]] for name, types in stage.used_by("detector", topics_of) if types[0] in kinds}

    assert wait_until(lambda: len(offered()) == 2 and offered(), "both are offered") == {
        topic: display["Class"].removeprefix("rviz_default_plugins/") for topic, display in topics.items()
    }
    stage.film(walker(), until=lambda: any(len(message.markers) > 1 for message in heard))
    drawn = {marker.ns for message in heard for marker in message.markers if marker.action == Marker.ADD}
    assert drawn <= set(topics["/detector/markers"]["Namespaces"])


def test_an_output_that_fails_keeps_no_other_from_what_it_has_to_say(stage: Stage) -> None:
    pictures, markers = listen(stage, Image, "/own/debug_image"), listen(stage, MarkerArray, "/own/markers")
    node = LifecycleNode("own", context=stage.context)
    try:
        outputs = Outputs(node, "", ("bright", "dark"), Style())
        node.trigger_configure()
        node.trigger_activate()
        topics = ("action_tubes", "/own/debug_image", "/own/markers")
        wait_until(lambda: all(node.count_subscribers(topic) for topic in topics), "the stage listens")
        tube = Tube(
            id=1,
            state=TubeState.ACTIVE,
            label=0,
            score=0.5,
            class_scores=np.array([0.5, 0.1], dtype=np.float32),
            start_stamp=7,
            last_stamp=7,
            frames=np.array([0]),
            stamps=np.array([7]),
            boxes=np.array([[1, 2, 30, 40]], dtype=np.float32),
            scores=np.array([0.5], dtype=np.float32),
            interpolated=np.array([False]),
        )
        update = TubeUpdate(frame=0, stamp=7, image_size=(64, 48), delta=1, tubes=(tube,))
        step = Step(update, uuid4(), Header(stamp=time_message(7)), np.zeros((48, 64, 3), dtype=np.uint8))
        with pytest.raises(ZeroDivisionError):  # of the markers
            outputs.publish(step, Intrinsics(0.0, 0.0, 0.0, 0.0), None)
        wait_until(lambda: stage.tubes and pictures, "tubes and picture come all the same")
        assert not markers
    finally:
        node.destroy_node()
