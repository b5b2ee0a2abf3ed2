"""What can be seen around a pair of frames: images and flow images of one video, or of two laid over each other."""

from __future__ import annotations

from typing import NamedTuple, Protocol

import cv2
import numpy as np
from numpy.typing import NDArray

from amtnet_ros.contracts import UInt8
from amtnet_ros.data.annotations import AnnotatedVideo
from amtnet_ros.data.cache import VideoCache
from amtnet_ros.data.repeats import near_repeats, repaired_flow
from amtnet_ros.flow.encoding import ZERO


class Scene(Protocol):
    """n_frames: of the video. size: (width, height) of the images in pixels."""

    n_frames: int
    size: tuple[int, int]

    def frame(self, t: int) -> UInt8:
        """(h, w, 3) uint8 RGB."""
        ...

    def flow(self, t: int) -> UInt8:
        """(h, w, 3) uint8, the flow image of frame t."""
        ...


class VideoScene:
    """A cached video; repair: spread the motion after near-repeated frames (see data.repeats)."""

    def __init__(self, cache: VideoCache, video: AnnotatedVideo, repair: bool = False) -> None:
        self._cache, self._video = cache, video
        self._frames = cache.frames(video)
        self._repeats = near_repeats(self._frames) if repair else None
        self.n_frames = video.n_frames
        self.size = (self._frames.shape[2], self._frames.shape[1])

    def frame(self, t: int) -> UInt8:
        return np.asarray(self._frames[t])

    def flow(self, t: int) -> UInt8:
        flows = self._cache.flows(self._video)
        return np.asarray(flows[t]) if self._repeats is None else repaired_flow(flows, self._repeats, t)


class Place(NamedTuple):
    """How a picture is laid over another: turned by `turn` radians (clockwise as seen) after it has grown.

    x, y: where its origin, the upper left corner, goes, in pixels; whole ones where nothing else changes.
    scale: growth of its area's side; stretch: width grows by so much more, height by so much less.
    """

    x: float
    y: float
    scale: float = 1.0
    stretch: float = 1.0
    turn: float = 0.0

    @property
    def shifts_only(self) -> bool:
        return self[2:] == (1.0, 1.0, 0.0)

    def matrix(self) -> NDArray[np.float64]:
        """(2, 2) float64: what becomes of a vector."""
        sine, cosine = np.sin(self.turn), np.cos(self.turn)
        turned = np.array([[cosine, -sine], [sine, cosine]])
        return np.asarray(turned @ np.diag([self.scale * self.stretch, self.scale / self.stretch]))


class PastedScene:
    """A scene with another video's actor cut out by its mask and laid over it; its flow grows as the actor does.

    frame t of the scene shows frame t + lag of the donor, whose first and last frame stand for those beyond its ends.
    masks: (T, h, w) uint8 of the donor, 0 or 1, in images of the scene's size.
    """

    def __init__(self, scene: Scene, donor: Scene, masks: UInt8, lag: int, place: Place) -> None:
        if donor.size != scene.size or masks.shape[:0:-1] != scene.size:
            raise ValueError(
                f"donor {donor.size} and masks {masks.shape[:0:-1]} must have the scene's size {scene.size}"
            )
        self._scene, self._donor, self._masks, self._lag, self._place = scene, donor, masks, lag, place
        self.n_frames, self.size = scene.n_frames, scene.size

    def frame(self, t: int) -> UInt8:
        return self._lay_over(self._scene.frame(t), self._donor.frame(self._donor_frame(t)), t)

    def flow(self, t: int) -> UInt8:
        flow = self._donor.flow(self._donor_frame(t))
        return self._lay_over(self._scene.flow(t), flow if self._place.shifts_only else carried(flow, self._place), t)

    def _donor_frame(self, t: int) -> int:
        return min(max(t + self._lag, 0), self._donor.n_frames - 1)

    def _lay_over(self, image: UInt8, actor: UInt8, t: int) -> UInt8:
        cover = moved(255 * self._masks[self._donor_frame(t)], self._place)[..., None]
        laid = moved(actor, self._place)
        if self._place.shifts_only:
            return np.where(cover > 0, laid, image)
        share = cover.astype(np.float32) / 255  # between its pixels a resampled mask is neither
        return np.asarray(np.rint(image + share * (laid.astype(np.float32) - image)), dtype=np.uint8)


def moved(image: UInt8, place: Place) -> UInt8:
    """An image (h, w, ...) as it lies in a picture of its size; zeros come in. Bilinear, but for mere shifts."""
    height, width = image.shape[:2]
    if not place.shifts_only:
        matrix, half = place.matrix(), np.array([0.5, 0.5])
        # Pixel centres lie at +0.5: out + 0.5 = matrix @ (in + 0.5) + origin.
        affine = np.column_stack([matrix, matrix @ half + place[:2] - half])
        return np.asarray(cv2.warpAffine(image, affine, (width, height), flags=cv2.INTER_LINEAR), dtype=np.uint8)
    x, y = int(place.x), int(place.y)
    result = np.zeros_like(image)
    result[max(y, 0) : height + min(y, 0), max(x, 0) : width + min(x, 0)] = image[
        max(-y, 0) : height + min(-y, 0), max(-x, 0) : width + min(-x, 0)
    ]
    return result


def carried(flow: UInt8, place: Place) -> UInt8:
    """An (h, w, 3) uint8 flow image, pixels where they were, of what moves as a picture laid at `place` does.

    The magnitude grows by the scale, which lies between the growth of vectors in either direction.
    """
    linear = np.eye(3) * place.scale
    linear[:2, :2] = place.matrix()
    zero = np.full(3, float(ZERO))
    return np.asarray(cv2.transform(flow, np.column_stack([linear, zero - linear @ zero])), dtype=np.uint8)
