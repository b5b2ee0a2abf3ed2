"""Still pictures out of bytes that may be anything."""

from __future__ import annotations

from typing import Any

import cv2
import numpy as np

from amtnet_ros.contracts import UInt8

_JPEG = b"\xff\xd8"
_MOST_PER_BYTE = 1024
"""Pixels in a byte of JPEG, at most: a block of 64 costs a bit in a progressive file. Of more, most is not there, and
the decoder has painted it grey."""


def decoded(data: Any, upright: bool = True) -> UInt8 | None:
    """A JPEG, PNG, BMP, TIFF, WebP … as (height, width, 3) uint8 RGB; None where it cannot be decoded.

    data: bytes, or what has a buffer of bytes. upright: turn it as its EXIF data say. No more than 2^26 pixels are
    decoded (see amtnet_ros/__init__.py), whatever size it claims.
    """
    buffer = np.frombuffer(data, dtype=np.uint8)
    flags = cv2.IMREAD_COLOR if upright else cv2.IMREAD_COLOR | cv2.IMREAD_IGNORE_ORIENTATION
    try:
        image = cv2.imdecode(buffer, flags) if buffer.size else None
    except (cv2.error, MemoryError):
        return None
    if image is None:
        return None
    if bytes(buffer[:2]) == _JPEG and image.shape[0] * image.shape[1] > _MOST_PER_BYTE * buffer.size:
        return None
    return np.asarray(cv2.cvtColor(image, cv2.COLOR_BGR2RGB), dtype=np.uint8)
