"""What every flow engine looks like, and the images it takes."""

from __future__ import annotations

from typing import Protocol

import cv2
import numpy as np

from amtnet_ros.contracts import Float32, UInt8
from amtnet_ros.errors import UserError

WORKING_SIZE = (320, 240)
"""(width, height) at which the datasets' flow was computed, and to which the encoding's ±8 px refer."""


class FlowEngine(Protocol):
    """Dense optical flow between two images.

    name: the engine and its preset, e.g. "dis:medium"; the model card records it.
    working_size: (width, height) the images are resized to, and in whose pixels the flow is given.
    """

    name: str
    working_size: tuple[int, int]

    def __call__(self, previous: UInt8, current: UInt8) -> Float32:
        """Flow from `previous` to `current`: pixel x of `previous` is found at x + flow(x) in `current`.

        previous, current: (H, W, 3) uint8 RGB of equal size, any size.
        Returns (h, w, 2) float32, u to the right and v down, in pixels of the working resolution; the plain
        displacement between the two images, not scaled by time. Raises UserError on images that do not fit.
        """
        ...

    def batch(self, previous: UInt8, current: UInt8) -> Float32:
        """The same for B pairs (several cameras, or a stretch of video): (B, H, W, 3) → (B, h, w, 2)."""
        ...


def check_pair(previous: UInt8, current: UInt8, ndim: int = 3) -> None:
    """Raise UserError unless both are uint8 RGB images (ndim 3) or batches of them (ndim 4) of one shape."""
    for which, image in (("previous", previous), ("current", current)):
        if not isinstance(image, np.ndarray) or image.dtype != np.uint8:
            given = getattr(image, "dtype", type(image).__name__)
            raise UserError(f"flow: the {which} image is {given}; give 8-bit RGB (uint8)")
        if image.ndim != ndim or image.shape[-1] != 3 or 0 in image.shape:
            raise UserError(f"flow: the {which} image has shape {image.shape}; give {'(B, ' * (ndim - 3)}(H, W, 3) RGB")
    if previous.shape != current.shape:
        raise UserError(
            f"flow: the two images differ in size, {previous.shape} and {current.shape}; flow needs two of one camera"
        )


def to_working_size(image: UInt8, working_size: tuple[int, int]) -> UInt8:
    """Resize (H, W, ...) uint8 to working_size (width, height): averaging when it shrinks, bilinear when it grows."""
    height, width = image.shape[:2]
    if (width, height) == working_size:
        return image
    shrinks = working_size[0] <= width and working_size[1] <= height
    resized = cv2.resize(image, working_size, interpolation=cv2.INTER_AREA if shrinks else cv2.INTER_LINEAR)
    return np.asarray(resized, dtype=np.uint8)


def to_grey(image: UInt8, working_size: tuple[int, int]) -> UInt8:
    """(H, W, 3) uint8 RGB → (h, w) uint8 grey at working_size (width, height)."""
    return np.asarray(cv2.cvtColor(to_working_size(image, working_size), cv2.COLOR_RGB2GRAY), dtype=np.uint8)
