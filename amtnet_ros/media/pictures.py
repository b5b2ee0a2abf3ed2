"""Pictures for people's eyes: no wider than need be, and as JPEG."""

from __future__ import annotations

import cv2
import numpy as np

from amtnet_ros.contracts import UInt8

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
