"""Image topics of bags, written by the library that also reads them, with pictures whose stamps are known."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

import cv2
import numpy as np
import pytest
from recordings import SECOND, failures_in, pictures, rows_of, run, setup_of
from rosbags.rosbag2 import StoragePlugin, Writer
from rosbags.typesys import Stores, get_typestore

from amtnet_ros.archive.bags import bag_pictures, find_topics
from amtnet_ros.errors import UserError

START = 1_700_000_000 * SECOND
LATE = 20_000_000
"""Nanoseconds after its stamp at which an image is recorded."""
TYPES = get_typestore(Stores.ROS2_JAZZY)
IMAGE, COMPRESSED = "sensor_msgs/msg/Image", "sensor_msgs/msg/CompressedImage"


def write_bag(path: Path, storage: StoragePlugin, topics: Iterable[str], stamps: list[int]) -> Path:
    """A bag of the same pictures on each topic: compressed where its name says so, depth where its name says so."""
    kinds = TYPES.types
    with Writer(path, version=9, storage_plugin=storage) as writer:
        connections = {
            topic: writer.add_connection(topic, COMPRESSED if "compressed" in topic else IMAGE, typestore=TYPES)
            for topic in topics
        }
        for stamp, rgb in zip(stamps, pictures(99, 0), strict=False):
            time = kinds["builtin_interfaces/msg/Time"](sec=stamp // SECOND, nanosec=stamp % SECOND)
            header = kinds["std_msgs/msg/Header"](stamp=time, frame_id="camera")
            for topic, connection in connections.items():
                if "compressed" in topic:
                    _, data = cv2.imencode(".png", rgb[..., ::-1])
                    message = kinds[COMPRESSED](header=header, format="png", data=data.reshape(-1))
                else:
                    encoding, step = ("16UC1", 128) if "depth" in topic else ("rgb8", 192)
                    message = kinds[IMAGE](header, 48, 64, encoding, 0, step, rgb.reshape(-1))
                recorded = START + (stamp - stamps[0]) + LATE
                writer.write(connection, recorded, TYPES.serialize_cdr(message, connection.msgtype))
    return path


def at_15(seconds: float, start: int = START) -> list[int]:
    return [start + number * SECOND // 15 for number in range(round(seconds * 15))]


@pytest.mark.parametrize("storage", list(StoragePlugin), ids=lambda storage: storage.name)
def test_every_image_topic_is_read_with_its_own_stamps(tmp_path: Path, storage: StoragePlugin) -> None:
    stamps = at_15(0.4)
    bag = write_bag(tmp_path / "bag", storage, ["/a/image_raw", "/b/compressed"], stamps)
    recordings = find_topics(str(bag))
    assert [recording.topic for recording in recordings] == ["/a/image_raw", "/b/compressed"]
    for recording in recordings:
        read = [(picture.position, *picture.load()) for picture in bag_pictures(recording, recording.begin, None)]
        assert [stamp for _, stamp, _ in read] == stamps
        assert [position for position, _, _ in read] == [stamp + LATE for stamp in stamps]
        for (_, _, image), rgb in zip(read, pictures(99, 0), strict=False):
            np.testing.assert_array_equal(image, rgb)
    part = bag_pictures(recordings[0], stamps[2] + LATE, stamps[4] + LATE)
    assert [picture.load()[0] for picture in part] == stamps[2:4]


def test_a_bags_tubes_have_the_cameras_stamps_and_the_time(tmp_path: Path, model: Path) -> None:
    stamps = at_15(2, start=5 * SECOND)  # of a simulated clock
    bag = write_bag(tmp_path / "bag", StoragePlugin.MCAP, ["/one", "/two/compressed", "/depth"], stamps)
    (file,) = bag.glob("*.mcap")
    run(setup_of(model, tmp_path / "out"), file)
    rows = rows_of(tmp_path / "out")
    assert [(row["file"], row["topic"]) for row in rows] == [(str(file), "/one"), (str(file), "/two/compressed")]
    for row in rows:
        assert row["stamps"] == stamps
        assert row["offset"] == START + LATE - stamps[0]
        assert row["time"].timestamp() * 1e9 == START + LATE
    (failed,) = failures_in(tmp_path / "out")
    assert failed["topic"] == "/depth"
    assert "is a depth image" in failed["reason"]


def test_only_topics_asked_for_are_watched(tmp_path: Path, model: Path) -> None:
    bag = write_bag(tmp_path / "bag", StoragePlugin.SQLITE3, ["/one", "/two"], at_15(1))
    run(setup_of(model, tmp_path / "out", topics=("/two",)), bag)
    assert {row["topic"] for row in rows_of(tmp_path / "out")} == {"/two"}
    with pytest.raises(UserError, match=r"none of the topics asked for; there are: /one, /two"):
        find_topics(str(bag), ("/three",))


def test_a_clock_that_falls_back_begins_a_new_session(tmp_path: Path, model: Path) -> None:
    stamps = at_15(2) + at_15(2)
    bag = tmp_path / "bag"
    kinds = TYPES.types
    with Writer(bag, version=9, storage_plugin=StoragePlugin.MCAP) as writer:
        connection = writer.add_connection("/one", IMAGE, typestore=TYPES)
        for number, (stamp, rgb) in enumerate(zip(stamps, pictures(99, 0), strict=False)):
            time = kinds["builtin_interfaces/msg/Time"](sec=stamp // SECOND, nanosec=stamp % SECOND)
            header = kinds["std_msgs/msg/Header"](stamp=time, frame_id="camera")
            message = kinds[IMAGE](header, 48, 64, "rgb8", 0, 192, rgb.reshape(-1))
            writer.write(connection, START + number * SECOND // 15, TYPES.serialize_cdr(message, IMAGE))
    run(setup_of(model, tmp_path / "out"), bag)
    rows = rows_of(tmp_path / "out")
    assert [(row["session"], row["tube"], row["stamps"]) for row in rows] == [
        (0, 1, stamps[:30]),
        (1, 2, stamps[30:]),
    ]
    assert [row["offset"] for row in rows] == [0, 2 * SECOND]


def test_a_bag_that_is_broken_or_has_no_images_is_named(tmp_path: Path) -> None:
    (tmp_path / "x.mcap").write_bytes(b"no bag at all")
    with pytest.raises(UserError, match=r"x\.mcap: cannot be read as a bag"):
        find_topics(str(tmp_path / "x.mcap"))
    bag = tmp_path / "words"
    with Writer(bag, version=9, storage_plugin=StoragePlugin.MCAP) as writer:
        connection = writer.add_connection("/words", "std_msgs/msg/String", typestore=TYPES)
        message = TYPES.types["std_msgs/msg/String"]("hello")
        writer.write(connection, START, TYPES.serialize_cdr(message, "std_msgs/msg/String"))
    with pytest.raises(UserError, match="holds no topic with images; there are: /words"):
        find_topics(str(bag))
