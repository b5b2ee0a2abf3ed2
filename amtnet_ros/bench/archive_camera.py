"""A recording as a camera would make it, of clips that are joined: long, 640×480, 30 pictures a second."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path

import cv2
import numpy as np

from amtnet_ros.contracts import UInt8
from amtnet_ros.media.video import VideoWriter, open_source

SIZE, RATE = (640, 480), 30
NOISE = 2.0
"""Grey levels (standard deviation) of a camera's noise, which a codec has to deal with."""


def write_camera(path: Path, clips: Sequence[str], seconds: float, seed: int) -> None:
    """Write a video of so many seconds: the clips, one at least, in a random order, again and again.

    Raises UserError where one cannot be read.
    """
    rng = np.random.default_rng(seed)
    noise = [np.rint(rng.normal(0, NOISE, (*SIZE[::-1], 1))).astype(np.int16) for _ in range(8)]
    count = round(seconds * RATE)
    with VideoWriter(path, RATE) as writer:
        for number, image in zip(range(count), _pictures(clips, rng), strict=False):
            large = cv2.resize(image, SIZE, interpolation=cv2.INTER_CUBIC) + noise[number % len(noise)]
            writer.write(np.clip(large, 0, 255).astype(np.uint8), number / RATE)


def _pictures(clips: Sequence[str], rng: np.random.Generator) -> Iterator[UInt8]:
    while True:
        for clip in rng.permutation(np.array(clips)):
            yield from open_source(str(clip))
