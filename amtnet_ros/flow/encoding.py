"""A flow field as a three-channel image: what the motion stream is fed with."""

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
