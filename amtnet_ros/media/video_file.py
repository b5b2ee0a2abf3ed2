"""A video file: its frames, when each is shown, and how much of it can be read."""

from __future__ import annotations

import ctypes
import os
import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from fractions import Fraction
from itertools import islice
from typing import TYPE_CHECKING, Any

from amtnet_ros.contracts import UInt8
from amtnet_ros.errors import UserError
from amtnet_ros.libraries import library
from amtnet_ros.media.losses import Losses, Say, to_stderr
from amtnet_ros.media.presentation import PresentationClock, upright, usual_rate

if TYPE_CHECKING:
    import av

NOMINAL_RATE = 30.0
"""Frames a second where a file does not say."""
FASTEST = 240.0
"""A higher nominal rate may be the resolution of the file's clock (browsers name 1000): the frames' times decide."""
_ANSWER = 10.0  # seconds that a server may take
_MOST_PIXELS = 1 << 26


@dataclass(frozen=True)
class VideoFile:
    """A video file, or one behind an address; iterating decodes it from the start.

    rate: usual frames a second; frames: their number as the file's header says, 0 if it does not say. has_times:
    whether its frames say when they are shown; seconds: its length by the header, 0 if it does not say. say: is told
    what could not be read.
    """

    address: str
    rate: float
    frames: int
    has_times: bool = True
    seconds: float = 0.0
    say: Say = field(default=to_stderr, compare=False)

    def __iter__(self) -> Iterator[UInt8]:
        """Every image, (height, width, 3) uint8 RGB, upright. Raises UserError where the data are broken."""
        for done, frame in enumerate(self._frames()):
            if isinstance(frame, Exception):
                raise UserError(f"{self.address}: the video is broken after frame {done} ({why(frame)})")
            yield upright(frame)

    def stamped(self) -> Iterator[tuple[int, UInt8]]:
        """Every image that can be decoded, with its time in nanoseconds, the first one's being 0.

        Times are the file's own; where there are none, or they do not grow, they follow from the rate. Raises UserError
        where nothing can be decoded.
        """
        clock, losses = PresentationClock(self.rate), Losses(self.address, "frames", self.say)
        holes = _Holes(self.rate)
        for frame in self._frames():
            if not isinstance(frame, Exception):
                losses.add_read()
                stamp = clock.stamp(time_of(frame) if self.has_times else None)
                holes.add(stamp)
                yield stamp, upright(frame)
                continue
            clock.skip()
            if losses.add_lost(f"after {holes.last:.2f} s", why(frame)):
                break
        losses.conclude()
        if said := holes.said(self.seconds):
            self.say(f"{self.address}: {said}")

    def _frames(self) -> Iterator[av.VideoFrame | Exception]:
        try:
            with open_container(self.address) as container:
                yield from frames_of(container)
        except (pyav().FFmpegError, OSError) as error:
            yield error


def open_video(address: str, say: Say = to_stderr) -> VideoFile:
    """Open a video file, or one behind an address. Raises UserError where it holds nothing that can be decoded."""
    av = pyav()
    try:
        with open_container(address) as container:
            stream = film_of(container)
            if stream is None:
                raise UserError(f"{address}: holds no video stream")
            has_times = container.format.name != "avi"  # which numbers its frames, and often wrongly
            losses = Losses(address, "frames", say)
            good = _counted(frames_of(container), losses)
            first = next(good, None)
            if first is None:
                losses.conclude()
            rate = float(stream.average_rate or 0)
            if not 0 < rate <= FASTEST and first is not None and has_times:
                times = [time for frame in [first, *islice(good, 60)] if (time := time_of(frame)) is not None]
                rate = usual_rate(times) or NOMINAL_RATE
            return VideoFile(
                address, rate if rate > 0 else NOMINAL_RATE, stream.frames, has_times, _seconds(container), say
            )
    except (av.FFmpegError, OSError, ValueError) as error:
        raise UserError(f"{address}: cannot be read as a video ({why(error)})") from None


class _Holes:
    """Where a video's times leave more than half a second out: pauses in the recording, or damage."""

    def __init__(self, rate: float) -> None:
        self._least = max(0.5, 3 / rate)
        self._count, self._first = 0, (0.0, 0.0)
        self.last = 0.0

    def add(self, stamp: int) -> None:
        """The next frame's stamp, in nanoseconds."""
        seconds = stamp / 1e9
        if seconds - self.last > self._least:
            self._first = self._first if self._count else (self.last, seconds)
            self._count += 1
        self.last = seconds

    def said(self, length: float) -> str:
        """What there is to say of them, "" for nothing. length: seconds that the file's header says, or 0."""
        more = f", and {self._count - 1} more such holes" if self._count > 1 else ""
        hole = f"no frames between {self._first[0]:.2f} and {self._first[1]:.2f} s{more}" if self._count else ""
        short = f"it ends after {self.last:.2f} of {length:.2f} s" if length - self.last > self._least else ""
        return "; ".join(filter(None, (hole, short)))


def _seconds(container: Any) -> float:
    """A video's length by its header; 0 where that does not say, or may speak of the sound."""
    stream = film_of(container)
    if stream.duration and stream.time_base:
        return float(stream.duration * stream.time_base)
    alone = len(container.streams) == 1 and container.duration
    return container.duration / 1e6 if alone and container.format.name != "avi" else 0.0


def has_end(address: str) -> bool:
    """Whether an address leads to a video that has a length, as a file has, and no camera. Raises UserError if to none.

    Only of what is fetched as files are that is asked.
    """
    if not address.lower().startswith(("http://", "https://", "file://")):
        return False
    try:
        with open_container(address) as container:
            return bool(container.duration and container.duration > 0)
    except (pyav().FFmpegError, OSError, ValueError) as error:
        raise UserError(f"{without_password(address)}: cannot be opened ({why(error)})") from None


def without_password(address: str) -> str:
    """An address as it may be shown: what stands before an @ is nobody else's business."""
    return re.sub(r"//[^/@]*@", "//***@", address)


def _counted(frames: Iterator[av.VideoFrame | Exception], losses: Losses) -> Iterator[av.VideoFrame]:
    for frame in frames:
        if not isinstance(frame, Exception):
            losses.add_read()
            yield frame
        elif losses.add_lost("at the start", why(frame)):
            return


def open_container(address: Any, **options: Any) -> Any:
    """PyAV's container of a file, or of what an address names. Raises FFmpegError, OSError."""
    if not isinstance(address, str):
        return pyav().open(address, **options)
    if "://" in address:
        return pyav().open(address, timeout=(_ANSWER, _ANSWER), **options)
    return pyav().open(os.path.abspath(address), **options)  # a bare 10:30.mp4 would be of a protocol called 10


def film_of(container: Any) -> Any:
    """The video stream that is the film, or None: a cover or a thumbnail is a video stream as well."""
    streams = container.streams
    films = [stream for stream in streams.video if stream.frames != 1] or list(streams.video)
    best = streams.best("video") if hasattr(streams, "best") else None  # not in PyAV of Ubuntu 22.04 and 24.04
    return best if best in films else next(iter(films), None)


def frames_of(container: Any, threads: str = "AUTO") -> Iterator[av.VideoFrame | Exception]:
    """The frames of its `film_of` in the order of showing; in place of what cannot be decoded, the error.

    threads: AUTO is fastest, SLICE holds no frame back.
    """
    av = pyav()
    stream = film_of(container)
    stream.thread_type = threads
    stream.codec_context.options = {"max_pixels": str(_MOST_PIXELS)}
    for packet in _packets(container, stream):
        if isinstance(packet, Exception):
            yield packet
            continue
        try:
            yield from packet.decode()
        except av.error.EOFError:
            return
        except (av.FFmpegError, ValueError) as error:
            yield error


def _packets(container: Any, stream: Any) -> Iterator[Any]:
    """The stream's packets; where the container is damaged, the error, and on behind it."""
    av = pyav()
    while True:
        try:
            yield from container.demux(stream)
            return
        except av.error.EOFError:
            return
        except av.FFmpegError as error:
            yield error


def time_of(frame: av.VideoFrame) -> Fraction | None:
    """When the frame is to be shown, in seconds."""
    return None if frame.pts is None or frame.time_base is None else frame.pts * frame.time_base


def pyav() -> Any:
    """PyAV, silent: what FFmpeg would say on stderr is in the exceptions.

    Its own way to silence FFmpeg, set_level, hands the decoder's threads a callback that needs the interpreter's lock;
    closing a video that was not read to its end, or the end of the program, then waits for ever, now and again.
    """
    av = library("av", "reading and writing videos")
    av.logging.restore_default_callback()
    if hasattr(av.logging, "set_libav_level"):
        av.logging.set_libav_level(av.logging.PANIC)
    else:  # PyAV of Ubuntu 22.04 and 24.04 has only that way: FFmpeg's function itself
        ctypes.CDLL(av.logging.__file__).av_log_set_level(av.logging.PANIC)
    return av


def why(error: Exception) -> str:
    """What an error of FFmpeg or the system says, for the end of a line."""
    if isinstance(error, pyav().error.ExitError):
        return f"no answer for {_ANSWER:g} s"
    return (getattr(error, "strerror", None) or str(error)).lower()
