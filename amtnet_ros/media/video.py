"""Images from video files, folders of images, cameras and streams; H.264 files from images."""

from __future__ import annotations

import os
import re
import stat
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from fractions import Fraction
from pathlib import Path
from typing import TYPE_CHECKING

import cv2
import numpy as np

from amtnet_ros.contracts import UInt8
from amtnet_ros.errors import UserError
from amtnet_ros.files import WholeFile, WholeOutput, unwritable
from amtnet_ros.media.image_folder import ImageFolder, open_folder
from amtnet_ros.media.live import LiveSource, is_device, open_device, open_stream
from amtnet_ros.media.losses import Say, to_stderr
from amtnet_ros.media.video_file import FASTEST, VideoFile, has_end, open_video, pyav

if TYPE_CHECKING:
    import av

Source = VideoFile | ImageFolder | LiveSource


def open_source(source: str, say: Say = to_stderr) -> Source:
    """Open a video file, a folder of images, a camera (its number, /dev/video0, /dev/v4l/by-id/…), or a stream
    (rtsp://, http:// …).

    say: is told, a line at a time, what could not be read, and that a camera is waited for. Raises UserError if there
    is no such thing or it holds no picture.

        for stamp, image in open_source("clip.mp4").stamped():  # nanoseconds, (height, width, 3) uint8 RGB
    """
    if re.fullmatch("[0-9]+", source):
        return open_device(f"/dev/video{source}", say)
    if re.match(r"[A-Za-z][A-Za-z0-9+.-]*://", source):
        return open_video(source, say) if has_end(source) else open_stream(source, say)
    if os.path.isdir(source):
        return open_folder(Path(source), say)
    if is_device(source):
        return open_device(source, say)
    if not os.path.exists(source):
        raise UserError(f"{source}: no such file or folder (a webcam is given by its number)")
    return open_stream(source, say) if stat.S_ISFIFO(os.stat(source).st_mode) else open_video(source, say)


def files_of(source: Source) -> tuple[Path, ...]:
    """The files that a source is read from."""
    if isinstance(source, ImageFolder):
        return source.files
    return (Path(source.address),) if isinstance(source, VideoFile) else ()


class VideoWriter(WholeOutput):
    """Writes an H.264 file: whole, when closed, or not at all.

    The first image sets the size; images of another size are resized to it. Use as a context manager: leaving it by an
    exception discards the file. Raises UserError if the file cannot be written.

        with VideoWriter(Path("out.mp4")) as writer:
            writer.write(image, seconds=0.0)
    """

    _CLOCK = Fraction(1, 90_000)

    def __init__(self, path: Path, rate: float = 30.0) -> None:
        """rate: about so many images a second are to come."""
        self._file = WholeFile(path, parents=True)
        self._rate, self._av = min(max(rate, 1.0), FASTEST), pyav()
        self._last_tick = -1
        self._stream: av.VideoStream | None = None
        with self._reported():
            self._container = self._av.open(str(self._file.temporary), "w", format=_container_of(path))

    def write(self, image: UInt8, seconds: float) -> None:
        """Append an image, (height, width, 3) uint8 RGB, shown from that time on (0 is the video's start).

        A time that does not lie after the last image's becomes the earliest that does. Raises UserError where it cannot
        be written, as on a full disk.
        """
        if self._stream is None:
            self._stream = self._open_stream(image)
        size = (self._stream.width, self._stream.height)
        if image.shape[1::-1] != size:
            image = np.asarray(cv2.resize(image, size, interpolation=cv2.INTER_AREA), dtype=np.uint8)
        frame = self._av.VideoFrame.from_ndarray(image, format="rgb24")
        frame.pts = self._last_tick = max(round(seconds / self._CLOCK), self._last_tick + 1)
        frame.time_base = self._CLOCK
        with self._reported():
            self._container.mux(self._stream.encode(frame))

    def close(self) -> bool:
        """Finish the file and put it in its place; False (and no file) if no image was written."""
        if self._stream is None:
            self.discard()
            return False
        with self._reported():
            self._container.mux(self._stream.encode(None))
            self._container.close()
        self._file.keep()
        return True

    def discard(self) -> None:
        """Give up: nothing is left of the file."""
        with suppress(self._av.FFmpegError, OSError):  # where the disk is full, what waits cannot be written either
            self._container.close()
        self._file.discard()

    @contextmanager
    def _reported(self) -> Iterator[None]:
        """What goes wrong in the block becomes a UserError."""
        try:
            yield
        except (self._av.FFmpegError, OSError) as error:
            raise unwritable(self._file.path, error) from error

    def _open_stream(self, image: UInt8) -> av.VideoStream:
        height, width = image.shape[:2]
        rate = Fraction(self._rate).limit_denominator(1001)
        stream: av.VideoStream = self._container.add_stream("libx264", rate=rate)
        stream.width, stream.height = width + width % 2, height + height % 2  # 4:2:0 needs even sizes
        stream.pix_fmt = "yuv420p"
        stream.codec_context.time_base = self._CLOCK
        stream.options = {"preset": "veryfast", "crf": "23"}
        return stream


def _container_of(path: Path) -> str:
    formats = {".mp4": "mp4", ".mkv": "matroska", ".mov": "mov"}
    if path.suffix.lower() not in formats:
        raise UserError(f"{path}: a video is written as {', '.join(formats)}")
    return formats[path.suffix.lower()]
