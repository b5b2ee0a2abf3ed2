"""Where captions lie: near their boxes, clear of each other and of people's heads."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

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
