"""The newest images of a camera, kept for a while: what was before a key was pressed is still there."""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

import cv2
import numpy as np
from numpy.typing import NDArray

from amtnet_ros.contracts import UInt8
from amtnet_ros.files import unwritable
from amtnet_ros.libraries import library
from amtnet_ros.media.pictures import decoded
from amtnet_ros.media.video import VideoWriter

MOST_BYTES = 256 * 2**20
_QUALITY = 95


class Shot(NamedTuple):
    """An image as JPEG. seconds: when it came, by any clock that does not jump."""

    seconds: float
    jpeg: NDArray[np.uint8]


class Tape:
    """Holds the images of the last seconds, never more bytes than it may: then the oldest go first.

    One thread adds, another cuts.
    """

    def __init__(self, seconds: float, most_bytes: int = MOST_BYTES) -> None:
        self._seconds, self._most_bytes = seconds, most_bytes
        self._shots: deque[Shot] = deque()
        self._lock = threading.Lock()
        self.bytes = 0
        self.size = (0, 0)

    def add(self, image: UInt8, seconds: float) -> None:
        """The next image, (height, width, 3) uint8 RGB, that came at that time."""
        _, jpeg = cv2.imencode(".jpg", image[..., ::-1], [cv2.IMWRITE_JPEG_QUALITY, _QUALITY])
        shot = Shot(seconds, np.asarray(jpeg, np.uint8).ravel())
        with self._lock:
            self._shots.append(shot)
            self.bytes += shot.jpeg.nbytes
            self.size = (image.shape[1], image.shape[0])
            while self.bytes > self._most_bytes or self._shots[0].seconds < seconds - self._seconds:
                if len(self._shots) == 1:
                    break
                self.bytes -= self._shots.popleft().jpeg.nbytes

    def cut(self, begin: float, end: float) -> list[Shot]:
        """The images of that time, as far as they are there."""
        with self._lock:
            return [shot for shot in self._shots if begin <= shot.seconds <= end]

    @property
    def newest(self) -> float | None:
        """When the newest image came; None without any."""
        with self._lock:
            return self._shots[-1].seconds if self._shots else None

    @property
    def rate(self) -> float:
        """Images a second, over all that are there; 0 while there are too few."""
        with self._lock:
            return mean_rate(self._shots)


def mean_rate(shots: Sequence[Shot]) -> float:
    """Images a second; 0 of fewer than two."""
    if len(shots) < 2 or shots[-1].seconds <= shots[0].seconds:
        return 0.0
    return (len(shots) - 1) / (shots[-1].seconds - shots[0].seconds)


def write_clip(path: Path, shots: Sequence[Shot]) -> None:
    """Write the images as a video, whole or not at all. Raises UserError if it cannot be written."""
    av = library("av", "writing videos")
    try:
        with VideoWriter(path, mean_rate(shots) or 30.0) as writer:
            for shot in shots:
                if (image := decoded(shot.jpeg)) is not None:
                    writer.write(image, shot.seconds - shots[0].seconds)
    except (av.FFmpegError, OSError) as error:
        raise unwritable(path, error) from error
