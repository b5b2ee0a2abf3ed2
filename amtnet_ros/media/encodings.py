"""Pictures as ROS messages hold them, as RGB: raw in every common encoding, or compressed.

By NumPy and OpenCV alone, of whatever has the fields of sensor_msgs/Image and CompressedImage: messages of rclpy, or
those that were read out of a bag where there is no ROS.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Protocol

import cv2
import numpy as np
from numpy.typing import NDArray

from amtnet_ros.contracts import UInt8
from amtnet_ros.errors import UserError, quoted
from amtnet_ros.media.pictures import decoded

Pixels = NDArray[np.generic]


class RawImage(Protocol):
    """The fields of sensor_msgs/Image."""

    encoding: str
    width: int
    height: int
    step: int
    is_bigendian: Any
    data: Any


class PackedImage(Protocol):
    """The fields of sensor_msgs/CompressedImage."""

    format: str
    data: Any


@dataclass(frozen=True)
class Encoding:
    """How the rows of an encoding lie in memory, and how they become RGB.

    channels: samples of a pixel in a row; depth: bytes of a sample.
    rows: rows of the buffer for two rows of the image (3 for the planar 4:2:0 encodings, else 2).
    even: (width, height) must be multiples of these.
    to_rgb: from (rows, width, channels) samples, 8 bits each, to (height, width, 3) RGB; None: they are RGB.
    """

    channels: int
    depth: int = 1
    rows: int = 2
    even: tuple[int, int] = (1, 1)
    to_rgb: Callable[[UInt8], UInt8] | None = None


def _cv(code: int) -> Callable[[UInt8], UInt8]:
    def convert(pixels: UInt8) -> UInt8:
        return np.asarray(cv2.cvtColor(pixels, code), dtype=np.uint8)

    return convert


# OpenCV names a Bayer pattern by the second row's second and third pixel, ROS by the first row's first two.
_BAYER = {
    "bayer_rggb": cv2.COLOR_BayerBG2RGB,
    "bayer_bggr": cv2.COLOR_BayerRG2RGB,
    "bayer_gbrg": cv2.COLOR_BayerGR2RGB,
    "bayer_grbg": cv2.COLOR_BayerGB2RGB,
}
_UYVY, _YUYV = _cv(cv2.COLOR_YUV2RGB_UYVY), _cv(cv2.COLOR_YUV2RGB_YUYV)
_BGR, _BGRA = _cv(cv2.COLOR_BGR2RGB), _cv(cv2.COLOR_BGRA2RGB)
_RGBA, _GRAY = _cv(cv2.COLOR_RGBA2RGB), _cv(cv2.COLOR_GRAY2RGB)

ENCODINGS: dict[str, Encoding] = {
    "rgb8": Encoding(3),
    "bgr8": Encoding(3, to_rgb=_BGR),
    "rgba8": Encoding(4, to_rgb=_RGBA),
    "bgra8": Encoding(4, to_rgb=_BGRA),
    "mono8": Encoding(1, to_rgb=_GRAY),
    "rgb16": Encoding(3, depth=2),
    "bgr16": Encoding(3, depth=2, to_rgb=_BGR),
    "rgba16": Encoding(4, depth=2, to_rgb=_RGBA),
    "bgra16": Encoding(4, depth=2, to_rgb=_BGRA),
    "mono16": Encoding(1, depth=2, to_rgb=_GRAY),
    # OpenCV's own names, in OpenCV's own order of the channels.
    "8UC1": Encoding(1, to_rgb=_GRAY),
    "8UC3": Encoding(3, to_rgb=_BGR),
    "8UC4": Encoding(4, to_rgb=_BGRA),
    "uyvy": Encoding(2, even=(2, 1), to_rgb=_UYVY),
    "yuv422": Encoding(2, even=(2, 1), to_rgb=_UYVY),
    "yuyv": Encoding(2, even=(2, 1), to_rgb=_YUYV),
    "yuv422_yuy2": Encoding(2, even=(2, 1), to_rgb=_YUYV),
    "nv12": Encoding(1, rows=3, even=(2, 2), to_rgb=_cv(cv2.COLOR_YUV2RGB_NV12)),
    "nv21": Encoding(1, rows=3, even=(2, 2), to_rgb=_cv(cv2.COLOR_YUV2RGB_NV21)),
    **{f"{name}8": Encoding(1, to_rgb=_cv(code)) for name, code in _BAYER.items()},
    **{f"{name}16": Encoding(1, depth=2, to_rgb=_cv(code)) for name, code in _BAYER.items()},
}

_REFUSED = {
    "16UC1": "is a depth image; the detector needs the colour or mono image beside it",
    "32FC1": "is a depth image; the detector needs the colour or mono image beside it",
    "8UC2": "does not say what its two channels mean; publish yuyv or uyvy",
}


def rgb_from_raw(message: RawImage) -> UInt8:
    """The image as (height, width, 3) uint8 RGB; 16-bit samples are scaled to 8 bits.

    The array may share the message's memory. Raises UserError, one line that names the cause, if the encoding is
    unknown or is no picture, or size, step and data do not fit together.
    """
    return convert(message, checked(message))


def checked(message: RawImage) -> Encoding:
    """The message's encoding, after checking that size, step and data agree with it."""
    name, width, height = message.encoding, message.width, message.height
    if name in _REFUSED:
        raise UserError(f"image with encoding '{name}' {_REFUSED[name]}")
    if name not in ENCODINGS:
        raise UserError(f"image with unknown encoding {quoted(name)}; understood are {', '.join(ENCODINGS)}")
    if width == 0 or height == 0:
        raise UserError(f"image of zero size, {width}x{height}; check the camera driver")
    encoding = ENCODINGS[name]
    if width % encoding.even[0] or height % encoding.even[1]:
        raise UserError(
            f"image of {width}x{height} cannot be '{name}': "
            f"width and height must be multiples of {encoding.even[0]} and {encoding.even[1]}"
        )
    row = width * encoding.channels * encoding.depth
    if message.step < row:
        raise UserError(f"image with step {message.step}, but a row of {width} pixels of '{name}' has {row} bytes")
    # The last row may come without its padding.
    needed = message.step * (height * encoding.rows // 2 - 1) + row
    if len(message.data) < needed:
        raise UserError(
            f"image with {len(message.data) or 'no'} bytes of data, but {width}x{height} '{name}' "
            f"with step {message.step} needs {needed}"
        )
    return encoding


def convert(message: RawImage, encoding: Encoding) -> UInt8:
    """`rgb_from_raw` for a message that was checked."""
    rows, row = message.height * encoding.rows // 2, message.width * encoding.channels * encoding.depth
    buffer = np.frombuffer(message.data, dtype=np.uint8)
    lines = np.lib.stride_tricks.as_strided(buffer, (rows, row), (message.step, 1), writeable=False)
    samples = lines if encoding.depth == 1 else _to_8_bits(lines, bool(message.is_bigendian))
    shape = (rows, message.width, encoding.channels)[: 2 if encoding.channels == 1 else 3]
    pixels = np.ascontiguousarray(samples).reshape(shape)
    return pixels if encoding.to_rgb is None else encoding.to_rgb(pixels)


def _to_8_bits(lines: UInt8, bigendian: bool) -> UInt8:
    """16-bit samples to 8 bits, 65535 becoming 255, rounded to the nearest."""
    samples = np.ascontiguousarray(lines).view(">u2" if bigendian else "<u2")
    return ((samples.astype(np.uint32) + 128) // 257).astype(np.uint8)


def rgb_from_compressed(message: PackedImage) -> UInt8:
    """A JPEG or PNG image as (height, width, 3) uint8 RGB.

    Raises UserError if it is a depth image, or its data are empty or broken.
    """
    what = f"compressed image of format {quoted(message.format)}"
    encoding = message.format.split(";")[0].strip()  # of the image that was compressed, where it is named
    if encoding in _REFUSED:
        raise UserError(f"{what} {_REFUSED[encoding]}")
    if "compressedDepth" in message.format:
        raise UserError(f"{what} {_REFUSED['16UC1']}")
    if not len(message.data):
        raise UserError(f"{what} with no bytes of data")
    image = decoded(message.data, upright=False)
    if image is None:
        raise UserError(f"{what} with {len(message.data)} bytes cannot be decoded; JPEG and PNG are understood")
    return _without_mosaic(image, encoding)


def _without_mosaic(image: UInt8, encoding: str) -> UInt8:
    """image_transport compresses the mosaic of a Bayer camera as it is, as a grey picture; others, its colours."""
    if not encoding.startswith("bayer_") or not (image == image[..., :1]).all():
        return image
    known = ENCODINGS.get(encoding.removesuffix("16").removesuffix("8") + "8")  # decoded, it has 8 bits
    return image if known is None or known.to_rgb is None else known.to_rgb(np.ascontiguousarray(image[..., 0]))
