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
    """

    def __init__(self, rate: float, delta: int) -> None:
        self.rate, self.delta = rate, delta
        self._last: int | None = None

    def is_key(self, stamp: int) -> bool:
        """Whether the frame with this stamp (ns) is the next key frame; if so, it is remembered as such."""
        if self._last is not None and stamp - self._last < (self.delta - 0.5) * SECOND / self.rate:
            return False
        self._last = stamp
        return True

    def reset(self) -> None:
        """The next frame is a key frame."""
        self._last = None
