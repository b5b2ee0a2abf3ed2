"""Places in space: listens to a camera's depth, and finds where the actors of a step are by the depth that belongs."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable

import numpy as np
from rclpy.node import Node
from sensor_msgs.msg import Image, PointCloud2

from amtnet_ros.contracts import Float32, TubeState, TubeUpdate
from amtnet_ros.errors import UserError
from amtnet_ros.ros.depth_messages import (
    OPTICAL,
    axes_of,
    check_cloud,
    check_depth,
    check_unit,
    depth_from_image,
    points_from_cloud,
)
from amtnet_ros.ros.inputs import InputTopic
from amtnet_ros.ros.messages import nanoseconds
from amtnet_ros.ros.places import ActorPlace, ActorPlaces, Intrinsics, place_in_depth, place_in_points, same_shape
from amtnet_ros.tube_boxes import newest_box

_KEPT = 15  # messages; answers lag a few frames behind

Locate = Callable[[Float32], ActorPlace | None]
"""From a box (4,) in source pixels to its place."""


class DepthInput:
    """Listens to a camera's `depth_image` or `points`, and finds the message that belongs to a step.

    prefix: what the camera's topics begin with, "" or "NAME/". source: "image" or "points".
    tolerance: seconds that the stamps of depth and colour may differ. needs_intrinsics: whether `places` does.
    on_refused: called, in the executor's thread, with what is wrong with a message that cannot be used.
    """

    def __init__(
        self, node: Node, prefix: str, source: str, tolerance: float, on_refused: Callable[[UserError], None]
    ) -> None:
        self.tolerance = tolerance
        self.needs_intrinsics = source == "image"
        self._on_refused = on_refused
        self._kept: deque[Image | PointCloud2] = deque(maxlen=_KEPT)
        kind, name = (Image, "depth_image") if source == "image" else (PointCloud2, "points")
        self.topic = InputTopic(node, kind, prefix + name, self._keep, "depth")

    def _keep(self, message: Image | PointCloud2) -> None:
        try:
            check_cloud(message) if isinstance(message, PointCloud2) else check_depth(message)
        except UserError as error:
            self._on_refused(error)
        else:
            self._kept.append(message)

    def distance(self, stamp: int) -> float | None:
        """Seconds between the stamp (ns) and that of the nearest depth; None while there is none."""
        return min((abs(nanoseconds(each.header.stamp) - stamp) / 1e9 for each in tuple(self._kept)), default=None)

    def places(self, update: TubeUpdate, intrinsics: Intrinsics | None) -> ActorPlaces | None:
        """Places of the tubes that have a box in the newest frame, in the frame of the depth message at its stamp.

        intrinsics: the camera's, None where they are not known. Returns None where no depth belongs to the step, or
        depth images lack the intrinsics. Raises UserError for a cloud in unknown axes, and for another view.
        """
        message = self._nearest(update.stamp)
        if message is None or (self.needs_intrinsics and intrinsics is None):
            return None
        locate = locator(message, update.image_size, intrinsics)
        places: dict[int, ActorPlace] = {}
        for tube in update.tubes:
            box = newest_box(tube, update.stamp)
            if tube.state != TubeState.ENDED and box is not None and (place := locate(box)) is not None:
                places[tube.id] = place
        return ActorPlaces(message.header.frame_id, places)

    def _nearest(self, stamp: int) -> Image | PointCloud2 | None:
        def distance(message: Image | PointCloud2) -> int:
            return abs(nanoseconds(message.header.stamp) - stamp)

        nearest = min(tuple(self._kept), key=distance, default=None)
        return nearest if nearest is not None and distance(nearest) <= round(self.tolerance * 1e9) else None


def locator(message: Image | PointCloud2, image_size: tuple[int, int], intrinsics: Intrinsics | None) -> Locate:
    """What finds places by that depth, of images of that (width, height); intrinsics: needed for depth images only.

    Raises UserError for a message that cannot be used, a cloud in unknown axes, and depth of another view.
    """
    if not same_shape(image_size, (message.width, message.height)):
        what = f"depth of {message.width}x{message.height} for images of {image_size[0]}x{image_size[1]}"
        raise UserError(f"{what}: another shape, so another view; places need depth that is aligned with the images")
    if isinstance(message, PointCloud2):
        points = points_from_cloud(message)
        axes = axes_of(points)
        optical = points if axes is OPTICAL else points @ axes.T
        check_unit("point cloud", optical[..., 2])
        return lambda box: _turned_back(place_in_points(optical, box, image_size), axes)
    assert intrinsics is not None
    depth = depth_from_image(message)
    return lambda box: place_in_depth(depth, box, image_size, intrinsics)


def _turned_back(place: ActorPlace | None, axes: Float32) -> ActorPlace | None:
    """From optical axes to those of the cloud; axes: as `axes_of` gives them."""
    return place and ActorPlace(place.position @ axes, place.size @ np.abs(axes))
