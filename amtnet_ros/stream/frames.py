"""From the images of a camera to numbered frames: which are taken, by order, duplicates, rate and gaps; and where a
stream breaks off or begins anew."""

from __future__ import annotations

from enum import Enum

from amtnet_ros.contracts import Frame, UInt8
from amtnet_ros.stream.pairs import frames_between

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


DROPPED = frozenset({Admission.DUPLICATE, Admission.LATE, Admission.TOO_SOON})


class FrameStream:
    """Numbers the frames of one camera on the model's nominal time grid: a lost frame leaves a number out.

    rate: the model's nominal frames a second. max_frame_gap, reset_jump: seconds, see `FrameGate`; both may be set at
    any time. counters: images by what became of them (see `Admission`), since the start.

        stream = FrameStream(rate=30.0, max_frame_gap=0.5, reset_jump=1.0)
        admission, frame = stream.take(stamp, image)  # frame is None where the image is dropped
    """

    def __init__(self, rate: float, max_frame_gap: float, reset_jump: float) -> None:
        self.gate = FrameGate(rate, max_frame_gap, reset_jump)
        self.counters = {admission.value: 0 for admission in Admission}
        self._last: Frame | None = None

    def take(self, stamp: int, image: UInt8) -> tuple[Admission, Frame | None]:
        """The next image: stamp in nanoseconds, image (H, W, 3) uint8 RGB.

        An image of another size than the one before begins a new stream, as a clock that jumps back does.
        """
        admission = self.gate.admit(stamp)
        if self._last is not None and admission not in DROPPED and self._last.image.shape != image.shape:
            admission = Admission.RESTART
        self.counters[admission.value] += 1
        if admission in DROPPED:
            return admission, None
        if admission is Admission.RESTART:
            self.reset()
            self.gate.admit(stamp)
        number = 0
        if self._last is not None:
            number = self._last.index + frames_between(self._last.stamp, stamp, self.gate.rate)
        self._last = Frame(number, stamp, image)
        return admission, self._last

    def reset(self) -> None:
        """The next image is the first, and gets the number 0."""
        self.gate.reset()
        self._last = None
