"""Which recordings lie where: videos, bags and LeRobot data sets, in files and folders."""

from __future__ import annotations

from collections.abc import Collection, Iterator
from typing import Literal, NamedTuple

from amtnet_ros.archive.bags import BAG_SUFFIXES, METADATA, bag_pictures, find_topics
from amtnet_ros.archive.lerobot import INFO, find_episodes, stored_pictures
from amtnet_ros.archive.places import absolute, files_below
from amtnet_ros.archive.recording import Picture, Recording
from amtnet_ros.archive.videos import find_video, video_pictures
from amtnet_ros.errors import UserError

VIDEO_SUFFIXES = (".avi", ".m4v", ".mkv", ".mov", ".mp4", ".mpeg", ".mpg", ".ts", ".webm", ".wmv")


class Source(NamedTuple):
    """A file or folder that holds recordings. place: a path or URL."""

    kind: Literal["video", "bag", "lerobot"]
    place: str


def find_sources(places: Collection[str]) -> list[Source]:
    """What lies at these places and in the folders below them; a file that is named is tried whatever it is called.

    Raises UserError where there is no such place, or nothing in it.
    """
    found: dict[Source, None] = {}
    for place in map(absolute, places):
        files = files_below(place)
        sources = [Source("bag" if _is_bag(place) else "video", place)] if files == [place] else _in_folder(files)
        if not sources:
            suffixes = ", ".join(VIDEO_SUFFIXES + BAG_SUFFIXES)
            raise UserError(f"{place}: holds no recording ({suffixes}, rosbag2 folders, LeRobot data sets)")
        found.update(dict.fromkeys(sources))
    return list(found)


def _in_folder(files: list[str]) -> list[Source]:
    """What a folder's files are, by their names."""
    bags = [file.removesuffix(f"/{METADATA}") for file in files if file.endswith(f"/{METADATA}")]
    sets = [file.removesuffix(f"/{INFO}") for file in files if file.endswith(f"/{INFO}")]
    whole = tuple(f"{folder}/" for folder in bags + sets)
    alone = [file for file in files if not file.startswith(whole) and not file.rsplit("/", 1)[-1].startswith(".")]
    return [
        *(Source("lerobot", folder) for folder in sets),
        *(Source("bag", folder) for folder in bags),
        *(Source("bag", file) for file in alone if _is_bag(file)),
        *(Source("video", file) for file in alone if file.lower().endswith(VIDEO_SUFFIXES)),
    ]


def _is_bag(file: str) -> bool:
    return file.lower().endswith(BAG_SUFFIXES)


def recordings_in(source: Source, topics: Collection[str] = ()) -> list[Recording]:
    """The recordings of a source. topics: only these, of bags and data sets. Raises UserError where it is broken."""
    if source.kind == "video":
        return find_video(source.place)
    return find_topics(source.place, topics) if source.kind == "bag" else find_episodes(source.place, topics)


def pictures_of(recording: Recording, begin: int | None = None, end: int | None = None) -> Iterator[Picture]:
    """A recording's pictures by ascending position, from `begin` on and before `end`; None: as far as it goes.

    Raises UserError where it is broken.
    """
    read = {"video": video_pictures, "bag": bag_pictures, "parquet": stored_pictures}[recording.kind]
    first = recording.begin if begin is None else max(begin, recording.begin)
    ends = [each for each in (end, recording.end if recording.dataset else None) if each is not None]
    return read(recording, first, min(ends, default=None))
