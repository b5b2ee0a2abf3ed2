"""Cameras and streams: what delivers images as time passes, may stop, and may come back."""

from __future__ import annotations

import io
import os
import stat
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import closing
from typing import Any, Protocol

import cv2
import numpy as np

from amtnet_ros.contracts import UInt8
from amtnet_ros.errors import UserError
from amtnet_ros.media.losses import Say, to_stderr
from amtnet_ros.media.presentation import upright
from amtnet_ros.media.video_file import (
    FASTEST,
    NOMINAL_RATE,
    film_of,
    frames_of,
    open_container,
    pyav,
    why,
    without_password,
)
from amtnet_ros.stream import NewestSlot

PATIENCE = 600.0
"""Seconds for which a source that stopped is waited for."""
_BETWEEN_TRIES = 1.0  # seconds
_BETWEEN_WORDS = 30.0  # seconds
_MOST_BROKEN = 300  # packets in a row that cannot be decoded, after which a stream is opened anew
_VIDEO_MAJOR = 81  # of Linux's video devices


class Feed(Protocol):
    """One connection to a camera. rate: its images a second; iterating ends, or raises UserError, when it breaks."""

    rate: float

    def __iter__(self) -> Iterator[UInt8]:
        """The images, (height, width, 3) uint8 RGB."""

    def close(self) -> None:
        """Let go of the camera."""


class LiveSource:
    """A camera, or a stream: only its newest image counts, and one that stops is waited for.

    name: what it is called in what is said. rate: of its images a second, as it says itself. Raises UserError where it
    cannot be opened now.
    """

    frames = 0

    def __init__(
        self, name: str, connect: Callable[[], Feed], say: Say = to_stderr, patience: float = PATIENCE
    ) -> None:
        """connect: opens it, or raises UserError. patience: seconds for which it is waited for when it has stopped."""
        self.name, self._connect, self._say, self._patience = name, connect, say, patience
        self._feed: Feed | None = connect()
        self.rate = self._feed.rate

    def __iter__(self) -> Iterator[UInt8]:
        """Every image that is new, (height, width, 3) uint8 RGB."""
        return (image for _, image in self.stamped())

    def stamped(self) -> Iterator[tuple[int, UInt8]]:
        """The same with the time of its arrival, in nanoseconds since the call.

        Images that come faster than they are asked for are left out. It ends when a source that stopped did not come
        back.
        """
        slot: NewestSlot[tuple[int, UInt8]] = NewestSlot()
        stop = threading.Event()
        reader = threading.Thread(target=self._read, args=(slot, stop), name="camera", daemon=True)
        reader.start()
        try:
            while (item := slot.take()) is not None:
                yield item
        finally:
            stop.set()
            slot.close()

    def close(self) -> None:
        """Let go of the camera, where its images were not asked for."""
        feed, self._feed = self._feed, None
        if feed is not None:
            feed.close()

    def _read(self, slot: NewestSlot[tuple[int, UInt8]], stop: threading.Event) -> None:
        """In a thread: put each image into the slot, for as long as any come, or may come again."""
        begin = time.monotonic_ns()
        absence = _Absence(self.name, self._say, self._patience)
        while not stop.is_set() and not absence.too_long:
            try:
                with closing(self._feed or self._connect()) as feed:
                    self._feed = None
                    for image in feed:
                        absence.over()
                        slot.put((time.monotonic_ns() - begin, image))
                        if stop.is_set():
                            return
                absence.note("it has ended")
            except Exception as error:  # whatever a driver comes up with: the thread lives
                absence.note(str(error))
            stop.wait(_BETWEEN_TRIES)
        if not stop.is_set():
            self._say(f"{self.name}: did not come back within {self._patience:g} s")
        slot.close()


class _Absence:
    """How long a source has been away, and what is said of it meanwhile; of one that comes and goes, not every time."""

    def __init__(self, name: str, say: Say, patience: float) -> None:
        self._name, self._say, self._patience = name, say, patience
        self._since: float | None = None
        self._said = -_BETWEEN_WORDS
        self._told = False

    @property
    def too_long(self) -> bool:
        """Whether it is not waited for any more."""
        return self._since is not None and time.monotonic() - self._since >= self._patience

    def note(self, reason: str) -> None:
        """It is away."""
        now = time.monotonic()
        left = self._since is None
        self._since = now if self._since is None else self._since
        if now - self._said < _BETWEEN_WORDS:
            return
        self._said, self._told = now, True
        if left:
            self._say(f"{self._name}: no images any more ({reason}); waiting for it to come back")
        else:
            self._say(f"{self._name}: still waiting, for {now - self._since:.0f} s now ({reason})")

    def over(self) -> None:
        """It is there."""
        if self._since is not None and self._told:
            self._say(f"{self._name}: is back after {time.monotonic() - self._since:.0f} s")
        self._since, self._told = None, False


def open_device(device: str, say: Say = to_stderr, patience: float = PATIENCE) -> LiveSource:
    """A camera of this machine by its device: /dev/video0, or a name that leads to one, as in /dev/v4l/by-id/."""
    return LiveSource(device, lambda: _Webcam(device), say, patience)


def open_stream(address: str, say: Say = to_stderr, patience: float = PATIENCE) -> LiveSource:
    """What an address names (rtsp://, http://, udp:// …), or a named pipe, as it comes."""
    return LiveSource(without_password(address), lambda: _Stream(address), say, patience)


def is_device(path: str) -> bool:
    """Whether it is, or where it is missing would be, a device and no file."""
    try:
        return stat.S_ISCHR(os.stat(path).st_mode)
    except OSError:
        return path.startswith("/dev/")


class _Webcam:
    """A video device by OpenCV."""

    def __init__(self, device: str) -> None:
        try:
            status = os.stat(device)
        except OSError:
            raise UserError(f"{device}: there is no such webcam; `ls /dev/video*` shows those there are") from None
        if not stat.S_ISCHR(status.st_mode) or os.major(status.st_rdev) != _VIDEO_MAJOR:
            raise UserError(f"{device}: is no camera; `ls /dev/video*` shows those there are")
        self._device = device
        self._capture = cv2.VideoCapture(os.path.realpath(device))  # OpenCV knows them as /dev/video0 alone
        if not self._capture.isOpened():
            raise UserError(
                f"{device}: the webcam cannot be opened; is it in use, or are you not in the group 'video'?"
            )
        self.rate = float(self._capture.get(cv2.CAP_PROP_FPS)) or NOMINAL_RATE

    def __iter__(self) -> Iterator[UInt8]:
        while True:
            delivered, image = self._capture.read()
            if not delivered:
                raise UserError("the webcam delivers nothing; is it unplugged?")
            yield np.ascontiguousarray(image[..., ::-1], dtype=np.uint8)

    def close(self) -> None:
        self._capture.release()


class _Stream:
    """A stream by FFmpeg."""

    def __init__(self, address: str) -> None:
        self._address = without_password(address)
        self._container: Any = None
        self._pipe: io.FileIO | None = None
        try:
            if os.path.exists(address):
                self._pipe = io.FileIO(address)
            # Over TCP where the server can: lost packets of UDP are grey pictures.
            options = {"rtsp_flags": "prefer_tcp", "fflags": "nobuffer"}
            self._container = open_container(self._pipe or address, options=options)
        except (pyav().FFmpegError, OSError, ValueError) as error:
            self.close()
            raise UserError(f"{self._address}: cannot be opened ({why(error)})") from None
        stream = film_of(self._container)
        if stream is None:
            self.close()
            raise UserError(f"{self._address}: holds no video stream")
        rate = float(stream.average_rate or 0)
        self.rate = rate if 0 < rate <= FASTEST else NOMINAL_RATE

    def __iter__(self) -> Iterator[UInt8]:
        broken = 0
        for frame in frames_of(self._container, "SLICE"):
            if not isinstance(frame, Exception):
                broken = 0
                yield upright(frame)
            elif (broken := broken + 1) >= _MOST_BROKEN or not isinstance(frame, pyav().error.InvalidDataError):
                raise UserError(why(frame))

    def close(self) -> None:
        for each in (self._container, self._pipe):
            if each is not None:
                each.close()
