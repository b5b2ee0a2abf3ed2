"""Copy-paste: another clip's actor, cut out by its mask, laid into a pair of frames (Ghiasi et al., CVPR 2021).

The network then has to tell two actions apart by the actors, not by the place where each was filmed.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import cv2
import numpy as np

from amtnet_ros.contracts import Float32, Int64, UInt8
from amtnet_ros.data.augmentation import AugmentationOptions
from amtnet_ros.data.scene import PastedScene, Place, Scene, moved

Masks = Callable[[str], UInt8]
"""Name of a video → its actor's masks (T, h, w) uint8, at the flow's working resolution."""

TRIALS = 10
MOST_COVERED = 0.5
"""No actor may lose more than this share of its box, in either frame."""
_LEAST_INSIDE = 0.5
"""At least this share of the pasted mask must stay in the picture."""


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
    rng: np.random.Generator,
    scene: Scene,
    frames: tuple[int, int],
    boxes: Float32,
    labels: Int64,
    donor: Donor,
    options: AugmentationOptions,
) -> tuple[Scene, Float32, Int64]:
    """Lay a donor's actor over a scene at a random place, its shape changed as the options say.

    frames: the pair; boxes: (K, 2, 4) float32 in pixels of the scene; labels: (K,).
    Returns the scene with the actor in it, and boxes and labels with the actor's appended, around what can be seen of
    it; all as they were where no place was found that leaves every actor visible.
    """
    delta = frames[1] - frames[0]
    pair = [donor.masks[donor.frame + step] for step in (0, delta)]
    for _ in range(TRIALS):
        place = _draw_place(rng, scene.size, donor, options)
        placed = [(moved(255 * mask, place) > 127).astype(np.uint8) for mask in pair]
        least = _LEAST_INSIDE * place.scale**2
        if any(new.sum() < max(1, least * old.sum()) for new, old in zip(placed, pair, strict=True)):
            continue
        if any(_covered(boxes[:, k], placed[k]) > MOST_COVERED for k in (0, 1)):
            continue
        pasted = PastedScene(scene, donor.scene, donor.masks, donor.frame - frames[0], place)
        seen = np.stack([_bounds(mask) for mask in placed])[None]
        return pasted, np.concatenate([boxes, seen]), np.concatenate([labels, donor.labels])
    return scene, boxes, labels


def _draw_place(rng: np.random.Generator, size: tuple[int, int], donor: Donor, options: AugmentationOptions) -> Place:
    """The actor's centre comes to lie anywhere in the picture."""

    def drawn(limit: float) -> float:
        return float(np.exp(rng.uniform(-1, 1) * np.log(limit))) if limit > 1 else 1.0

    scale, stretch = drawn(options.paste_growth), drawn(options.paste_stretch)
    turn = float(np.radians(rng.uniform(-1, 1) * options.paste_turn)) if options.paste_turn else 0.0
    shape = Place(0, 0, scale, stretch, turn)
    centre = (donor.boxes[0, 0, :2] + donor.boxes[0, 0, 2:]) / 2
    x, y = rng.uniform((0, 0), size) - shape.matrix() @ centre
    return shape._replace(x=float(np.rint(x)), y=float(np.rint(y)))


def _bounds(mask: UInt8) -> Float32:
    """The box (4,) around all of a mask (h, w) that is not empty."""
    x, y, width, height = cv2.boundingRect(mask)
    return np.array([x, y, x + width, y + height], dtype=np.float32)


def _covered(boxes: Float32, mask: UInt8) -> float:
    """The largest share of any box (K, 4) that a mask (h, w) covers."""
    shares = [0.0]
    for x1, y1, x2, y2 in np.rint(boxes).astype(int):
        inside = mask[max(y1, 0) : y2, max(x1, 0) : x2]
        shares.append(float(inside.mean()) if inside.size else 0.0)
    return max(shares)
