"""Where a scene is cut: from one image to the next, nothing is where it was."""

from __future__ import annotations

from typing import NamedTuple

import cv2
import numpy as np

from amtnet_ros.contracts import Float32, Frame, UInt8

LEAST_CORRELATION = 0.45
"""Of 4859 consecutive frames of J-HMDB clips none correlates below 0.52; of first frames of different clips, 99 in 100
correlate below 0.42."""
_THUMBNAIL = (32, 24)
_FINE_ENOUGH = 240
"""Rows and columns from which on a picture is thinned out before it is averaged."""
_LEAST_CONTRAST = 1.0
"""Standard deviation in grey levels below which a picture shows nothing."""


class Scened(NamedTuple):
    """A frame, and whether a new scene begins with it."""

    frame: Frame
    is_cut: bool


class SceneCuts:
    """Tells cuts from flashes: after a flash what was before goes on, after a cut it does not.

    A frame unlike the one before is therefore kept back until the next one comes: if that continues what was before,
    the frame in between is left out. A change of the light alone (a lamp that is switched on) is neither.

        for frame, is_cut in cuts.take(frame):
            ...
    """

    def __init__(self) -> None:
        self._scene: Float32 | None = None
        self._held: tuple[Frame, Float32] | None = None

    def take(self, frame: Frame) -> list[Scened]:
        """The next frame; returns the frames that are known to belong to a scene now, in order: none, one, or two."""
        picture = thumbnail(frame.image)
        before, held = self._scene, self._held
        if before is None or is_continued(before, picture):
            self._scene, self._held = picture, None
            return [Scened(frame, False)]
        if held is None:
            self._held = frame, picture
            return []
        if is_continued(held[1], picture):
            self._scene, self._held = picture, None
            return [Scened(held[0], True), Scened(frame, False)]
        self._scene, self._held = held[1], (frame, picture)
        return [Scened(held[0], True)]

    def reset(self) -> None:
        """The next frame is the first; one that is kept back is left out."""
        self._scene = self._held = None


def thumbnail(image: UInt8) -> Float32:
    """(24, 32) float32 grey, of (H, W, 3) uint8 RGB."""
    thin = 1 / max(1, min(image.shape[:2]) // _FINE_ENOUGH)  # OpenCV leaves pixels out three times faster than NumPy
    image = np.asarray(cv2.resize(image, None, fx=thin, fy=thin, interpolation=cv2.INTER_NEAREST), dtype=np.uint8)
    small = cv2.resize(image, _THUMBNAIL, interpolation=cv2.INTER_AREA)
    return np.asarray(cv2.cvtColor(small, cv2.COLOR_RGB2GRAY), dtype=np.float32)


def is_continued(before: Float32, after: Float32) -> bool:
    """Whether two thumbnails show the same scene, in whatever light: their correlation (Pearson's) is high enough.

    Two pictures without contrast do continue each other.
    """
    a, b = before - before.mean(), after - after.mean()
    if max(a.std(), b.std()) < _LEAST_CONTRAST:
        return True
    contrast = float(np.linalg.norm(a) * np.linalg.norm(b))
    return contrast > 0 and float((a * b).sum()) / contrast >= LEAST_CORRELATION
