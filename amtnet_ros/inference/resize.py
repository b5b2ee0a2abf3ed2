"""The camera's image at the network's size, made on the host or on the device: the same image, to one grey level.

Averaging and bilinear interpolation alike are a matrix on either side of the image, one for its rows and one for its
columns. So a device does both, of any size, by two products.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

import numpy as np

from amtnet_ros.contracts import Float32, UInt8
from amtnet_ros.errors import UserError
from amtnet_ros.flow.contract import to_working_size

ResizePlacement = Literal["auto", "host", "device"]
RESIZE_PLACEMENTS: tuple[ResizePlacement, ...] = ("auto", "host", "device")
SIZES_KEPT = 64
"""A device keeps the matrices of so many sizes of images; more would be cameras that change theirs all the time."""


def resizes_on_device(placement: ResizePlacement, gpu: bool) -> bool:
    """Whether the device resizes. `auto`: a GPU does; on a CPU OpenCV is faster. Raises UserError if it is unknown."""
    if placement not in RESIZE_PLACEMENTS:
        raise UserError(f"resize '{placement}' is not known; use {', '.join(RESIZE_PLACEMENTS)}")
    return gpu if placement == "auto" else placement == "device"


def resize_on_host(images: Sequence[UInt8], side: int) -> UInt8:
    """Images (H, W, 3) uint8 of any sizes → (B, side, side, 3) uint8."""
    return np.stack([to_working_size(image, (side, side)) for image in images])


def resize_matrices(size: tuple[int, int], side: int) -> tuple[Float32, Float32]:
    """For images of `size` (width, height): rows (side, height) and columns (side, width), each row's sum being 1.

    Pixel (y, x) of the resized image is the sum over j, i of rows[y, j] · columns[x, i] · image[j, i], rounded: what
    `to_working_size` does, to one grey level.
    """
    width, height = size
    weights = _averaging if width >= side and height >= side else _bilinear
    return weights(height, side), weights(width, side)


def _averaging(n: int, side: int) -> Float32:
    """What part of each larger pixel each of the n smaller ones is."""
    edges = np.arange(side + 1) * (n / side)
    left_of_edges = np.clip(edges[:, None] - np.arange(n), 0, 1)
    shares: Float32 = (np.diff(left_of_edges, axis=0) * (side / n)).astype(np.float32)
    return shares


def _bilinear(n: int, side: int) -> Float32:
    """Weights of the two pixels around each centre; beyond the outermost centres the outermost pixel alone."""
    centre = np.clip((np.arange(side) + 0.5) * (n / side) - 0.5, 0, n - 1)
    weights: Float32 = np.maximum(0, 1 - np.abs(centre[:, None] - np.arange(n))).astype(np.float32)
    return weights
