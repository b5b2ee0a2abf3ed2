"""Bags, written and read by a library that shares no code with ROS: images in, tubes out, as MCAP."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from rosbags.rosbag2 import Reader, StoragePlugin, Writer
from rosbags.typesys import Stores, get_types_from_msg, get_typestore
from rosbags.typesys.store import Typestore
from stage import ROOT, Stage, wait_until, walker
from tiny import box_in

from amtnet_ros.msg import ActionTubeArray
from amtnet_ros.ros.qos import RESULTS

IMAGE, TUBES = "sensor_msgs/msg/Image", "amtnet_ros/msg/ActionTubeArray"
COUNT, RATE, START = 12, 15, 1_700_000_000_000_000_000


@pytest.fixture
def types() -> Typestore:
    """The types of ROS 2, and this package's, parsed from its message files."""
    store = get_typestore(Stores.ROS2_JAZZY)
    for path in (ROOT / "msg").glob("*.msg"):
        store.register(get_types_from_msg(path.read_text(), f"amtnet_ros/msg/{path.stem}"))
    return store


def write_images(bag: Path, types: Typestore) -> list[int]:
    """Write a bag of a camera's images; their stamps."""
    kinds = types.types
    stamps = [START + number * 10**9 // RATE for number in range(COUNT)]
    with Writer(bag, version=9, storage_plugin=StoragePlugin.MCAP) as writer:
        connection = writer.add_connection("/camera/image_raw", IMAGE, typestore=types)
        for stamp, frame in zip(stamps, walker(64, 48), strict=False):
            time = kinds["builtin_interfaces/msg/Time"](sec=stamp // 10**9, nanosec=stamp % 10**9)
            image = kinds[IMAGE](
                header=kinds["std_msgs/msg/Header"](stamp=time, frame_id="recorded_camera"),
                height=48,
                width=64,
                encoding="rgb8",
                is_bigendian=0,
                step=192,
                data=frame.reshape(-1),
            )
            writer.write(connection, stamp, types.serialize_cdr(image, IMAGE))
    return stamps


def messages(bag: Path) -> Iterator[tuple[int, bytes]]:
    """Time (ns) and serialised message of all that a bag holds."""
    with Reader(bag) as reader:
        yield from ((time, bytes(data)) for _, time, data in reader.messages())


def test_a_bag_of_images_becomes_a_bag_of_tubes(stage: Stage, tmp_path: Path, types: Typestore) -> None:
    stamps = write_images(tmp_path / "images", types)
    recorded: list[bytes] = []
    stage.node.create_subscription(ActionTubeArray, "action_tubes", recorded.append, RESULTS, raw=True)
    stage.detector()
    for _, data in messages(tmp_path / "images"):
        before = len(recorded)
        stage.images.publish(data)
        wait_until(lambda before=before: len(recorded) > before, "the image is answered")

    with Writer(tmp_path / "tubes", version=9, storage_plugin=StoragePlugin.MCAP) as writer:
        connection = writer.add_connection("/action_tubes", TUBES, typestore=types)
        for stamp, data in zip(stamps, recorded, strict=True):
            writer.write(connection, stamp, data)
    arrays = [types.deserialize_cdr(data, TUBES) for _, data in messages(tmp_path / "tubes")]
    assert [array.header.stamp.sec * 10**9 + array.header.stamp.nanosec for array in arrays] == stamps
    assert {array.header.frame_id for array in arrays} == {"recorded_camera"}
    assert {(array.image_width, array.image_height) for array in arrays} == {(64, 48)}
    boxes = [(box.x1, box.y1, box.x2, box.y2) for array in arrays for tube in array.tubes for box in tube.boxes]
    assert len(boxes) >= COUNT
    np.testing.assert_allclose(boxes, [box_in(64, 48)] * len(boxes))


def test_the_type_on_the_wire_is_the_one_in_the_message_files(stage: Stage, types: Typestore) -> None:
    wait_until(lambda: stage.node.get_subscriptions_info_by_topic("action_tubes"), "the subscription is known")
    (info,) = stage.node.get_subscriptions_info_by_topic("action_tubes")
    assert str(info.topic_type_hash) == types.hash_rihs01(TUBES)
