"""Still pictures: out of bytes that may be anything, no wider than need be, and as JPEG."""

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


JPEG_QUALITY = 85


def fitted(image: UInt8, width: int) -> UInt8:
    """The image, (height, width, 3) uint8, itself, or a smaller copy of the same shape where it is wider than that."""
    if image.shape[1] <= width:
        return image
    height = round(image.shape[0] * width / image.shape[1])
    return np.asarray(cv2.resize(image, (width, height), interpolation=cv2.INTER_AREA), dtype=np.uint8)


def jpeg(image: UInt8, quality: int = JPEG_QUALITY) -> bytes:
    """An image, (height, width, 3) uint8 RGB, as the bytes of a JPEG file. quality: 1 to 100."""
    _, data = cv2.imencode(".jpg", cv2.cvtColor(image, cv2.COLOR_RGB2BGR), [cv2.IMWRITE_JPEG_QUALITY, quality])
    return data.tobytes()
