"""Adaptive delta: fewer pairs while the computer cannot keep up with the camera, more again when it can."""

from __future__ import annotations

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
