"""Which frames of a camera are taken: order, duplicates, rate, gaps, and clocks that jump."""

from __future__ import annotations

from enum import Enum

SECOND = 1_000_000_000
EARLY_SHARE = 0.75
"""A frame that follows the last by less than this share of the nominal interval is left out (a 60 Hz camera at a
nominal 30 Hz delivers every other frame; jitter of a quarter of the interval is allowed)."""


class Admission(Enum):
    """What becomes of a frame."""

    TAKEN = "taken"
    DUPLICATE = "duplicate"
    """Same stamp as the last one taken: dropped."""
    LATE = "late"
    """Older than the last one by less than `reset_jump`: dropped."""
    TOO_SOON = "too_soon"
    """The camera is faster than the model's nominal rate: dropped."""
    GAP = "gap"
    """Taken, but too long after the last one to be paired or to have flow with it."""
    RESTART = "restart"
    """Taken as the first of a new stream: the clock fell back by `reset_jump` or more (a bag that loops)."""


class FrameGate:
    """Judges frames by their stamps alone.

    rate: the model's nominal frames a second. max_frame_gap: seconds between two frames beyond which they have nothing
    to do with each other. reset_jump: seconds that a stamp must fall back for a new start.
    """

    def __init__(self, rate: float, max_frame_gap: float, reset_jump: float) -> None:
        self.rate, self.max_frame_gap, self.reset_jump = rate, max_frame_gap, reset_jump
        self._last: int | None = None

    def admit(self, stamp: int) -> Admission:
        """Judge a frame by its stamp in nanoseconds, and remember it if it is taken."""
        judgement = self._judge(stamp)
        if judgement in (Admission.TAKEN, Admission.GAP, Admission.RESTART):
            self._last = stamp
        return judgement

    def reset(self) -> None:
        """The next frame is the first."""
        self._last = None

    def _judge(self, stamp: int) -> Admission:
        if self._last is None:
            return Admission.TAKEN
        ahead = stamp - self._last
        if ahead == 0:
            return Admission.DUPLICATE
        if ahead < 0:
            return Admission.RESTART if -ahead >= self.reset_jump * SECOND else Admission.LATE
        if ahead < EARLY_SHARE * SECOND / self.rate:
            return Admission.TOO_SOON
        return Admission.GAP if ahead > self.max_frame_gap * SECOND else Admission.TAKEN
