"""What a pair of frames shows: the images and flow images of one video, or of one with another's actor pasted in.

Copy-paste (Ghiasi et al., CVPR 2021) lays another clip's actor, cut out by its mask, over a pair: the network then has
to tell two actions apart by the actors, not by the place where each was filmed.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol

import cv2
import numpy as np

from amtnet_ros.contracts import Float32, Int64, UInt8
from amtnet_ros.data.annotations import AnnotatedVideo
from amtnet_ros.data.cache import VideoCache

Masks = Callable[[str], UInt8]
"""Name of a video → its actor's masks (T, h, w) uint8, at the flow's working resolution."""

TRIALS = 10
MOST_COVERED = 0.5
"""No actor may lose more than this share of its box, in either frame."""
LEAST_INSIDE = 0.5
"""At least this share of the pasted mask must stay in the picture."""


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
    """A cached video."""

    def __init__(self, cache: VideoCache, video: AnnotatedVideo) -> None:
        self._cache, self._video = cache, video
        self._frames = cache.frames(video)
        self.n_frames = video.n_frames
        self.size = (self._frames.shape[2], self._frames.shape[1])

    def frame(self, t: int) -> UInt8:
        return np.asarray(self._frames[t])

    def flow(self, t: int) -> UInt8:
        return np.asarray(self._cache.flows(self._video)[t])


class PastedScene:
    """A scene with another video's actor, cut out by its mask, laid over it; with the actor comes its flow.

    Frame t of the scene shows frame t + lag of the donor, whose first and last frame stand for those beyond its ends.
    masks: (T, h, w) uint8 of the donor, 0 or 1, in images of the scene's size.
    shift: (x, y) in pixels, how far the actor is moved from where it was filmed.
    """

    def __init__(self, scene: Scene, donor: Scene, masks: UInt8, lag: int, shift: tuple[int, int]) -> None:
        if donor.size != scene.size or masks.shape[:0:-1] != scene.size:
            raise ValueError(
                f"donor {donor.size} and masks {masks.shape[:0:-1]} must have the scene's size {scene.size}"
            )
        self._scene, self._donor, self._masks, self._lag, self._shift = scene, donor, masks, lag, shift
        self.n_frames, self.size = scene.n_frames, scene.size

    def frame(self, t: int) -> UInt8:
        return self._lay_over(self._scene.frame(t), self._donor.frame(self._donor_frame(t)), t)

    def flow(self, t: int) -> UInt8:
        return self._lay_over(self._scene.flow(t), self._donor.flow(self._donor_frame(t)), t)

    def _donor_frame(self, t: int) -> int:
        return min(max(t + self._lag, 0), self._donor.n_frames - 1)

    def _lay_over(self, image: UInt8, actor: UInt8, t: int) -> UInt8:
        cover = moved(self._masks[self._donor_frame(t)], self._shift)[..., None]
        return np.where(cover > 0, moved(actor, self._shift), image)


def moved(image: UInt8, shift: tuple[int, int]) -> UInt8:
    """An image (h, w, ...) shifted by (x, y) pixels in a picture of its size; zeros come in."""
    height, width = image.shape[:2]
    x, y = shift
    result = np.zeros_like(image)
    result[max(y, 0) : height + min(y, 0), max(x, 0) : width + min(x, 0)] = image[
        max(-y, 0) : height + min(-y, 0), max(-x, 0) : width + min(-x, 0)
    ]
    return result


@dataclass(frozen=True)
class Donor:
    """Where an actor comes from: its scene and masks, the frame that falls on the pair's first, and its micro-tube.

    boxes: (1, 2, 4) float32 in pixels of the scene. labels: (1,) int64.
    """

    scene: Scene
    masks: UInt8
    frame: int
    boxes: Float32
    labels: Int64


def paste(
    rng: np.random.Generator, scene: Scene, frames: tuple[int, int], boxes: Float32, labels: Int64, donor: Donor
) -> tuple[Scene, Float32, Int64]:
    """Lay a donor's actor over a scene at a random place.

    frames: the pair; boxes: (K, 2, 4) float32 in pixels of the scene; labels: (K,).
    Returns the scene with the actor in it, and boxes and labels with the actor's appended, around what can be seen of
    it; all as they were where no place was found that leaves every actor visible.
    """
    delta = frames[1] - frames[0]
    pair = [donor.masks[donor.frame + step] for step in (0, delta)]
    centre = (donor.boxes[0, 0, :2] + donor.boxes[0, 0, 2:]) / 2
    for _ in range(TRIALS):
        x, y = np.rint(rng.uniform((0, 0), scene.size) - centre).astype(int).tolist()
        placed = [moved(mask, (x, y)) for mask in pair]
        if any(new.sum() < max(1, LEAST_INSIDE * old.sum()) for new, old in zip(placed, pair, strict=True)):
            continue
        if any(_covered(boxes[:, k], placed[k]) > MOST_COVERED for k in (0, 1)):
            continue
        pasted = PastedScene(scene, donor.scene, donor.masks, donor.frame - frames[0], (x, y))
        seen = np.stack([_bounds(mask) for mask in placed])[None]
        return pasted, np.concatenate([boxes, seen]), np.concatenate([labels, donor.labels])
    return scene, boxes, labels


def _bounds(mask: UInt8) -> Float32:
    """The box (4,) around all of a mask (h, w) that is not empty."""
    x, y, width, height = cv2.boundingRect(mask)
    return np.array([x, y, x + width, y + height], dtype=np.float32)


def _covered(boxes: Float32, mask: UInt8) -> float:
    """The largest share of any box (K, 4) that a mask (h, w) of 0 and 1 covers."""
    shares = [0.0]
    for x1, y1, x2, y2 in np.rint(boxes).astype(int):
        inside = mask[max(y1, 0) : y2, max(x1, 0) : x2]
        shares.append(float(inside.mean()) if inside.size else 0.0)
    return max(shares)
