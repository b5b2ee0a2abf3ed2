"""Which of the taken frames make pairs, (t, t + delta), (t + delta, t + 2 delta), and so on, by stamps; and how large
delta is while the computer cannot keep up with the camera."""

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


FULL = 0.9
"""Delta grows when the work would fill more than this share of the time there is."""
RELAXED = 0.75
"""Delta falls back a step when the work would fill no more than this share after it."""
GROW_AFTER = 3
SHRINK_AFTER = 15
"""So many key frames in a row must ask for a change: a single slow one changes nothing, and growing comes first."""


class AdaptiveDelta:
    """Chooses delta from what the steps cost.

    Some work is done for every frame (flow), the rest for key frames only (encode, detect, link). With pairs `delta`
    frames apart a frame costs `every + key / delta` on average, and this must fit into the time between two frames.

    interval: seconds between two frames at the model's nominal rate. base: the least delta, which is wanted.
    largest: the greatest; nothing adapts where it is not above the base.
    delta: what to use now.
    """

    def __init__(self, interval: float, base: int, largest: int) -> None:
        self.interval, self.delta = interval, base
        self.configure(base, largest)

    def configure(self, base: int, largest: int) -> None:
        """Other limits; the present delta is kept within them."""
        self.base, self.largest = base, max(base, largest)
        self.delta = min(max(self.delta, self.base), self.largest)
        self._overloaded = self._idle = 0

    def observe(self, every: float, key: float) -> int:
        """Take note of what a key frame took, in seconds; returns the delta to use from here on."""
        if self._load(every, key, self.delta) > FULL:
            self._overloaded, self._idle = self._overloaded + 1, 0
        elif self.delta > self.base and self._load(every, key, self.delta - 1) <= RELAXED:
            self._overloaded, self._idle = 0, self._idle + 1
        else:
            self._overloaded = self._idle = 0
        if self._overloaded >= GROW_AFTER:
            self._change_to(self._least(every, key))
        elif self._idle >= SHRINK_AFTER:
            self._change_to(self.delta - 1)
        return self.delta

    def _load(self, every: float, key: float, delta: int) -> float:
        """The share of the time that the work fills.

        Where flow alone takes more than half of it, frames get lost whatever delta is; the time counted with is then
        twice the flow's, so that delta does not run to its limit for nothing.
        """
        return (every + key / delta) / max(self.interval, 2 * every)

    def _least(self, every: float, key: float) -> int:
        """The least delta above the present one that relieves the load; the largest if none does."""
        candidates = range(self.delta + 1, self.largest)
        return next((delta for delta in candidates if self._load(every, key, delta) <= FULL), self.largest)

    def _change_to(self, delta: int) -> None:
        self.delta = delta
        self._overloaded = self._idle = 0
