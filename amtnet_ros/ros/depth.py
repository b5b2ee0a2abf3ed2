"""Places in space: the depth that belongs to a step, and the tubes' places by it, as messages."""

from __future__ import annotations

from collections import deque
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from geometry_msgs.msg import Point, Pose, Quaternion, Vector3
from rclpy.impl.rcutils_logger import RcutilsLogger
from rclpy.node import Node
from rclpy.subscription import Subscription
from sensor_msgs.msg import CameraInfo, Image, PointCloud2, PointField
from std_msgs.msg import Header
from vision_msgs.msg import BoundingBox3D, Detection3D, Detection3DArray, ObjectHypothesis, ObjectHypothesisWithPose

from amtnet_ros.contracts import Float32, Tube, TubeState
from amtnet_ros.errors import UserError
from amtnet_ros.ros.messages import nanoseconds, newest_box
from amtnet_ros.ros.places import Intrinsics, Place, place_in_depth, place_in_points
from amtnet_ros.ros.qos import NEWEST_IMAGE
from amtnet_ros.ros.worker import Step

_KEPT = 15  # messages; answers lag a few frames behind


class DepthInput:
    """Listens to a camera's `depth_image` or `points`, and finds the message that belongs to a step.

    log: where its troubles go. prefix: what the camera's topics begin with, "" or "NAME/".
    source: "image" or "points". tolerance: seconds that the stamps of depth and colour may differ.
    """

    def __init__(self, node: Node, log: RcutilsLogger, prefix: str, source: str, tolerance: float) -> None:
        self._log = log
        self._tolerance = round(tolerance * 1e9)
        self._kept: deque[Image | PointCloud2] = deque(maxlen=_KEPT)
        kind, topic = (Image, "depth_image") if source == "image" else (PointCloud2, "points")
        self.subscription: Subscription[Any] = node.create_subscription(kind, prefix + topic, self._keep, NEWEST_IMAGE)

    def _keep(self, message: Image | PointCloud2) -> None:
        self._kept.append(message)

    def places(self, step: Step, info: CameraInfo | None) -> tuple[Header | None, dict[int, Place]]:
        """Places of the tubes that have a box in the newest frame, by tube id, and the header that they hold in.

        That is the frame of the depth message at the stamp of the image; None where no depth belongs to the step.
        """
        message = self._nearest(step.update.stamp)
        if message is None:
            return None, {}
        header = Header(stamp=step.header.stamp, frame_id=message.header.frame_id)
        try:
            locate = _locator(message, step.update.image_size, info)
        except UserError as error:
            self._log.error(str(error), throttle_duration_sec=10.0)
            return None, {}
        places: dict[int, Place] = {}
        for tube in step.update.tubes:
            box = newest_box(tube, step.update.stamp)
            if tube.state != TubeState.ENDED and box is not None and (place := locate(box)) is not None:
                places[tube.id] = place
        return header, places

    def _nearest(self, stamp: int) -> Image | PointCloud2 | None:
        def distance(message: Image | PointCloud2) -> int:
            return abs(nanoseconds(message.header.stamp) - stamp)

        nearest = min(tuple(self._kept), key=distance, default=None)
        return nearest if nearest is not None and distance(nearest) <= self._tolerance else None


def _locator(message: Image | PointCloud2, image_size: tuple[int, int], info: CameraInfo | None) -> Any:
    """A function from a box (4,) to its place, or None."""
    if isinstance(message, PointCloud2):
        points = points_from_cloud(message)
        return lambda box: place_in_points(points, box, image_size)
    if info is None or info.k[0] <= 0:
        raise UserError("depth images come, but no CameraInfo beside the image says how to read them; places need both")
    zoom_x, zoom_y = image_size[0] / (info.width or image_size[0]), image_size[1] / (info.height or image_size[1])
    intrinsics = Intrinsics(info.k[0] * zoom_x, info.k[4] * zoom_y, info.k[2] * zoom_x, info.k[5] * zoom_y)
    depth = depth_from_image(message)
    return lambda box: place_in_depth(depth, box, image_size, intrinsics)


def depth_from_image(message: Image) -> Float32:
    """(height, width) float32 metres along z from a depth image: 16UC1 in millimetres or 32FC1 in metres (REP 118).

    Raises UserError for another encoding, or data that do not fit the size.
    """
    kinds = {"16UC1": ("u2", 1e-3), "mono16": ("u2", 1e-3), "32FC1": ("f4", 1.0)}
    if message.encoding not in kinds:
        raise UserError(f"depth image with encoding '{message.encoding}'; understood are {', '.join(kinds)}")
    name, scale = kinds[message.encoding]
    kind = np.dtype((">" if message.is_bigendian else "<") + name)
    row = message.width * kind.itemsize
    if not row or message.step < row or len(message.data) < message.step * (message.height - 1) + row:
        raise UserError(f"depth image of {message.width}x{message.height} with {len(message.data)} bytes of data")
    buffer = np.frombuffer(message.data, dtype=np.uint8)
    lines = np.lib.stride_tricks.as_strided(buffer, (message.height, row), (message.step, 1), writeable=False)
    return np.ascontiguousarray(lines).view(kind).astype(np.float32) * np.float32(scale)


def points_from_cloud(message: PointCloud2) -> Float32:
    """(height, width, 3) float32 from an organised cloud with float32 fields x, y, z. Raises UserError for another."""
    offsets = {field.name: field.offset for field in message.fields if field.datatype == PointField.FLOAT32}
    if message.height < 2 or not {"x", "y", "z"} <= set(offsets):
        raise UserError(
            f"point cloud of height {message.height} with float fields {', '.join(offsets) or 'none'}; places need an "
            "organised cloud (one point for each pixel) with x, y, z"
        )
    if len(message.data) < message.row_step * message.height:
        raise UserError(f"point cloud of {message.width}x{message.height} with {len(message.data)} bytes of data")
    kind = np.dtype(
        {
            "names": ["x", "y", "z"],
            "formats": 3 * [(">" if message.is_bigendian else "<") + "f4"],
            "offsets": [offsets[name] for name in ("x", "y", "z")],
            "itemsize": message.point_step,
        }
    )
    rows = np.frombuffer(message.data, dtype=np.uint8)[: message.row_step * message.height].reshape(message.height, -1)
    points = np.ascontiguousarray(rows[:, : message.width * message.point_step]).view(kind)
    return np.stack([points["x"], points["y"], points["z"]], axis=-1).astype(np.float32)


def detections_3d(
    tubes: Sequence[Tube], places: Mapping[int, Place], header: Header, labels: Sequence[str]
) -> Detection3DArray:
    """The tubes that have a place; id is the tube's, class_id the action's name."""
    found = [_detection(tube, places[tube.id], header, labels) for tube in tubes if tube.id in places]
    return Detection3DArray(header=header, detections=found)


def pose_of(place: Place) -> Pose:
    """The place's middle, upright in the camera's frame."""
    x, y, z = place.position.tolist()
    return Pose(position=Point(x=x, y=y, z=z), orientation=Quaternion(w=1.0))


def size_of(place: Place) -> Vector3:
    """The place's extents."""
    x, y, z = place.size.tolist()
    return Vector3(x=x, y=y, z=z)


def _detection(tube: Tube, place: Place, header: Header, labels: Sequence[str]) -> Detection3D:
    hypothesis = ObjectHypothesisWithPose(
        hypothesis=ObjectHypothesis(class_id=labels[tube.label], score=float(tube.score))
    )
    hypothesis.pose.pose = pose_of(place)
    box = BoundingBox3D(center=pose_of(place), size=size_of(place))
    return Detection3D(header=header, id=str(tube.id), bbox=box, results=[hypothesis])
