"""Places in space through the node, and depth messages of every kind."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from sensor_msgs.msg import CameraInfo, Image, PointCloud2, PointField
from stage import Stage, darkness, wait_until
from std_msgs.msg import Header
from tiny_model import box_in
from vision_msgs.msg import Detection3DArray
from visualization_msgs.msg import Marker, MarkerArray

from amtnet_ros.errors import UserError
from amtnet_ros.ros.depth_messages import depth_from_image, points_from_cloud
from amtnet_ros.ros.messages import nanoseconds, time_message

WIDTH, HEIGHT, FOCAL, AWAY = 64, 48, 50.0, 2.5
METRES = np.linspace(0.5, 6.0, WIDTH * HEIGHT, dtype=np.float32).reshape(HEIGHT, WIDTH)


def depth_message(encoding: str, metres: np.ndarray, bigendian: bool = False, padding: int = 0) -> Image:
    order = ">" if bigendian else "<"
    samples = metres.astype(order + "f4") if encoding == "32FC1" else np.rint(metres * 1000).astype(order + "u2")
    rows = np.pad(samples.view(np.uint8).reshape(len(metres), -1), ((0, 0), (0, padding)))
    height, width = metres.shape
    return Image(
        height=height, width=width, encoding=encoding, step=rows.shape[1], is_bigendian=bigendian, data=rows.tobytes()
    )


def cloud_message(points: np.ndarray, bigendian: bool = False, padding: int = 0) -> PointCloud2:
    """With a colour between y and z, as many cameras send it."""
    order = ">" if bigendian else "<"
    kind = np.dtype([("x", order + "f4"), ("y", order + "f4"), ("rgb", order + "u4"), ("z", order + "f4")])
    records = np.zeros(points.shape[:2], dtype=kind)
    for axis, name in enumerate("xyz"):
        records[name] = points[..., axis]
    rows = np.pad(records.view(np.uint8).reshape(len(points), -1), ((0, 0), (0, padding)))
    fields = [
        PointField(name=name, offset=offset, datatype=kind_of, count=1)
        for name, offset, kind_of in (("x", 0, 7), ("y", 4, 7), ("rgb", 8, 6), ("z", 12, 7))
    ]
    height, width = points.shape[:2]
    return PointCloud2(
        height=height,
        width=width,
        fields=fields,
        is_bigendian=bigendian,
        point_step=16,
        row_step=rows.shape[1],
        data=rows.tobytes(),
    )


@pytest.mark.parametrize("bigendian", [False, True])
@pytest.mark.parametrize("padding", [0, 8])
@pytest.mark.parametrize(("encoding", "tolerance"), [("16UC1", 0.0005), ("32FC1", 0.0)])
def test_depth_images_become_metres(encoding: str, tolerance: float, padding: int, bigendian: bool) -> None:
    got = depth_from_image(depth_message(encoding, METRES, bigendian, padding))
    np.testing.assert_allclose(got, METRES, atol=tolerance + 1e-7)


@pytest.mark.parametrize("bigendian", [False, True])
@pytest.mark.parametrize("padding", [0, 16])
def test_organised_clouds_become_points(padding: int, bigendian: bool) -> None:
    points = np.stack([METRES - 3, -METRES, METRES], axis=-1)
    np.testing.assert_array_equal(points_from_cloud(cloud_message(points, bigendian, padding)), points)


def test_depth_that_cannot_be_used_is_named_in_one_line() -> None:
    image = depth_message("32FC1", METRES)
    image.data = image.data[:100]
    flat = cloud_message(METRES.reshape(1, -1, 1).repeat(3, axis=-1))
    for convert, message, words in (
        (depth_from_image, Image(encoding="rgb8"), "encoding 'rgb8'"),
        (depth_from_image, image, "64x48 with 100 bytes"),
        (points_from_cloud, flat, "height 1"),
    ):
        with pytest.raises(UserError) as caught:
            convert(message)
        assert words in str(caught.value)
        assert "\n" not in str(caught.value)


@pytest.mark.parametrize("source", ["image", "points"])
def test_tubes_are_placed_in_space(stage: Stage, source: str) -> None:
    heard: list[Detection3DArray] = []
    markers: list[MarkerArray] = []
    stage.node.create_subscription(Detection3DArray, "action_detections_3d", heard.append, 10)
    stage.node.create_subscription(MarkerArray, "/detector/markers", markers.append, 10)
    infos = stage.node.create_publisher(CameraInfo, "camera_info", 1)
    depth = stage.node.create_publisher(
        Image if source == "image" else PointCloud2, "depth_image" if source == "image" else "points", 1
    )
    stage.detector(**{"depth.source": source})
    wait_until(depth.get_subscription_count, "the detector listens to the depth")
    wait_until(infos.get_subscription_count, "the detector listens to the camera's info")
    metres = np.full((HEIGHT, WIDTH), AWAY, dtype=np.float32)
    v, u = np.mgrid[:HEIGHT, :WIDTH] + 0.5
    points = np.stack([(u - WIDTH / 2) / FOCAL * metres, (v - HEIGHT / 2) / FOCAL * metres, metres], axis=-1)
    message: Any = depth_message("32FC1", metres) if source == "image" else cloud_message(points.astype(np.float32))
    info = CameraInfo(width=WIDTH, height=HEIGHT)
    info.k = [FOCAL, 0.0, WIDTH / 2, 0.0, FOCAL, HEIGHT / 2, 0.0, 0.0, 1.0]

    def frames() -> Any:
        while True:
            message.header = Header(stamp=time_message(stage.next_stamp), frame_id="depth_optical")
            infos.publish(info)
            depth.publish(message)
            yield np.full((HEIGHT, WIDTH, 3), 250, dtype=np.uint8)

    stage.film(frames(), until=lambda: sum(bool(each.detections) for each in heard) >= 3)
    answered = {nanoseconds(each.header.stamp) for each in stage.tubes}
    x1, y1, x2, y2 = box_in(WIDTH, HEIGHT)
    for array in heard:
        assert array.header.frame_id == "depth_optical"
        assert nanoseconds(array.header.stamp) in answered
        for detection in array.detections:
            position, size = detection.bbox.center.position, detection.bbox.size
            np.testing.assert_allclose((position.x, position.y, position.z), (0, 0, AWAY), atol=0.05)
            wanted = ((x2 - x1) / FOCAL * AWAY, (y2 - y1) / FOCAL * AWAY)
            np.testing.assert_allclose((size.x, size.y), wanted, rtol=0.1)
            assert detection.results[0].hypothesis.class_id == "bright"
    wait_until(
        lambda: any(marker.type == Marker.CUBE for array in markers for marker in array.markers), "cubes are drawn"
    )


def test_depth_costs_nothing_while_it_is_off(stage: Stage) -> None:
    depth = stage.node.create_publisher(Image, "depth_image", 1)
    stage.detector()
    stage.film(darkness(), until=lambda: len(stage.tubes) > 3)
    assert depth.get_subscription_count() == 0
