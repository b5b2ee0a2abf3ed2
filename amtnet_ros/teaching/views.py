"""How a person in a clip, and the whole picture, are looked at in teaching: as the robot does, and some other ways."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from amtnet_ros.actors.crops import MARGIN, View, cut, square_around, whole_view
from amtnet_ros.contracts import Float32, Int64, UInt8
from amtnet_ros.data.actor_clips import shaken, smoothed

LONGEST = 6.0
"""Seconds of a person that are looked at in one way, at most."""
LOOKS_A_SECOND = 10.0
"""Of the robot's way."""
PACES, MARGINS = (7.5, 15.0), (1.3, 2.0)
"""Least and greatest of the other ways: pictures a second, sides of the square in longer sides of the box."""
SHOWN = 0.8
"""Of the whole picture's sides, at least, in the other ways."""


@dataclass(frozen=True)
class Way:
    """What is looked at, picture by picture. frames: their numbers, ascending; views: of each; mirrored: all of them.

    step: seconds from one picture to the next, as far as the network is told.
    """

    frames: tuple[int, ...]
    views: tuple[View, ...]
    mirrored: bool = False

    def picture(self, number: int, image: UInt8, size: int) -> UInt8:
        """The picture of this number, (size, size, 3), of the image of its frame."""
        seen = cut(image, self.views[number], size)
        return np.ascontiguousarray(seen[:, ::-1]) if self.mirrored else seen


def ways_of(first_frame: int, boxes: Float32, rate: float, count: int, rng: np.random.Generator) -> list[Way]:
    """`count` ways to look at a person in consecutive frames, `rate` a second; the first one is the robot's.

    boxes: (n, 4) x1 y1 x2 y2 pixels, from frame `first_frame` on. The other ways are mirrored every second time, begin
    anywhere, are quicker or slower, wider or closer, and their boxes are wrong as a detector's are.
    """
    squares = smoothed(boxes)
    ways = [_way(first_frame, squares, rate, LOOKS_A_SECOND, 0.0)]
    for number in range(1, count):
        pace = float(np.exp(rng.uniform(*np.log(PACES))))
        way = _way(first_frame, squares, rate, pace, float(rng.random()), float(rng.uniform(*MARGINS)))
        strength = float(rng.random())
        views = shaken(rng, way.views, MARGIN, strength)
        ways.append(Way(way.frames, tuple(views), mirrored=number % 2 == 1))
    return ways


def whole_ways_of(
    first_frame: int, count_frames: int, size: tuple[int, int], rate: float, count: int, rng: np.random.Generator
) -> list[Way]:
    """`count` ways to look at the whole picture (width, height) while somebody is in it; the first one is the robot's.

    The other ways are mirrored every second time, begin anywhere, are quicker or slower, and a little cropped.
    """
    whole = whole_view(size)
    numbers = _numbers(count_frames, rate, LOOKS_A_SECOND, 0.0)
    ways = [Way(tuple((first_frame + numbers).tolist()), (whole,) * len(numbers))]
    for number in range(1, count):
        pace = float(np.exp(rng.uniform(*np.log(PACES))))
        numbers = _numbers(count_frames, rate, pace, float(rng.random()))
        width, height = rng.uniform(SHOWN, 1) * np.array(size)
        x, y = rng.uniform(width / 2, size[0] - width / 2), rng.uniform(height / 2, size[1] - height / 2)
        view = View(float(x), float(y), float(width), float(height))
        ways.append(Way(tuple((first_frame + numbers).tolist()), (view,) * len(numbers), mirrored=number % 2 == 1))
    return ways


def _way(first_frame: int, boxes: Float32, rate: float, pace: float, begin: float, margin: float = MARGIN) -> Way:
    numbers = _numbers(len(boxes), rate, pace, begin)
    views = tuple(square_around(boxes[number], margin) for number in numbers)
    return Way(tuple((first_frame + numbers).tolist()), views)


def _numbers(n: int, rate: float, pace: float, begin: float) -> Int64:
    """Which of n frames are looked at. begin: 0..1, which part of a long stretch."""
    length = min(n, round(LONGEST * rate))
    step = max(1.0, rate / pace)
    offset = begin * (n - length) + (begin * step) % step
    return np.unique(np.arange(min(offset, n - 1), min(offset + length, n), step).astype(int))
