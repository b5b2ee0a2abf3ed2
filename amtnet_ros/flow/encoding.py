"""A flow field as an image: as the motion stream is fed with it, and in colour, for people."""

from __future__ import annotations

import cv2
import numpy as np

from amtnet_ros.contracts import Float32, UInt8
from amtnet_ros.errors import UserError

ZERO = 128
"""Grey level of no motion."""
GAIN = 16
"""Grey levels a pixel per frame; with 8 bits the range is -8 to just under 8 pixels per frame."""


def encode_flow(vectors: Float32) -> UInt8:
    """Encode (h, w, 2) float32 flow in pixels per nominal frame interval as (h, w, 3) uint8.

    Channels 128 + 16 u, 128 + 16 v, 128 + 16 |(u, v)|, rounded and clipped to 0..255, as the flow images of the
    paper's J-HMDB and UCF-101-24 are. Raises UserError for another shape, or where a vector is not finite.
    """
    if vectors.ndim != 3 or vectors.shape[2] != 2:
        raise UserError(f"flow: a field of shape {vectors.shape} cannot be encoded; give (h, w, 2)")
    if not np.isfinite(vectors).all():
        raise UserError("flow: the field holds values that are not finite; check the images, or use another engine")
    # Beyond 64 pixels all is clipped anyway, and OpenCV's rounding to integers stays defined.
    u, v = cv2.split(np.clip(vectors, -64, 64, dtype=np.float32))
    # Scales, shifts, rounds and clips in one pass.
    channels = [cv2.addWeighted(c, GAIN, c, 0, ZERO, dtype=cv2.CV_8U) for c in (u, v, cv2.magnitude(u, v))]
    return np.asarray(cv2.merge(channels), dtype=np.uint8)


def decode_flow(image: UInt8) -> Float32:
    """The (..., h, w, 2) float32 flow that an encoded image (..., h, w, 3) holds, to 1/32 pixel where not clipped."""
    return np.asarray((image[..., :2].astype(np.float32) - ZERO) / GAIN, dtype=np.float32)


def flow_scale(stamp_a: int, stamp_b: int, nominal_rate: float) -> float:
    """Factor that turns the displacement between two frames into pixels per nominal frame interval.

    stamp_a, stamp_b: nanoseconds of the earlier and the later frame. nominal_rate: frames a second of the video the
    model was trained on. At the nominal rate it is 1; at half of it, or with one frame lost, 1/2.
    Raises UserError unless time passes from a to b.
    """
    if stamp_b <= stamp_a:
        raise UserError(f"flow: stamps must increase, but {stamp_b} ns follows {stamp_a} ns")
    if not nominal_rate > 0:
        raise UserError(f"flow: the nominal rate must be positive, not {nominal_rate}")
    return 1e9 / ((stamp_b - stamp_a) * nominal_rate)


# Steps from each colour to the next around the wheel: red, yellow, green, cyan, blue, magenta, red.
_STEPS = (15, 6, 4, 11, 13, 6)
_CORNERS = ((255, 0, 0), (255, 255, 0), (0, 255, 0), (0, 255, 255), (0, 0, 255), (255, 0, 255), (255, 0, 0))


def colour_wheel() -> Float32:
    """The wheel's 55 colours, (55, 3) float32 in 0..255: red is motion to the right, then clockwise on the screen.

    Baker et al., "A Database and Evaluation Methodology for Optical Flow", 2011.
    """
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
