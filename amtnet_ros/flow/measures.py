"""How good a flow field is."""

from __future__ import annotations

import cv2
import numpy as np

from amtnet_ros.contracts import Bool, Float32, UInt8


def end_point_error(flow: Float32, truth: Float32, where: Bool | None = None) -> float:
    """Mean length of the difference of two fields (h, w, 2), in their pixels; over `where` (h, w), else everywhere."""
    error = np.linalg.norm(flow - truth, axis=-1)
    return float(error.mean() if where is None else error[where].mean())


def photometric_error(previous: UInt8, current: UInt8, flow: Float32) -> float:
    """Mean difference in grey levels between `previous` and `current` fetched back along the flow.

    previous, current: (h, w) uint8 grey. Pixels that the flow leads out of the image do not count. Low is good, but not
    all: a field that tears an image apart to match grey levels scores well too.
    """
    height, width = previous.shape
    y, x = np.mgrid[0:height, 0:width].astype(np.float32)
    x, y = x + flow[..., 0], y + flow[..., 1]
    fetched = cv2.remap(current, x, y, cv2.INTER_CUBIC, borderMode=cv2.BORDER_REPLICATE)
    inside = (x >= 0) & (x <= width - 1) & (y >= 0) & (y <= height - 1)
    return float(np.abs(fetched.astype(np.float32) - previous)[inside].mean())
