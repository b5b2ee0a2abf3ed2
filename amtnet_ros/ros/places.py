"""Where in space a box's actor is: from an aligned depth image or an organised point cloud."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from amtnet_ros.contracts import Float32

_SAMPLES = 64  # rows and columns of a box that are looked at, at most
_LEAST_VALID = 0.1  # share of the core's pixels that must have a depth
_FARTHEST = 1e6  # metres; what is further away was not measured
_TRIM = 0.02  # share of the points that are left out at either end of an extent
_SHAPE_TOLERANCE = 0.05  # of width by height: sizes are rounded; 4:3 and 5:4 are further apart
_LEAST_DEPTH = 0.3  # metres before and behind the median that still belong to the actor


@dataclass(frozen=True)
class Intrinsics:
    """Of a pinhole camera without distortion, in pixels of the source image."""

    fx: float
    fy: float
    cx: float
    cy: float


@dataclass(frozen=True)
class ActorPlace:
    """An upright box around an actor, in metres along the axes of a frame.

    That is the camera's optical frame (x right, y down, z forward) where nothing else is said.
    position: (3,) float32, its middle; size: (3,) float32, along x, y, z.
    """

    position: Float32
    size: Float32


@dataclass(frozen=True)
class ActorPlaces:
    """Where the actors of one step are. frame_id: the frame of all places. by_tube: the places by their tube's id."""

    frame_id: str
    by_tube: Mapping[int, ActorPlace]


def same_shape(first: tuple[int, int], second: tuple[int, int]) -> bool:
    """Whether pictures of these (width, height) may show the same view: one as wide for its height as the other."""
    a, b = first[0] * second[1], second[0] * first[1]
    return abs(a - b) <= _SHAPE_TOLERANCE * max(a, b)


def place_in_depth(
    depth: Float32, box: Float32, image_size: tuple[int, int], intrinsics: Intrinsics, core: float = 0.5
) -> ActorPlace | None:
    """The place of the actor in a box, by a depth image that covers the same view as the source image.

    depth: (H, W) metres along z, of any resolution; 0 or not finite where unknown. box: (4,) source pixels.
    image_size: (width, height) of the source image. core: the middle share of the box's width and height in which the
    actor is looked for: further out there is more background. None where too few pixels of the core have a depth.
    """
    rows, columns = _samples(box, image_size, depth.shape)
    z = depth[np.ix_(rows, columns)].astype(np.float64)
    u = (columns + 0.5) * image_size[0] / depth.shape[1]
    v = (rows + 0.5) * image_size[1] / depth.shape[0]
    with np.errstate(over="ignore", invalid="ignore"):  # what is not finite is no point
        x, y = (u[None, :] - intrinsics.cx) / intrinsics.fx * z, (v[:, None] - intrinsics.cy) / intrinsics.fy * z
    return _place(np.stack([x, y, z], axis=-1), core)


def place_in_points(points: Float32, box: Float32, image_size: tuple[int, int], core: float = 0.5) -> ActorPlace | None:
    """The same by an organised point cloud of the same view: (H, W, 3) metres, not finite where unknown."""
    rows, columns = _samples(box, image_size, points.shape[:2])
    return _place(points[np.ix_(rows, columns)].astype(np.float64), core)


def _samples(box: Float32, image_size: tuple[int, int], shape: tuple[int, ...]) -> tuple[np.ndarray, np.ndarray]:
    """Rows and columns of the grid that lie in the box, evenly thinned out."""
    spans = []
    for low, high, side, count in (
        (box[1], box[3], image_size[1], shape[0]),
        (box[0], box[2], image_size[0], shape[1]),
    ):
        first = min(max(int(np.floor(low * count / side)), 0), count - 1)
        last = min(max(int(np.ceil(high * count / side)), first + 1), count)
        spans.append(np.unique(np.linspace(first, last - 1, min(_SAMPLES, last - first)).round().astype(np.int64)))
    return spans[0], spans[1]


def _place(points: np.ndarray, core: float) -> ActorPlace | None:
    """From the points (h, w, 3) in the box. The median depth of the core says how far the actor is; what lies near that
    depth, in the whole box, is the actor."""
    valid = (np.abs(points) < _FARTHEST).all(axis=-1) & (points[..., 2] > 0)
    height, width = valid.shape
    margin_y, margin_x = int(height * (1 - core) / 2), int(width * (1 - core) / 2)
    inner = (slice(margin_y, height - margin_y), slice(margin_x, width - margin_x))
    depths = points[inner][..., 2][valid[inner]]
    if depths.size == 0 or depths.size < _LEAST_VALID * valid[inner].size:
        return None
    middle = float(np.median(depths))
    spread = 1.4826 * float(np.median(np.abs(depths - middle)))  # the standard deviation, were it normal
    actor = points[valid & (np.abs(points[..., 2] - middle) <= max(_LEAST_DEPTH, 3 * spread))]
    low, high = np.percentile(actor, 100 * _TRIM, axis=0), np.percentile(actor, 100 * (1 - _TRIM), axis=0)
    position, size = (low + high) / 2, high - low
    size[:2] /= 1 - 2 * _TRIM  # what trimming takes from an even spread
    position[2] = middle
    return ActorPlace(position.astype(np.float32), size.astype(np.float32))
