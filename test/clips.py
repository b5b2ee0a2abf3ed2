"""Videos of a pattern that moves, by any codec, with any times; and damage to them."""

from __future__ import annotations

import os
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from fractions import Fraction
from pathlib import Path
from typing import Any

import av
import numpy as np

from amtnet_ros.contracts import UInt8

SIZE = (96, 64)
MILLISECOND = Fraction(1, 1000)
_OPTIONS = {
    "libx265": {"x265-params": "log-level=none:keyint=15:bframes=0"},
    "libsvtav1": {"svtav1-params": "keyint=15", "preset": "12"},
}
os.environ.setdefault("SVT_LOG", "1")  # errors only


def pattern(number: int) -> UInt8:
    """A textured picture, (64, 96, 3) uint8 RGB, which moves with the number."""
    coarse = np.random.default_rng(5).integers(40, 200, (8, 12, 3), dtype=np.uint8)
    return np.roll(coarse.repeat(8, 0).repeat(8, 1), 2 * number, axis=1)


def write_clip(
    path: Path, codec: str = "libx264", count: int = 60, times: Sequence[float] | None = None, rate: int = 30
) -> Path:
    """A clip with a key frame every 15 frames. times: seconds at which the frames are shown, to the millisecond."""
    options = _OPTIONS.get(codec, {})
    with av.open(str(path), "w") as container:
        stream = container.add_stream(codec, rate=rate, options=options)
        stream.width, stream.height = SIZE
        stream.pix_fmt = "yuvj420p" if codec == "mjpeg" else "yuv420p"
        stream.gop_size = 15
        if times is not None:
            stream.codec_context.time_base = MILLISECOND
        for number in range(count):
            frame = av.VideoFrame.from_ndarray(pattern(number), format="rgb24")
            if times is not None:
                frame.pts, frame.time_base = round(times[number] * 1000), MILLISECOND
            container.mux(stream.encode(frame))
        container.mux(stream.encode(None))
    return path


def send(sink: Any, stop: threading.Event, picture: Callable[[int], UInt8] = pattern) -> None:
    """An MPEG transport stream of pictures of 96x64, faster than real time, until told to stop or nobody listens."""
    with av.open(sink, "w", format="mpegts") as container:
        stream = container.add_stream(
            "libx264", rate=30, options={"preset": "ultrafast", "tune": "zerolatency", "g": "5"}
        )
        (stream.width, stream.height), stream.pix_fmt = SIZE, "yuv420p"
        number = 0
        while not stop.wait(0.01):
            container.mux(stream.encode(av.VideoFrame.from_ndarray(picture(number), format="rgb24")))
            number += 1


@contextmanager
def camera_in_a_pipe(pipe: Path, picture: Callable[[int], UInt8] = pattern) -> Iterator[threading.Event]:
    """A named pipe with a stream in it; once the event is set it delivers nothing, but is there while inside."""
    silent, over = threading.Event(), threading.Event()

    def film() -> None:
        with pipe.open("wb", buffering=0) as sink, suppress(OSError, av.FFmpegError):
            send(sink, silent, picture)
            over.wait()

    os.mkfifo(pipe)
    threading.Thread(target=film, daemon=True).start()
    try:
        yield silent
    finally:
        silent.set()
        over.set()


def damage(path: Path, begin: float = 0.45, end: float = 0.55) -> Path:
    """The file beside it with noise between two shares of its length."""
    data = bytearray(path.read_bytes())
    first, last = int(len(data) * begin), int(len(data) * end)
    data[first:last] = np.random.default_rng(1).bytes(last - first)
    damaged = path.with_name(f"damaged-{path.name}")
    damaged.write_bytes(data)
    return damaged
