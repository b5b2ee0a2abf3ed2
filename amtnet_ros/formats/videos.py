"""The videos that another tool's file speaks of, found on this machine and measured."""

from __future__ import annotations

import re
from collections import defaultdict
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path, PurePosixPath
from urllib.parse import parse_qs, unquote, urlsplit

from amtnet_ros.errors import UserError
from amtnet_ros.media.image_folder import IMAGE_SUFFIXES
from amtnet_ros.media.video import open_source

VIDEO_SUFFIXES = (".avi", ".m4v", ".mkv", ".mov", ".mp4", ".mpeg", ".mpg", ".webm")


@dataclass(frozen=True)
class FoundVideo:
    """A video as it is. name: its path below the folder of videos, without suffix. rate: frames a second."""

    name: str
    path: Path
    width: int
    height: int
    n_frames: int
    rate: float


def measured(path: Path, name: str) -> FoundVideo:
    """A video or a folder of images, decoded from start to end: what a file's header says of its length may be wrong.

    Raises UserError if it cannot be decoded.
    """
    source, n_frames, size = open_source(str(path)), 0, (0, 0)
    for image in source:
        n_frames, size = n_frames + 1, (image.shape[1], image.shape[0])
    return FoundVideo(name, path, *size, n_frames, source.rate)


class VideoFolder:
    """Videos, and folders of images, anywhere below a folder."""

    def __init__(self, folder: Path) -> None:
        """Raises UserError if there is no such folder."""
        if not folder.is_dir():
            raise UserError(f"{folder}: no such folder; --videos names the one that holds the videos")
        self.folder = folder
        self._measured: dict[Path, FoundVideo] = {}

    def find(self, where: str, called: str) -> FoundVideo:
        """The video that a file calls so: a path, an address, or a name with or without suffix.

        where: for the message. Raises UserError if there is none, or more than one, or it is broken.
        """
        path = _path_of(called)
        below = self.folder / path
        if not path.is_absolute() and ".." not in path.parts and path.suffix and below.is_file():
            return self._measure(below)
        found = self._by_name.get(path.name) or self._by_name.get(_without_upload_id(path.name)) or []
        if not found:
            raise UserError(f"{where}: the video {called!r} is not in {self.folder}; --videos names another folder")
        if len(found) > 1:
            raise UserError(f"{where}: the video {called!r} may be {found[0]} or {found[1]}; keep one in {self.folder}")
        return self._measure(found[0])

    @cached_property
    def _by_name(self) -> dict[str, list[Path]]:
        """Everything below the folder, by its name with and without suffix."""
        found: dict[str, list[Path]] = defaultdict(list)
        for path in sorted(self.folder.rglob("*")):
            suffix = path.suffix.lower()
            if suffix in VIDEO_SUFFIXES:
                found[path.name].append(path)
                found[path.stem].append(path)
            elif suffix in IMAGE_SUFFIXES and path.parent not in found[path.parent.name]:
                found[path.parent.name].append(path.parent)
        return dict(found)

    def _measure(self, path: Path) -> FoundVideo:
        if path not in self._measured:
            name = path.relative_to(self.folder)
            self._measured[path] = measured(path, (name if path.is_dir() else name.with_suffix("")).as_posix())
        return self._measured[path]


def _path_of(called: str) -> PurePosixPath:
    """The path in "C:\\clips\\a.mp4", "/data/local-files/?d=clips/a.mp4", "s3://bucket/a.mp4?x=1" or "a.mp4"."""
    address = urlsplit(called.replace("\\", "/"))
    inner = parse_qs(address.query).get("d")
    return PurePosixPath(inner[0] if inner else unquote(address.path))


def _without_upload_id(name: str) -> str:
    """Label Studio puts eight hexadecimal digits before the name of an uploaded file."""
    return re.sub(r"^[0-9a-f]{8}-", "", name)
