"""Videos of a pattern that moves, by any codec, with any times; and damage to them."""

from __future__ import annotations

import os
from collections.abc import Sequence
from fractions import Fraction
from pathlib import Path

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


def damage(path: Path, begin: float = 0.45, end: float = 0.55) -> Path:
    """The file beside it with noise between two shares of its length."""
    data = bytearray(path.read_bytes())
    first, last = int(len(data) * begin), int(len(data) * end)
    data[first:last] = np.random.default_rng(1).bytes(last - first)
    damaged = path.with_name(f"damaged-{path.name}")
    damaged.write_bytes(data)
    return damaged
