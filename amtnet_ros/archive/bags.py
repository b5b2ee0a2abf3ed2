"""Images out of bags: MCAP files, rosbag2 folders and files (sqlite3, MCAP), ROS 1 bags; by the library rosbags."""

from __future__ import annotations

from collections.abc import Collection, Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import Any

from amtnet_ros.archive.places import content_key, files_below, local_copy, one_line
from amtnet_ros.archive.recording import SECOND, Picture, Recording, key_of
from amtnet_ros.contracts import UInt8
from amtnet_ros.errors import UserError
from amtnet_ros.libraries import library
from amtnet_ros.media.encodings import rgb_from_compressed, rgb_from_raw

IMAGE, COMPRESSED = "sensor_msgs/msg/Image", "sensor_msgs/msg/CompressedImage"
BAG_SUFFIXES = (".mcap", ".db3", ".bag")
METADATA = "metadata.yaml"
_YEAR_2000 = 946_684_800 * SECOND
"""Earlier times are those of a clock that was never set."""


def find_topics(place: str, wanted: Collection[str] = ()) -> list[Recording]:
    """A recording for each image topic of a bag. wanted: only these, where there are any.

    Raises UserError where the bag cannot be read, or has no such topic.
    """
    content = content_key([file for file in files_below(place) if not file.endswith(METADATA)])
    with _reader(place) as reader:
        topics = sorted({c.topic for c in reader.connections if c.msgtype in (IMAGE, COMPRESSED) and c.msgcount})
        chosen = [topic for topic in topics if not wanted or topic in wanted]
        if not chosen:
            others = ", ".join(topics or sorted({c.topic for c in reader.connections})) or "none"
            what = "none of the topics asked for" if topics else "no topic with images"
            raise UserError(f"{place}: holds {what}; there are: {others}")
        clock = 0 if reader.start_time >= _YEAR_2000 else None
        return [
            Recording(key_of(content, topic), "bag", place, topic, reader.start_time, reader.end_time, clock=clock)
            for topic in chosen
        ]


def bag_pictures(recording: Recording, begin: int, end: int | None) -> Iterator[Picture]:
    """A topic's pictures that were recorded from `begin` on and before `end`, with their headers' stamps.

    A stamp of zero is nobody's: then the time of recording takes its place. Raises UserError where the bag is broken.
    """
    with _reader(recording.file) as reader:
        connections = [c for c in reader.connections if c.topic == recording.topic]
        for connection, time, data in reader.messages(connections, start=begin, stop=end):
            yield Picture(time, partial(_load, reader, connection.msgtype, time, data))


def _load(reader: Any, kind: str, time: int, data: bytes) -> tuple[int, UInt8]:
    message = reader.deserialize(data, kind)
    stamp = message.header.stamp
    image = rgb_from_raw(message) if kind == IMAGE else rgb_from_compressed(message)
    return stamp.sec * SECOND + stamp.nanosec or time, image


@contextmanager
def _reader(place: str) -> Iterator[Any]:
    highlevel = library("rosbags.highlevel", "reading bags")
    typesys = library("rosbags.typesys", "reading bags")
    types = typesys.get_typestore(typesys.Stores.ROS2_JAZZY)
    with local_copy(place) as path:
        try:
            with highlevel.AnyReader([Path(path)], default_typestore=types) as reader:
                yield reader
        except UserError:
            raise
        except Exception as error:  # a broken bag makes the library raise anything, from its own errors to struct.error
            raise UserError(f"{place}: cannot be read as a bag ({one_line(error)})") from error
