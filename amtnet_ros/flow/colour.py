"""Flow fields in colour: the wheel of Baker et al., "A Database and Evaluation Methodology for Optical Flow"."""

from __future__ import annotations

import cv2
import numpy as np

from amtnet_ros.contracts import Float32, UInt8

# Steps from each colour to the next around the wheel: red, yellow, green, cyan, blue, magenta, red.
_STEPS = (15, 6, 4, 11, 13, 6)
_CORNERS = ((255, 0, 0), (255, 255, 0), (0, 255, 0), (0, 255, 255), (0, 0, 255), (255, 0, 255), (255, 0, 0))


def colour_wheel() -> Float32:
    """The wheel's 55 colours, (55, 3) float32 in 0..255: red is motion to the right, then clockwise on the screen."""
    parts = [
        np.floor(np.linspace(start, end, steps, endpoint=False))
        for start, end, steps in zip(_CORNERS[:-1], _CORNERS[1:], _STEPS, strict=True)
    ]
    return np.concatenate(parts).astype(np.float32)


def flow_to_colour(vectors: Float32, longest: float = 8.0) -> UInt8:
    """(h, w, 2) float32 flow → (h, w, 3) uint8 RGB: hue is direction, white is rest.

    longest: pixels; vectors so long have full saturation, longer ones are darkened.
    """
    scaled = vectors / np.float32(longest)
    length = np.hypot(scaled[..., 0], scaled[..., 1])[..., None]
    wheel = colour_wheel()
    position = (np.arctan2(-scaled[..., 1], -scaled[..., 0]) / np.pi + 1) / 2 * (len(wheel) - 1)
    below = np.floor(position).astype(int)
    share = (position - below)[..., None].astype(np.float32)
    hue = (1 - share) * wheel[below] + share * wheel[(below + 1) % len(wheel)]
    colour = np.where(length <= 1, 255 - length * (255 - hue), hue * 0.75)
    return np.asarray(np.floor(colour), dtype=np.uint8)


def legend(side: int) -> UInt8:
    """The wheel as a disc, (side, side, 3) uint8 RGB: the colour at a place means motion from the centre to there."""
    radius = (side - 1) / 2
    y, x = np.mgrid[0:side, 0:side].astype(np.float32)
    vectors = np.stack([x - radius, y - radius], axis=-1)
    disc = flow_to_colour(vectors, longest=radius)
    disc[np.hypot(vectors[..., 0], vectors[..., 1]) > radius] = 255
    return disc


def picture(image: UInt8, vectors: Float32, longest: float = 8.0) -> UInt8:
    """A frame and its flow side by side, (h, 2w, 3) uint8 RGB, with the wheel in the corner.

    image: (H, W, 3) uint8 RGB, resized to the flow's size.
    """
    height, width = vectors.shape[:2]
    flow = flow_to_colour(vectors, longest)
    side = max(min(height, width) // 6, 8)
    flow[-side:, -side:] = legend(side)
    frame = cv2.resize(image, (width, height), interpolation=cv2.INTER_AREA)
    return np.asarray(np.concatenate([frame, flow], axis=1), dtype=np.uint8)
