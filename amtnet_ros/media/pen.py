"""Lines, trails and captions in a picture, in proportion to its size."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from itertools import pairwise

import cv2
import numpy as np

from amtnet_ros.contracts import Float32, UInt8

Rectangle = tuple[int, int, int, int]
"""Left, top, right, bottom in pixels of the picture."""

_HEAD = 3
"""A head is in the upper third of a person's box."""


class Plates:
    """Finds places for the captions of one picture, one after another.

    width, height: of the picture in pixels.
    """

    def __init__(self, width: int, height: int) -> None:
        self._width, self._height = width, height
        self._placed: list[Rectangle] = []
        self._heads: list[Rectangle] = []

    def keep_clear(self, boxes: Sequence[Rectangle]) -> None:
        """Whose heads are not to be hidden, as far as there is room."""
        self._heads = [(left, top, right, top + (bottom - top) // _HEAD) for left, top, right, bottom in boxes]

    def place(self, box: Rectangle, width: int, height: int) -> tuple[int, int]:
        """Left upper corner of a plate of that size for a box, inside the picture where it fits into it.

        Best is above the box, then below, then beside it; a place that covers another plate is the last resort, one
        that covers a head the last but one.
        """
        found = [self._inside(x, y, width, height) for x, y in self._candidates(box, width, height)]
        plates = [(x, y, x + width, y + height) for x, y in found]
        costs = [(_overlap(plate, self._placed), _overlap(plate, self._heads)) for plate in plates]
        best = min(range(len(found)), key=costs.__getitem__)  # of equal ones the first
        self._placed.append(plates[best])
        return found[best]

    def _candidates(self, box: Rectangle, width: int, height: int) -> Iterable[tuple[int, int]]:
        left, top, right, bottom = box
        columns = (left, right - width, (left + right - width) // 2)
        rows = (top - height, bottom + 1)
        yield from ((x, y) for y in rows for x in columns)
        yield from ((x, y) for y in (top, bottom - height) for x in (right + 1, left - width - 1))
        yield from ((left, y) for y in (bottom - height, top))
        for _, upper, _, lower in sorted(self._placed, key=lambda plate: abs(plate[1] - top)):
            yield from ((x, y) for y in (upper - height, lower) for x in columns)

    def _inside(self, x: int, y: int, width: int, height: int) -> tuple[int, int]:
        return max(0, min(x, self._width - width)), max(0, min(y, self._height - height))


def _overlap(plate: Rectangle, others: Iterable[Rectangle]) -> int:
    """Pixels of the plate that lie in others."""
    left, top, right, bottom = plate
    return sum(
        max(0, min(right, other[2]) - max(left, other[0])) * max(0, min(bottom, other[3]) - max(top, other[1]))
        for other in others
    )


Colour = tuple[int, int, int]

_FONT = cv2.FONT_HERSHEY_DUPLEX
_REFERENCE = 480  # the picture's shorter side in pixels at which lines are 2 pixels wide
_SMALLEST_LETTERS = 0.4  # OpenCV's font scale below which its letters run together
_WIDEST = (0.4, 0.6)  # of the picture's width; a caption that is wider is shortened, and once more


class Pen:
    """Draws in place, lines and letters in proportion to the picture."""

    def __init__(self, picture: UInt8, source_size: tuple[int, int], scale: float) -> None:
        self._picture = picture
        self._height, self._width = picture.shape[:2]
        self._zoom = (self._width / max(source_size[0], 1), self._height / max(source_size[1], 1))
        size = min(self._height, self._width) / _REFERENCE * scale
        self._line = max(1, round(2 * size))
        self._letters = max(_SMALLEST_LETTERS, 0.5 * size)
        self._stroke = max(1, round(self._letters * 1.5))
        self._plates = Plates(self._width, self._height)

    def _width_of(self, thin: bool) -> int:
        width: int = (self._line + 1) // 2 if thin else self._line
        return width

    def box(self, box: Float32, colour: Colour, thin: bool) -> None:
        left, top, right, bottom = self._pixels(box)
        cv2.rectangle(self._picture, (left, top), (right, bottom), colour, self._width_of(thin))

    def corners(self, box: Float32, colour: Colour, thin: bool) -> None:
        left, top, right, bottom = self._pixels(box)
        arm_x, arm_y = (right - left) // 4, (bottom - top) // 4
        for x, toward_x in ((left, arm_x), (right, -arm_x)):
            for y, toward_y in ((top, arm_y), (bottom, -arm_y)):
                cv2.line(self._picture, (x, y), (x + toward_x, y), colour, self._width_of(thin))
                cv2.line(self._picture, (x, y), (x, y + toward_y), colour, self._width_of(thin))

    def dashed_box(self, box: Float32, colour: Colour, thin: bool) -> None:
        left, top, right, bottom = self._pixels(box)
        width = self._width_of(thin)
        dash = 6 * self._line
        for x in range(left, right, 2 * dash):
            for y in (top, bottom):
                cv2.line(self._picture, (x, y), (min(x + dash, right), y), colour, width)
        for y in range(top, bottom, 2 * dash):
            for x in (left, right):
                cv2.line(self._picture, (x, y), (x, min(y + dash, bottom)), colour, width)

    def trail(self, way: Float32, colour: Colour, thin: bool) -> None:
        """A way, (K, 2) source pixels, thinner the longer ago."""
        places = [
            (round(x), min(round(y), self._height - 1)) for x, y in (way * np.array(self._zoom, np.float32)).tolist()
        ]
        for step, (start, end) in enumerate(pairwise(places), start=1):
            width = 1 if thin else max(1, round(1.5 * self._line * step / len(places)))
            cv2.line(self._picture, start, end, colour, width, cv2.LINE_AA)

    def keep_clear(self, boxes: Sequence[Float32]) -> None:
        """Captions will not hide the heads of those in the boxes, as far as there is room."""
        self._plates.keep_clear([self._pixels(box) for box in boxes])

    def label(self, names: Sequence[str], box: Float32, colour: Colour, strength: float) -> None:
        """A caption on a coloured plate near the box, clear of the other captions and of heads.

        names: the whole caption, and two shorter ones; the first that leaves room in the picture is written, else the
        last, or its beginning.
        """
        pad = max(2, self._line)
        shares = zip(names, _WIDEST, strict=False)
        fitting = (name for name, share in shares if self._size(name)[0] <= share * self._width)
        name = next(fitting, names[-1])
        while self._size(name)[0] > self._width - 2 * pad and len(name) > 1:
            name = name[:-1]
        text_width, text_height, base = self._size(name)
        x, y = self._plates.place(self._pixels(box), text_width + 2 * pad, text_height + base + 2 * pad)
        plate = (x, y, x + text_width + 2 * pad, y + text_height + base + 2 * pad)
        with self._faded(plate, strength):
            cv2.rectangle(self._picture, plate[:2], plate[2:], colour, cv2.FILLED)
        origin = (x + pad, y + pad + text_height)
        cv2.putText(self._picture, name, origin, _FONT, self._letters, _ink(colour), self._stroke, cv2.LINE_AA)

    def _size(self, text: str) -> tuple[int, int, int]:
        """Width and height of the letters, and how far they reach below the line."""
        (width, height), base = cv2.getTextSize(text, _FONT, self._letters, self._stroke)
        return width, height, base

    @contextmanager
    def faded(self, box: Float32, strength: float) -> Iterator[None]:
        """What is drawn inside, at the box, is seen through: 0 is invisible, 1 opaque."""
        left, top, right, bottom = self._pixels(box)
        edge = self._line
        with self._faded((left - edge, top - edge, right + edge, bottom + edge), strength):
            yield

    @contextmanager
    def _faded(self, area: Rectangle, strength: float) -> Iterator[None]:
        left, top, right, bottom = area
        region = self._picture[max(top, 0) : bottom + 1, max(left, 0) : right + 1]
        before = region.copy() if strength < 1 else None
        yield
        if before is not None:
            region[:] = cv2.addWeighted(region, strength, before, 1 - strength, 0)

    def _pixels(self, box: Float32) -> Rectangle:
        """The pixels of the box's border, its maximum being exclusive, kept inside the picture."""
        x1, y1, x2, y2 = (round(float(value) * zoom) for value, zoom in zip(box, self._zoom * 2, strict=True))
        return (
            min(max(x1, 0), self._width - 1),
            min(max(y1, 0), self._height - 1),
            min(max(x2 - 1, 0), self._width - 1),
            min(max(y2 - 1, 0), self._height - 1),
        )


def _ink(plate: Colour) -> Colour:
    """Black or white, whichever can be read on the plate (ITU-R BT.601 luma)."""
    luma = 0.299 * plate[0] + 0.587 * plate[1] + 0.114 * plate[2]
    return (0, 0, 0) if luma > 128 else (255, 255, 255)
