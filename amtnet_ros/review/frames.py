"""Frames of videos as JPEG, by number: decoded from start to end as training decodes them, and kept for a while."""

from __future__ import annotations

import tempfile
import threading
from collections import OrderedDict
from pathlib import Path

import cv2
import numpy as np

from amtnet_ros.contracts import UInt8
from amtnet_ros.errors import UserError
from amtnet_ros.media.video import open_source

WIDTH = 960
"""Wider pictures are shown smaller; boxes keep their full precision."""
_KEPT = 4  # videos whose frames lie on the disk
_QUALITY = [cv2.IMWRITE_JPEG_QUALITY, 85]


class FrameStore:
    """Frames of the videos that were asked for last, in a temporary folder that goes when it is closed."""

    def __init__(self) -> None:
        self._folder = tempfile.TemporaryDirectory(prefix="amtnet_review_")
        self._clips: OrderedDict[Path, _Clip] = OrderedDict()
        self._lock = threading.Lock()
        self._count = 0

    def frame(self, video: Path, number: int) -> bytes:
        """A frame as JPEG; waits until it is decoded. Raises UserError if the video is broken or too short."""
        with self._lock:
            clip = self._clips.get(video)
            if clip is None:
                self._count += 1
                clip = self._clips[video] = _Clip(video, Path(self._folder.name) / str(self._count))
                while len(self._clips) > _KEPT:
                    self._clips.popitem(last=False)[1].discard()
            self._clips.move_to_end(video)
        return clip.frame(number)

    def close(self) -> None:
        """Remove everything."""
        for clip in self._clips.values():
            clip.discard()
        self._folder.cleanup()


class _Clip:
    """A video that a thread decodes into a folder."""

    def __init__(self, video: Path, folder: Path) -> None:
        self._video, self._folder = video, folder
        self._ready = threading.Condition()
        self._count, self._done, self._given_up = 0, False, False
        self._error: UserError | None = None
        folder.mkdir()
        self._thread = threading.Thread(target=self._decode, daemon=True)
        self._thread.start()

    def frame(self, number: int) -> bytes:
        with self._ready:
            self._ready.wait_for(lambda: self._count > number or self._done)
            if number < self._count and not self._given_up:
                return self._file(number).read_bytes()
            raise self._error or UserError(f"{self._video}: has {self._count} frames, no frame {number}")

    def discard(self) -> None:
        self._given_up = True
        self._thread.join()
        with self._ready:
            for number in range(self._count):
                self._file(number).unlink(missing_ok=True)

    def _decode(self) -> None:
        try:
            for image in open_source(str(self._video)):
                if self._given_up:
                    break
                if not cv2.imwrite(str(self._file(self._count)), _shrunk(image)[..., ::-1], _QUALITY):
                    raise UserError(f"{self._folder}: cannot be written; is the disk full?")
                with self._ready:
                    self._count += 1
                    self._ready.notify_all()
        except (UserError, OSError, cv2.error) as error:
            self._error = error if isinstance(error, UserError) else UserError(f"{self._video}: {error}")
        finally:
            with self._ready:
                self._done = True
                self._ready.notify_all()

    def _file(self, number: int) -> Path:
        return self._folder / f"{number}.jpg"


def _shrunk(image: UInt8) -> UInt8:
    height, width = image.shape[:2]
    if width <= WIDTH:
        return image
    size = (WIDTH, round(height * WIDTH / width))
    return np.asarray(cv2.resize(image, size, interpolation=cv2.INTER_AREA), np.uint8)
