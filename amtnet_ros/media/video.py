"""Images from video files, image folders and webcams; H.264 files from images."""

from __future__ import annotations

import math
import re
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path
from typing import TYPE_CHECKING, Any

import cv2
import numpy as np

from amtnet_ros.contracts import UInt8
from amtnet_ros.errors import UserError
from amtnet_ros.files import WholeFile
from amtnet_ros.libraries import library

if TYPE_CHECKING:
    import av

FOLDER_RATE = 30.0
IMAGE_SUFFIXES = (".bmp", ".jpeg", ".jpg", ".png", ".tif", ".tiff", ".webp")


@dataclass(frozen=True)
class VideoFile:
    """A video file; iterating decodes it from the start.

    rate: mean frames a second; frames: their number as the file's header says, 0 if it does not say.
    """

    path: Path
    rate: float
    frames: int

    def __iter__(self) -> Iterator[UInt8]:
        """Every image, (height, width, 3) uint8 RGB, upright. Raises UserError where the data are broken."""
        done, av = 0, _pyav()
        try:
            with av.open(str(self.path)) as container:
                stream = container.streams.video[0]
                stream.thread_type = "AUTO"
                for frame in container.decode(stream):
                    yield _upright(frame)
                    done += 1
        except (av.FFmpegError, OSError) as error:
            raise UserError(f"{self.path}: the video is broken after frame {done} ({_why(error)})") from None


@dataclass(frozen=True)
class ImageFolder:
    """The images of a folder in the natural order of their names (img2 before img10), all of the first one's size."""

    path: Path
    files: tuple[Path, ...]
    rate: float = FOLDER_RATE

    @property
    def frames(self) -> int:
        """How many images there are."""
        return len(self.files)

    def __iter__(self) -> Iterator[UInt8]:
        """Every image, (height, width, 3) uint8 RGB. Raises UserError for a file that is broken."""
        for file in self.files:
            image = cv2.imread(str(file), cv2.IMREAD_COLOR)
            if image is None:
                raise UserError(f"{file}: cannot be read as an image")
            yield np.ascontiguousarray(image[..., ::-1], dtype=np.uint8)


class Webcam:
    """A camera of this machine; iterating never ends by itself."""

    frames = 0

    def __init__(self, device: str) -> None:
        if not Path(device).exists():
            raise UserError(f"{device}: there is no such webcam; `ls /dev/video*` shows those there are")
        self._capture = cv2.VideoCapture(device)
        if not self._capture.isOpened():
            raise UserError(
                f"{device}: the webcam cannot be opened; is it in use, or are you not in the group 'video'?"
            )
        self.device = device
        self.rate = float(self._capture.get(cv2.CAP_PROP_FPS)) or 30.0

    def __iter__(self) -> Iterator[UInt8]:
        """Every image, (height, width, 3) uint8 RGB. Raises UserError if the camera stops delivering."""
        while True:
            delivered, image = self._capture.read()
            if not delivered:
                raise UserError(f"{self.device}: the webcam delivers no images any more")
            yield np.ascontiguousarray(image[..., ::-1], dtype=np.uint8)


Source = VideoFile | ImageFolder | Webcam


def open_source(source: str) -> Source:
    """Open a video file, a folder of images, or a webcam (its number, or /dev/video0).

    Raises UserError if there is no such thing or it holds no picture.
    """
    if source.isdigit():
        return Webcam(f"/dev/video{source}")
    if re.fullmatch(r"/dev/video\d+", source):
        return Webcam(source)
    path = Path(source)
    if path.is_dir():
        return _open_folder(path)
    if not path.exists():
        raise UserError(f"{source}: no such file or folder (a webcam is given by its number)")
    return _open_file(path)


def _open_folder(path: Path) -> ImageFolder:
    def natural(file: Path) -> list[str | int]:
        return [int(part) if part.isdigit() else part for part in re.split(r"(\d+)", file.name)]

    files = sorted((file for file in path.iterdir() if file.suffix.lower() in IMAGE_SUFFIXES), key=natural)
    if not files:
        raise UserError(f"{path}: the folder holds no images ({', '.join(IMAGE_SUFFIXES)})")
    return ImageFolder(path, tuple(files))


def _open_file(path: Path) -> VideoFile:
    av = _pyav()
    try:
        with av.open(str(path)) as container:
            if not container.streams.video:
                raise UserError(f"{path}: holds no video stream")
            stream = container.streams.video[0]
            next(container.decode(stream))
            return VideoFile(path, float(stream.average_rate or FOLDER_RATE), stream.frames)
    except StopIteration:
        raise UserError(f"{path}: the video holds no frame") from None
    except (av.FFmpegError, OSError) as error:
        raise UserError(f"{path}: cannot be read as a video ({_why(error)})") from None


def _pyav() -> Any:
    """PyAV, silent: what FFmpeg would say on stderr is in the exceptions."""
    av = library("av", "reading and writing videos")
    av.logging.set_level(av.logging.PANIC)
    return av


def _why(error: Exception) -> str:
    return (getattr(error, "strerror", None) or str(error)).lower()


def _upright(frame: av.VideoFrame) -> UInt8:
    """The frame as RGB, turned as the file's display matrix says (phones record lying down)."""
    image = np.asarray(frame.to_ndarray(format="rgb24"), dtype=np.uint8)
    turns = round(_rotation(frame) / 90) % 4
    return np.ascontiguousarray(np.rot90(image, turns)) if turns else image


def _rotation(frame: av.VideoFrame) -> float:
    """Degrees by which the frame is to be turned counter-clockwise. Older releases of PyAV do not name them."""
    if hasattr(frame, "rotation"):
        return float(frame.rotation)
    side_data: Any = frame.side_data
    matrices = [side for side in side_data if side.type.name == "DISPLAYMATRIX"]
    if not matrices:
        return 0.0
    # Nine 32-bit numbers, row by row: a, b, u, c, d, v … of FFmpeg's libavutil/display.h, the first two in 16.16.
    a, b = np.frombuffer(bytes(matrices[0]), dtype="=i4")[:2]
    return -math.degrees(math.atan2(b, a))


class VideoWriter:
    """Writes an H.264 file: whole, when closed, or not at all.

    The first image sets the size; images of another size are resized to it. Use as a context manager: leaving it by an
    exception discards the file. Raises UserError if the file cannot be written.
    """

    _CLOCK = Fraction(1, 90_000)

    def __init__(self, path: Path, rate: float = 30.0) -> None:
        self._file = WholeFile(path, parents=True)
        self._rate, self._av = rate, _pyav()
        self._last_tick = -1
        self._stream: av.VideoStream | None = None
        try:
            self._container = self._av.open(str(self._file.temporary), "w", format=_container_of(path))
        except (self._av.FFmpegError, OSError) as error:
            raise UserError(f"{path}: cannot be written ({_why(error)})") from None

    def write(self, image: UInt8, seconds: float) -> None:
        """Append an image, (height, width, 3) uint8 RGB, shown from that time on (0 is the video's start).

        A time that does not lie after the last image's becomes the earliest that does.
        """
        if self._stream is None:
            self._stream = self._open_stream(image)
        size = (self._stream.width, self._stream.height)
        if image.shape[1::-1] != size:
            image = np.asarray(cv2.resize(image, size, interpolation=cv2.INTER_AREA), dtype=np.uint8)
        frame = self._av.VideoFrame.from_ndarray(image, format="rgb24")
        frame.pts = self._last_tick = max(round(seconds / self._CLOCK), self._last_tick + 1)
        frame.time_base = self._CLOCK
        self._container.mux(self._stream.encode(frame))

    def close(self) -> bool:
        """Finish the file and put it in its place; False (and no file) if no image was written."""
        if self._stream is None:
            self.discard()
            return False
        self._container.mux(self._stream.encode(None))
        self._container.close()
        self._file.keep()
        return True

    def discard(self) -> None:
        """Give up: nothing is left of the file."""
        with suppress(self._av.FFmpegError, OSError):  # where the disk is full, what waits cannot be written either
            self._container.close()
        self._file.discard()

    def __enter__(self) -> VideoWriter:
        return self

    def __exit__(self, kind: type[BaseException] | None, *_: object) -> None:
        whole = False
        try:
            whole = kind is None and self.close()
        finally:
            if not whole:
                self.discard()

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
