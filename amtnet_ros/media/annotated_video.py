"""Images and the tubes found in them, brought together again and written as a video."""

from __future__ import annotations

from collections import deque
from collections.abc import Mapping

from amtnet_ros.contracts import TubeUpdate, UInt8
from amtnet_ros.media.drawing import Style, TubePainter
from amtnet_ros.media.pictures import fitted
from amtnet_ros.media.video import VideoWriter

DELAY = 10
"""Images that the video lags behind: so long a gap in a tube is still drawn with its interpolated boxes."""
PATIENCE = 60
"""Images that wait for their tubes before they are written without."""
_LEAST_STEP = 0.75 / 60
"""Seconds between two images, at least: of a faster camera's some are left out, as few players show more than 60."""


class AnnotatedVideo:
    """Brings images and the tubes found in them together again, and writes them.

    The detector answers some frames late; until then the images wait, resized to what will be written.
    """

    def __init__(self, writer: VideoWriter, width: int, style: Style | None = None) -> None:
        """width: of the video in pixels, at most."""
        self._writer = writer
        self._width = width
        self._waiting: deque[tuple[int, UInt8]] = deque()
        self.labels: dict[int, str] = {}
        self._painter = TubePainter(self.labels, style, DELAY)
        self._newest_tubes = -1
        self._clock: int | None = None
        self._seconds, self._last_written = 0.0, -1.0
        self.written = 0

    def add_image(self, stamp: int, image: UInt8) -> None:
        """The next image, (height, width, 3) uint8 RGB, of that stamp (ns)."""
        self._waiting.append((stamp, fitted(image, self._width)))
        while len(self._waiting) > DELAY:
            if self._waiting[0][0] > self._newest_tubes and len(self._waiting) <= PATIENCE:
                return
            self._write(*self._waiting.popleft())

    def add_tubes(self, update: TubeUpdate, labels: Mapping[int, str]) -> None:
        """The next step's tubes; labels: the names of their classes, by label."""
        self.labels.update(labels)
        self._painter.update(update)
        self._newest_tubes = update.stamp

    def finish(self) -> None:
        """Write what still waits."""
        while self._waiting:
            self._write(*self._waiting.popleft())

    def _write(self, stamp: int, image: UInt8) -> None:
        # Where the stamps jump back (a loop) the video goes on.
        if self._clock is not None:
            self._seconds += max(stamp - self._clock, 0) / 1e9
        self._clock = stamp
        if self._seconds - self._last_written < _LEAST_STEP:
            return
        self._last_written = self._seconds
        self._writer.write(self._painter.draw(image, stamp), self._seconds)
        self.written += 1
