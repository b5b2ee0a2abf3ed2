"""Which of the taken frames make pairs: (t, t + delta), (t + delta, t + 2 delta), and so on, by stamps."""

from __future__ import annotations

SECOND = 1_000_000_000


def frames_between(first: int, second: int, rate: float) -> int:
    """The distance of two stamps (ns) in frames at `rate` frames a second, at least 1."""
    return max(1, round((second - first) * rate / SECOND))


class PairMaker:
    """Chooses the key frames: those that end one pair and begin the next.

    Delta counts frames at the nominal rate, so the next key frame is the first one whose stamp lies at least
    `delta - 1/2` nominal intervals after the last key frame's, whatever the camera's rate or losses.

    by_clock: a delta above 1 divides the camera's time itself instead, and a key frame is the first in each part: from
    the second on it does not matter which frame was the first. A delta of 1 has nothing to choose.
    """

    def __init__(self, rate: float, delta: int, by_clock: bool = False) -> None:
        self.rate, self.delta, self.by_clock = rate, delta, by_clock
        self._last: int | None = None

    def is_key(self, stamp: int) -> bool:
        """Whether the frame with this stamp (ns) is the next key frame; if so, it is remembered as such."""
        if self._last is not None and not self._is_due(self._last, stamp):
            return False
        self._last = stamp
        return True

    def reset(self) -> None:
        """The next frame is a key frame."""
        self._last = None

    def _is_due(self, last: int, stamp: int) -> bool:
        interval = SECOND / self.rate
        if self.by_clock and self.delta > 1:
            part, half = self.delta * interval, interval / 2
            return (last + half) // part != (stamp + half) // part
        return stamp - last >= (self.delta - 0.5) * interval
