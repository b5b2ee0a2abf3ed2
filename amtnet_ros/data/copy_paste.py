"""Copy-paste: another clip's actor, cut out by its mask, laid into a pair of frames (Ghiasi et al., CVPR 2021).

The network then has to tell two actions apart by the actors, not by the place where each was filmed.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from amtnet_ros.contracts import Float32, Int64, UInt8
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
    growth: float = 1.0,
) -> tuple[Scene, Float32, Int64]:
    """Lay a donor's actor over a scene at a random place, up to `growth` times as large or as small.

    frames: the pair; boxes: (K, 2, 4) float32 in pixels of the scene; labels: (K,).
    Returns the scene with the actor in it, and boxes and labels with the actor's appended; all as they were where no
    place was found that leaves every actor visible.
    """
    width, height = scene.size
    delta = frames[1] - frames[0]
    pair = [donor.masks[donor.frame + step] for step in (0, delta)]
    for _ in range(TRIALS):
        scale = float(np.exp(rng.uniform(-1, 1) * np.log(growth))) if growth > 1 else 1.0
        centre = scale * (donor.boxes[0, 0, :2] + donor.boxes[0, 0, 2:]) / 2
        x, y = (int(v) for v in np.rint(rng.uniform((0, 0), (width, height)) - centre))
        place = Place(x, y, scale)
        placed = [(moved(255 * mask, place) > 127).astype(np.uint8) for mask in pair]
        if any(new.sum() < _LEAST_INSIDE * scale**2 * old.sum() for new, old in zip(placed, pair, strict=True)):
            continue
        if any(_covered(boxes[:, k], placed[k]) > MOST_COVERED for k in (0, 1)):
            continue
        limit = np.array([width, height] * 2, dtype=np.float32)
        laid = np.clip(scale * donor.boxes + np.array([x, y, x, y], dtype=np.float32), 0, limit).astype(np.float32)
        pasted = PastedScene(scene, donor.scene, donor.masks, donor.frame - frames[0], place)
        return pasted, np.concatenate([boxes, laid]), np.concatenate([labels, donor.labels])
    return scene, boxes, labels


def _covered(boxes: Float32, mask: UInt8) -> float:
    """The largest share of any box (K, 4) that a mask (h, w) covers."""
    shares = [0.0]
    for x1, y1, x2, y2 in np.rint(boxes).astype(int):
        inside = mask[max(y1, 0) : y2, max(x1, 0) : x2]
        shares.append(float(inside.mean()) if inside.size else 0.0)
    return max(shares)
