"""The file that is reviewed: each change of a video is checked and written at once, the whole file or nothing."""

from __future__ import annotations

import hashlib
import os
import threading
from collections import Counter
from pathlib import Path

from amtnet_ros.data.actions_file import ActionsFile, Video, parse_actions_file, write_actions_file
from amtnet_ros.data.custom import read_video
from amtnet_ros.errors import UserError


class ChangedElsewhereError(Exception):
    """Somebody else changed the video after it was read."""


class ReviewedFile:
    """The videos of an actions.json. Another program may write the file meanwhile; it is read again when it did."""

    def __init__(self, path: Path) -> None:
        """Raises UserError for the first mistake in the file, or where it has no videos."""
        self.path = path
        self._lock = threading.Lock()
        self._content = parse_actions_file(path)
        self._written = _state(path)
        if not self._content.videos:
            raise UserError(f"{path}: holds no videos to review")
        for name, video in self._content.videos.items():
            if video.review != "dropped":
                read_video(path, self._content.classes, name, video)

    @property
    def classes(self) -> list[str]:
        """The classes, `none` not among them."""
        return self._read().classes

    @property
    def videos(self) -> dict[str, Video]:
        """All, by name, as the file has them now."""
        return self._read().videos

    def file_of(self, name: str) -> Path | None:
        """A video's file; None where the name is none of this file's, or the path is not given."""
        video = self.videos.get(name)
        return None if video is None or video.path is None else self.path.parent / video.path

    def replace(self, name: str, version: str, changed: Video) -> str:
        """Write a video's actions and review. version: of the video that was changed. Returns the new version.

        Raises ChangedElsewhereError if the file has another version by now, UserError if the change is not valid or
        cannot be written.
        """
        with self._lock:
            content = self._current()
            known = content.videos.get(name)
            if known is None or version_of(known) != version:
                raise ChangedElsewhereError
            new = known.model_copy(update={"actions": changed.actions, "review": changed.review})
            if new.review != "dropped":
                read_video(self.path, content.classes, name, new)
            self._content = content.model_copy(update={"videos": {**content.videos, name: new}})
            try:
                write_actions_file(self.path, self._content)
            except UserError:
                self._content = content
                raise
            self._written = _state(self.path)
            return version_of(new)

    def inventory(self) -> str:
        """How many videos are open, accepted and dropped."""
        counts = Counter(video.review or "open" for video in self.videos.values())
        return ", ".join(f"{counts[state]} {state}" for state in ("accepted", "dropped", "open"))

    def _read(self) -> ActionsFile:
        with self._lock:
            return self._current()

    def _current(self) -> ActionsFile:
        if (state := _state(self.path)) != self._written:
            self._content, self._written = parse_actions_file(self.path), state
        return self._content


def version_of(video: Video) -> str:
    """Tells one state of a video from another."""
    return hashlib.sha256(video.model_dump_json().encode()).hexdigest()[:16]


def _state(path: Path) -> tuple[int, int, int]:
    try:
        status = os.stat(path)
    except OSError as error:
        raise UserError(f"{path}: cannot be read ({error.strerror})") from error
    return status.st_mtime_ns, status.st_size, status.st_ino
