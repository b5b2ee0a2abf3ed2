"""When and which way up the frames of a video are to be shown."""

from __future__ import annotations

from collections.abc import Sequence
from fractions import Fraction
from itertools import pairwise
from typing import TYPE_CHECKING, Any

import numpy as np

from amtnet_ros.contracts import UInt8

if TYPE_CHECKING:
    import av

SECOND = 1_000_000_000
_BEGINS_ANEW = SECOND
"""Times that fall back so far are those of a new beginning, as where two videos were joined."""
_LONGEST_HOLE = 24 * 3600 * SECOND
"""A time further ahead is a mistake."""


class PresentationClock:
    """Stamps of a video's frames: its own times where they exist and grow, else as its nominal rate says.

    rate: nominal frames a second.
    """

    def __init__(self, rate: float) -> None:
        self._rate = rate
        self._origin: Fraction | None = None  # the time (s) at which the stamp is 0
        self._anchor, self._since = 0, -1  # the last stamp that came from a time, and frames since
        self._last = -1

    def stamp(self, time: Fraction | None) -> int:
        """The next frame's, in nanoseconds, greater than the one before. time: seconds; None where there is none."""
        if time is not None and self._origin is None:
            self._origin = time - Fraction(self._nominal(self._since + 1), SECOND)
        told = None if time is None or self._origin is None else round((time - self._origin) * SECOND)
        if told is not None and self._last < told <= max(self._last, 0) + _LONGEST_HOLE:
            self._anchor, self._since, self._last = told, 0, told
            return told
        self._since += 1
        self._last = max(self._last + 1, self._nominal(self._since))
        if time is not None and told is not None and not 0 <= self._last - told < _BEGINS_ANEW:
            self._origin = time - Fraction(self._last, SECOND)
        return self._last

    def skip(self) -> None:
        """A frame is lost."""
        self._since += 1

    def _nominal(self, since: int) -> int:
        return self._anchor + round(since / self._rate * 1e9)


def usual_rate(times: Sequence[Fraction]) -> float | None:
    """Frames a second by the median of the steps between presentation times (s); None where none grows."""
    steps = [float(after - before) for before, after in pairwise(times) if after > before]
    return 1.0 / float(np.median(steps)) if steps else None


def upright(frame: av.VideoFrame) -> UInt8:
    """The frame as (height, width, 3) uint8 RGB, turned and mirrored as the file's display matrix says.

    Phones record lying down, and front cameras mirrored.
    """
    image = np.asarray(frame.to_ndarray(format="rgb24"), dtype=np.uint8)
    side_data: Any = frame.side_data
    for side in side_data:
        if side.type.name == "DISPLAYMATRIX":
            return _placed(image, *np.frombuffer(bytes(side), dtype="=i4")[[0, 1, 3, 4]].tolist())
    return image


def _placed(image: UInt8, a: int, b: int, c: int, d: int) -> UInt8:
    """The image where a display matrix puts it: column p, row q go to column a·p + c·q, row b·p + d·q.

    Of turns that are none by quarters the nearest is taken.
    """
    if abs(a) + abs(d) >= abs(b) + abs(c):
        right, down = a, d
    else:
        image, right, down = image.swapaxes(0, 1), c, b
    return np.ascontiguousarray(image[:: -1 if down < 0 else 1, :: -1 if right < 0 else 1])
