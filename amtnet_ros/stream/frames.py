"""From the images of a camera to numbered frames: which are taken, and where a stream breaks off or begins anew."""

from __future__ import annotations

from amtnet_ros.contracts import Frame, UInt8
from amtnet_ros.stream.gate import Admission, FrameGate
from amtnet_ros.stream.pairs import frames_between

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
