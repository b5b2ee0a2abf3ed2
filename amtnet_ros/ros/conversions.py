"""sensor_msgs images to RGB arrays and back.

The converter is ours (`media.encodings`), so that the package works where cv_bridge is missing or was built against
another NumPy; where cv_bridge works it takes the images that it reads aright, with the same result.
"""

from __future__ import annotations

import array
import functools
from typing import Any

import numpy as np
from sensor_msgs.msg import CompressedImage, Image

from amtnet_ros.contracts import UInt8
from amtnet_ros.media.encodings import ENCODINGS, Encoding, checked, convert, rgb_from_compressed
from amtnet_ros.media.pictures import jpeg

__all__ = [
    "ENCODINGS",
    "compressed_from_rgb",
    "has_cv_bridge",
    "image_from_rgb",
    "rgb_from",
    "rgb_from_compressed",
    "rgb_from_image",
]

# What cv_bridge turns into rgb8 by the same rules as ours.
BRIDGED = frozenset(
    {"rgb8", "bgr8", "rgba8", "bgra8", "mono8", "bayer_rggb8", "bayer_bggr8", "bayer_gbrg8", "bayer_grbg8"}
)


def rgb_from(message: Image | CompressedImage) -> UInt8:
    """`rgb_from_image` or `rgb_from_compressed`, as the message is."""
    return rgb_from_image(message) if isinstance(message, Image) else rgb_from_compressed(message)


def rgb_from_image(message: Image) -> UInt8:
    """The image as (height, width, 3) uint8 RGB; 16-bit samples are scaled to 8 bits.

    The array may share the message's memory. Raises UserError, one line that names the cause, if the encoding is
    unknown or is no picture, or size, step and data do not fit together.
    """
    encoding = checked(message)
    bridge = _cv_bridge()
    if bridge is not None and _bridge_reads(message, encoding):
        return np.asarray(bridge.imgmsg_to_cv2(message, "rgb8"), dtype=np.uint8)
    return convert(message, encoding)


def _bridge_reads(message: Image, encoding: Encoding) -> bool:
    """Whether cv_bridge reads this message aright.

    It takes a padded row for a whole number of pixels, needs the last row's padding, and cannot swap bytes by NumPy 2,
    which it does to bytes that need none as well.
    """
    row = message.width * encoding.channels * encoding.depth
    tight = message.step == row and len(message.data) == row * message.height
    return message.encoding in BRIDGED and tight and not message.is_bigendian


def image_from_rgb(rgb: UInt8, header: Any) -> Image:
    """(height, width, 3) uint8 RGB as a message of encoding rgb8 with this header."""
    height, width, channels = rgb.shape
    message = Image(header=header, height=height, width=width, encoding="rgb8", step=width * channels)
    # An array.array is taken over in a millisecond, an ndarray is checked element by element.
    message.data = array.array("B", np.ascontiguousarray(rgb).tobytes())
    return message


def has_cv_bridge() -> bool:
    """Whether there is a cv_bridge that works; else the converter of this module takes its place."""
    return _cv_bridge() is not None


def compressed_from_rgb(rgb: UInt8, header: Any) -> CompressedImage:
    """(height, width, 3) uint8 RGB as a JPEG message with this header."""
    return CompressedImage(header=header, format="rgb8; jpeg compressed bgr8", data=array.array("B", jpeg(rgb)))


@functools.cache
def _cv_bridge() -> Any | None:
    """A cv_bridge that works, or None. One built against another NumPy or OpenCV fails in many ways."""
    try:
        from cv_bridge import CvBridge

        bridge = CvBridge()
        probe = Image(height=1, width=2, encoding="bgr8", step=6, data=[1, 2, 3, 4, 5, 6])
        works = np.array_equal(bridge.imgmsg_to_cv2(probe, "rgb8"), [[[3, 2, 1], [6, 5, 4]]])
    except Exception:
        return None
    return bridge if works else None
