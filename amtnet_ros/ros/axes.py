"""In which axes an organised point cloud is: the camera's optical ones, or those of a body that looks along x."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from amtnet_ros.contracts import Float32
from amtnet_ros.errors import UserError

OPTICAL = np.eye(3, dtype=np.float32)
"""x right, y down, z forward: nothing to turn."""
BODY = np.array([[0, -1, 0], [0, 0, -1], [1, 0, 0]], dtype=np.float32)
"""x forward, y left, z up (REP 103), as simulators and some stereo cameras send clouds: turns them to optical axes."""

_SAMPLES = 1000  # points that are looked at, about
_LEAST = 16  # points without which nothing can be said
_AHEAD = 0.9  # the least share of the points that lie before the camera
_ALONG = 0.9  # the least correlation of directions with columns and rows


def axes_of(points: Float32) -> NDArray[np.float32]:
    """(3, 3): turns the points (height, width, 3) into optical axes. Not finite or zero where unknown.

    What a frame is called tells little; a pinhole camera's points tell themselves: along a row they go to the right,
    along a column down. With too few points to say, they are taken for optical. Raises UserError for other axes.
    """
    (known,) = np.nonzero((np.isfinite(points).all(axis=-1) & points.any(axis=-1)).ravel())
    known = known[:: max(1, len(known) // _SAMPLES)]
    rows, columns = np.divmod(known, points.shape[1])
    if len(known) < _LEAST or len(set(rows.tolist())) < 2 or len(set(columns.tolist())) < 2:
        return OPTICAL
    sample = points.reshape(-1, 3)[known].astype(np.float64)
    for axes in (OPTICAL, BODY):
        if _fit(sample @ axes.T, rows, columns):
            return axes
    raise UserError(
        "point cloud in axes that are neither the camera's (x right, y down, z forward) nor a body's (x forward, "
        "y left, z up); places need one of them"
    )


def _fit(points: NDArray[np.float64], rows: NDArray[np.int64], columns: NDArray[np.int64]) -> bool:
    """Whether points (n, 3), of those rows and columns, are what a camera sees that looks along z."""
    ahead = points[:, 2] > 0
    if ahead.mean() < _AHEAD:
        return False
    right, down = points[ahead, 0] / points[ahead, 2], points[ahead, 1] / points[ahead, 2]
    return _correlation(right, columns[ahead]) > _ALONG and _correlation(down, rows[ahead]) > _ALONG


def _correlation(first: NDArray[np.float64], second: NDArray[np.int64]) -> float:
    """Pearson's; 0 where one of them does not vary."""
    a, b = first - first.mean(), second - second.mean()
    scale = float(np.sqrt((a @ a) * (b @ b)))
    return float(a @ b) / scale if scale > 0 else 0.0
