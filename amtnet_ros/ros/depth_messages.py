"""Depth images and organised point clouds to metres, and a cloud's axes; what is wrong with one is said in a line."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from sensor_msgs.msg import Image, PointCloud2, PointField

from amtnet_ros.contracts import Float32, UInt8
from amtnet_ros.errors import UserError, quoted

_DEPTHS = {"16UC1": ("u2", 1e-3), "mono16": ("u2", 1e-3), "32FC1": ("f4", 1.0)}  # kind, metres a unit
_SATURATED = 65535  # what many drivers send of a depth that they do not know, others zero
_NEAREST = 200.0  # metres: where nothing is nearer, the numbers are no metres
_AXES = ("x", "y", "z")
_SINGLE = (0, 1)  # counts of a field that holds one value: some drivers leave it at nothing


def check_depth(message: Image) -> None:
    """Raises UserError for an encoding that is no depth, or where size, step and data do not fit together."""
    if message.encoding not in _DEPTHS:
        raise UserError(f"depth image with encoding {quoted(message.encoding)}; understood are {', '.join(_DEPTHS)}")
    row = message.width * _depth_kind(message).itemsize
    _check_size("depth image", message, message.step, row)


def depth_from_image(message: Image) -> Float32:
    """(height, width) float32 metres along z from a depth image: 16UC1 in millimetres or 32FC1 in metres (REP 118).

    0 or not finite where unknown. Raises UserError as `check_depth` does, and for numbers that cannot be metres.
    """
    check_depth(message)
    kind, scale = _depth_kind(message), _DEPTHS[message.encoding][1]
    rows = _rows(message, message.step, message.width * kind.itemsize)
    samples = rows.view(kind)
    metres = samples.astype(np.float32) * np.float32(scale)
    if kind.kind == "u":
        metres[samples == _SATURATED] = 0
    else:
        check_unit("depth image of 32FC1", metres)
    return metres


def check_unit(what: str, metres: Float32) -> None:
    """metres: (height, width) along z. Raises UserError where what is nearest is further than anybody can be seen."""
    some = metres[::7, ::7]
    known = some[np.isfinite(some) & (some > 0)]
    if known.size and (nearest := float(np.percentile(known, 1))) > _NEAREST:
        raise UserError(
            f"{what} with nothing nearer than {nearest:.0f}; the unit is metres (REP 118), does the "
            "driver send millimetres?"
        )


def check_cloud(message: PointCloud2) -> None:
    """Raises UserError for a cloud that is not organised or lacks float32 x, y, z, or whose sizes do not fit."""
    offsets = _float_fields(message)
    if message.height < 2 or not set(_AXES) <= offsets.keys():
        floats = quoted(", ".join(offsets)) if offsets else "none"
        raise UserError(
            f"point cloud of height {message.height} with float fields {floats}; places need an organised cloud (one "
            "point for each pixel) with x, y, z"
        )
    needed = max(offsets[axis] for axis in _AXES) + 4
    if message.point_step < needed:
        raise UserError(f"point cloud with point_step {message.point_step}, but x, y, z reach to byte {needed}")
    _check_size("point cloud", message, message.row_step, message.width * message.point_step)


def points_from_cloud(message: PointCloud2) -> Float32:
    """(height, width, 3) float32 metres from an organised cloud, in the cloud's own axes.

    Raises UserError as `check_cloud` does.
    """
    check_cloud(message)
    offsets, order = _float_fields(message), ">" if message.is_bigendian else "<"
    kind = np.dtype(
        {
            "names": list(_AXES),
            "formats": 3 * [order + "f4"],
            "offsets": [offsets[axis] for axis in _AXES],
            "itemsize": message.point_step,
        }
    )
    points = _rows(message, message.row_step, message.width * message.point_step).view(kind)
    return np.stack([points[axis] for axis in _AXES], axis=-1).astype(np.float32)


def _depth_kind(message: Image) -> np.dtype[np.generic]:
    return np.dtype((">" if message.is_bigendian else "<") + _DEPTHS[message.encoding][0])


def _float_fields(message: PointCloud2) -> dict[str, int]:
    """Byte offsets in a point of the fields that are one float32 each. Raises UserError where a name is there twice."""
    names = [field.name for field in message.fields]
    for axis in _AXES:
        if names.count(axis) > 1:
            raise UserError(f"point cloud with {names.count(axis)} fields that are called {axis}; places need one")
    floats = [each for each in message.fields if each.datatype == PointField.FLOAT32 and each.count in _SINGLE]
    return {field.name: field.offset for field in floats}


def _check_size(what: str, message: Image | PointCloud2, step: int, row: int) -> None:
    """step: bytes from one row to the next; row: bytes of a row's pixels. The last row may lack its padding."""
    size = f"{message.width}x{message.height}"
    if message.width == 0 or message.height == 0:
        raise UserError(f"{what} of zero size, {size}")
    if step < row:
        raise UserError(f"{what} of {size} with a row step of {step} bytes, but a row has {row}")
    needed = step * (message.height - 1) + row
    if len(message.data) < needed:
        raise UserError(f"{what} of {size} with {len(message.data)} bytes of data, but it needs {needed}")


def _rows(message: Image | PointCloud2, step: int, row: int) -> UInt8:
    """(height, row) uint8, the message's rows without their padding; sizes were checked."""
    buffer = np.frombuffer(message.data, dtype=np.uint8)
    lines = np.lib.stride_tricks.as_strided(buffer, (message.height, row), (step, 1), writeable=False)
    return np.ascontiguousarray(lines)


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
