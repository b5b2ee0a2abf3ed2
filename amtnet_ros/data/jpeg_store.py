"""Frames of videos as JPEG: small enough to lie in memory all together, quick to decode one by one."""

from __future__ import annotations

import hashlib
import zipfile
from collections.abc import Mapping
from pathlib import Path

import cv2
import numpy as np
from rich.console import Console
from rich.progress import track

from amtnet_ros.contracts import Int64, UInt8
from amtnet_ros.errors import UserError
from amtnet_ros.files import WholeFile
from amtnet_ros.media.pictures import decoded
from amtnet_ros.media.video import open_source

QUALITY = 90


class JpegStore:
    """Frames by video and number, each a JPEG. On disk one file a video, written whole; in memory when first asked for.

    A file's name tells the video's size and time of change, so a video that was replaced is read anew.
    """

    def __init__(self, folder: Path, videos: Mapping[str, Path]) -> None:
        """folder: where the files lie. videos: by the name that frames are asked for by."""
        self._folder, self._videos = folder, videos
        self._loaded: dict[str, tuple[UInt8, Int64]] = {}

    def fill(self) -> None:
        """Decode what is missing, with a progress bar. Raises UserError if a video or the folder cannot be used."""
        missing = [name for name in self._videos if not self._file(name).exists()]
        for name in track(missing, "frames as JPEG", console=Console(stderr=True), disable=not missing):
            self._write(name)

    def load(self) -> None:
        """Read everything into memory, so that processes started after this share it."""
        for name in self._videos:
            self._open(name)

    def length(self, name: str) -> int:
        """How many frames a video has."""
        return len(self._open(name)[1])

    def frame(self, name: str, number: int) -> UInt8:
        """(h, w, 3) uint8 RGB. Raises UserError if the store was not filled with it."""
        content, ends = self._open(name)
        begin = int(ends[number - 1]) if number else 0
        picture = decoded(content[begin : int(ends[number])])
        return np.asarray(picture, dtype=np.uint8)

    def _open(self, name: str) -> tuple[UInt8, Int64]:
        if name not in self._loaded:
            path = self._file(name)
            try:
                with np.load(path, allow_pickle=False) as file:
                    self._loaded[name] = file["content"], file["ends"]
            except FileNotFoundError as error:
                raise UserError(f"{path} is missing: the cache must be filled with '{name}' first") from error
            except (KeyError, ValueError, EOFError, zipfile.BadZipFile) as error:
                raise UserError(f"{path}: damaged ({error}); delete it, and it will be made anew") from error
        return self._loaded[name]

    def _write(self, name: str) -> None:
        parts, path = [], self._file(name)
        for image in open_source(str(self._videos[name])):
            _, encoded = cv2.imencode(".jpg", image[..., ::-1], [cv2.IMWRITE_JPEG_QUALITY, QUALITY])
            parts.append(encoded.ravel())
        with WholeFile(path, parents=True) as temporary, temporary.open("wb") as file:
            np.savez(file, content=np.concatenate(parts), ends=np.cumsum([len(part) for part in parts]))

    def _file(self, name: str) -> Path:
        try:
            status = self._videos[name].stat()
        except OSError as error:
            raise UserError(f"{self._videos[name]}: cannot be opened ({error.strerror})") from error
        change = hashlib.sha256(f"{status.st_size} {status.st_mtime_ns}".encode()).hexdigest()[:8]
        return self._folder / f"{name.replace('%', '%25').replace('/', '%2F')}-{change}.npz"
