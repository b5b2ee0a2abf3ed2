"""Places in space through the node, and depth messages of every kind."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from diagnostic_msgs.msg import DiagnosticArray, DiagnosticStatus
from sensor_msgs.msg import CameraInfo, Image, PointCloud2, PointField
from stage import Stage, darkness, ends, wait_until
from std_msgs.msg import Header
from tiny import box_in
from vision_msgs.msg import Detection3DArray
from visualization_msgs.msg import Marker, MarkerArray

from amtnet_ros.errors import UserError
from amtnet_ros.ros.depth import locator
from amtnet_ros.ros.depth_messages import depth_from_image, points_from_cloud
from amtnet_ros.ros.messages import nanoseconds, time_message
from amtnet_ros.ros.places import Intrinsics

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


WALL = np.full((HEIGHT, WIDTH), AWAY, dtype=np.float32)
V, U = np.mgrid[:HEIGHT, :WIDTH] + 0.5
POINTS = np.stack([(U - WIDTH / 2) / FOCAL * WALL, (V - HEIGHT / 2) / FOCAL * WALL, WALL], axis=-1).astype(np.float32)

BAD_CLOUDS: list[tuple[dict[str, Any], str]] = [
    ({"point_step": 8, "row_step": 512}, "point_step 8, but x, y, z reach to byte 16"),
    ({"point_step": 0}, "point_step 0"),
    ({"row_step": 0}, "row step of 0 bytes, but a row has 1024"),
    ({"row_step": 1023}, "row step of 1023 bytes"),
    ({"row_step": 1008}, "row step of 1008 bytes"),
    ({"width": 0}, "zero size, 0x48"),
    ({"height": 0}, "height 0"),
    ({"height": 1}, "height 1"),
    ({"height": 49}, "49152 bytes of data, but it needs 50176"),
    ({"width": 2**31}, "row step of 1024 bytes"),
    ({"fields": []}, "float fields none"),
    ({"data": b""}, "0 bytes of data"),
]


def fields(**changes: tuple[int, int, int]) -> dict[str, Any]:
    """x, y, z of the cloud, some with another (offset, datatype, count)."""
    usual = {"x": (0, 7, 1), "y": (4, 7, 1), "z": (12, 7, 1)}
    each = [(name.rstrip("_"), *facts) for name, facts in {**usual, **changes}.items()]
    return {"fields": [PointField(name=n, offset=o, datatype=d, count=c) for n, o, d, c in each]}


BAD_CLOUDS += [
    (fields(z=(12, 8, 1)), "float fields 'x, y'"),  # float64, which would reach beyond the point
    (fields(z=(12, 0, 1)), "float fields 'x, y'"),
    (fields(z=(12, 7, 3)), "float fields 'x, y'"),  # an array of three
    (fields(z=(13, 7, 1)), "point_step 16, but x, y, z reach to byte 17"),
    (fields(x=(2**32 - 1, 7, 1)), "reach to byte 4294967299"),
    (fields(x_=(8, 7, 1)), "2 fields that are called x"),
]

BAD_DEPTHS: list[tuple[dict[str, Any], str]] = [
    ({"encoding": "rgb8"}, "encoding 'rgb8'"),
    ({"encoding": "16SC1"}, "encoding '16SC1'"),
    ({"encoding": "64FC1"}, "encoding '64FC1'"),
    ({"encoding": ""}, "encoding ''"),
    ({"encoding": "32FC1\n"}, r"encoding '32FC1\n'"),
    ({"width": 2**31}, "row step of 256 bytes, but a row has 8589934592"),
    ({"height": 2**32 - 1}, "12288 bytes of data, but it needs 1099511627520"),
    ({"height": 0}, "zero size, 64x0"),
    ({"width": 0}, "zero size, 0x48"),
    ({"step": 0}, "row step of 0 bytes, but a row has 256"),
    ({"step": 252}, "row step of 252 bytes"),
    ({"data": bytes(100)}, "64x48 with 100 bytes of data, but it needs 12288"),
]


def changed(message: Any, changes: dict[str, Any]) -> Any:
    for name, value in changes.items():
        setattr(message, name, value)
    return message


@pytest.mark.parametrize(("changes", "words"), BAD_CLOUDS)
def test_a_cloud_that_cannot_be_used_is_refused_in_one_line(changes: dict[str, Any], words: str) -> None:
    with pytest.raises(UserError) as caught:
        points_from_cloud(changed(cloud_message(POINTS), changes))
    assert words in str(caught.value)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(("changes", "words"), BAD_DEPTHS)
def test_a_depth_image_that_cannot_be_used_is_refused_in_one_line(changes: dict[str, Any], words: str) -> None:
    with pytest.raises(UserError) as caught:
        depth_from_image(changed(depth_message("32FC1", METRES), changes))
    assert words in str(caught.value)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"is_bigendian": True}, "in axes that are neither"),
        (fields(x=(4, 7, 1), y=(0, 7, 1)), "in axes that are neither"),
        (fields(x=(12, 7, 1), y=(12, 7, 1)), "in axes that are neither"),
        ({"width": 32, "row_step": 1024}, "depth of 32x48 for images of 64x48: another shape"),
        ({"width": 48, "height": 64, "row_step": 768}, "depth of 48x64 for images of 64x48: another shape"),
    ],
)
def test_a_cloud_that_shows_nothing_a_camera_sees_is_refused(changes: dict[str, Any], words: str) -> None:
    with pytest.raises(UserError, match=words):
        locator(changed(cloud_message(POINTS), changes), (WIDTH, HEIGHT), None)


def test_a_field_that_does_not_say_how_many_values_it_has_has_one() -> None:
    message = changed(cloud_message(POINTS), fields(z=(12, 7, 0)))
    np.testing.assert_array_equal(points_from_cloud(message), POINTS)


@pytest.mark.parametrize("wild", [3e38, 1e-45, np.inf, np.nan])
def test_values_that_no_sensor_measures_leave_the_place_finite(wild: float) -> None:
    metres = WALL.copy()
    metres[::2] = wild
    place = locator(depth_message("32FC1", metres), (WIDTH, HEIGHT), Intrinsics(FOCAL, FOCAL, WIDTH / 2, HEIGHT / 2))(
        np.array(box_in(WIDTH, HEIGHT), dtype=np.float32)
    )
    assert place is not None
    assert np.isfinite(place.position).all()
    if wild != 1e-45:  # which is a distance, though a small one, and half of all
        assert place.position[2] == pytest.approx(AWAY)


@pytest.mark.parametrize("kind", ["optical axes", "body axes"])
def test_a_cloud_in_millimetres_is_refused(kind: str) -> None:
    points = 1000 * (POINTS if kind == "optical axes" else np.stack([WALL, -POINTS[..., 0], -POINTS[..., 1]], axis=-1))
    with pytest.raises(UserError, match="point cloud with nothing nearer than 2500;"):
        locator(cloud_message(points), (WIDTH, HEIGHT), None)


def test_floats_in_millimetres_are_refused() -> None:
    far = np.where(METRES > 3, METRES * 1000, METRES).astype(np.float32)  # a simulator's sky amid what is near
    np.testing.assert_array_equal(depth_from_image(depth_message("32FC1", far)), far)
    with pytest.raises(UserError, match=r"32FC1 with nothing nearer than .* millimetres") as caught:
        depth_from_image(depth_message("32FC1", METRES * 1000))
    assert "\n" not in str(caught.value)


def test_a_saturated_depth_is_unknown() -> None:
    """The actor's middle, and half of what is round it, has no depth: not 65.5 m."""
    metres = WALL.copy()
    metres[::2] = 65.535
    metres[1:-1:4] = 65.535
    depth = depth_message("16UC1", metres)
    place = locator(depth, (WIDTH, HEIGHT), Intrinsics(FOCAL, FOCAL, WIDTH / 2, HEIGHT / 2))(
        np.array(box_in(WIDTH, HEIGHT), dtype=np.float32)
    )
    assert place is not None
    assert place.position[2] == pytest.approx(AWAY)


class Scene:
    """Plays a bright camera with depth beside it, and listens to the places and the detector's health."""

    def __init__(self, stage: Stage, source: str, **parameters: Any) -> None:
        self.stage = stage
        self.places: list[Detection3DArray] = []
        self.markers: list[MarkerArray] = []
        self.health: list[DiagnosticStatus] = []
        stage.node.create_subscription(Detection3DArray, "action_detections_3d", self.places.append, 10)
        stage.node.create_subscription(MarkerArray, "/detector/markers", self.markers.append, 10)
        stage.node.create_subscription(DiagnosticArray, "/diagnostics", lambda m: self.health.extend(m.status), 10)
        infos = stage.node.create_publisher(CameraInfo, "camera_info", 1)
        kind, topic = (Image, "depth_image") if source == "image" else (PointCloud2, "points")
        depth = stage.node.create_publisher(kind, topic, 10)
        self.detector = stage.detector(**{"depth.source": source, **parameters})
        wait_until(depth.get_subscription_count, "the detector listens to the depth")
        wait_until(infos.get_subscription_count, "the detector listens to the camera's info")
        self.focal = FOCAL
        self.lens = ""
        self._publish_info, self._publish_depth = infos.publish, depth.publish

    def film(self, message: Any, until: Any, late: float = 0.0) -> None:
        """Frames with this depth, whose stamp is so many seconds later; message: None for no depth."""
        info = CameraInfo(width=WIDTH, height=HEIGHT, distortion_model=self.lens, d=[0.1, 0.0, 0.0, 0.0])
        info.k = [self.focal, 0.0, WIDTH / 2, 0.0, FOCAL, HEIGHT / 2, 0.0, 0.0, 1.0]

        def frames() -> Any:
            while True:
                self._publish_info(info)
                if message is not None:
                    stamp = self.stage.next_stamp + round(late * 1e9)
                    message.header = Header(stamp=time_message(stamp), frame_id="depth_optical")
                    self._publish_depth(message)
                yield np.full((HEIGHT, WIDTH, 3), 250, dtype=np.uint8)

        self.stage.film(frames(), until=until)

    def placed(self, count: int) -> Any:
        """Whether so many more steps than now have places."""
        before = sum(bool(each.detections) for each in self.places)
        return lambda: sum(bool(each.detections) for each in self.places) >= before + count

    def value(self, key: str) -> str:
        return next((pair.value for pair in self.health[-1].values if pair.key == key), "") if self.health else ""


def body_cloud() -> PointCloud2:
    """The wall in axes with x forward, y left, z up."""
    return cloud_message(np.stack([POINTS[..., 2], -POINTS[..., 0], -POINTS[..., 1]], axis=-1))


@pytest.mark.parametrize("kind", ["image", "points", "points in body axes"])
def test_tubes_are_placed_in_space(stage: Stage, kind: str) -> None:
    scene = Scene(stage, kind.split()[0])
    message = {"image": depth_message("32FC1", WALL), "points": cloud_message(POINTS)}.get(kind, body_cloud())
    scene.film(message, until=scene.placed(3))
    answered = {nanoseconds(each.header.stamp) for each in stage.tubes}
    x1, y1, x2, y2 = box_in(WIDTH, HEIGHT)
    width, height = (x2 - x1) / FOCAL * AWAY, (y2 - y1) / FOCAL * AWAY
    ahead, sideways, upwards = (0, 1, 2) if "body" in kind else (2, 0, 1)
    for array in scene.places:
        assert array.header.frame_id == "depth_optical"
        assert nanoseconds(array.header.stamp) in answered
        for detection in array.detections:
            position, size = ((p.x, p.y, p.z) for p in (detection.bbox.center.position, detection.bbox.size))
            assert position[ahead] == pytest.approx(AWAY, abs=0.05)
            assert (position[sideways], position[upwards]) == pytest.approx((0, 0), abs=0.05)
            assert (size[sideways], size[upwards]) == pytest.approx((width, height), rel=0.1)
            assert size[ahead] < 0.05
            assert detection.results[0].hypothesis.class_id == "bright"
    wait_until(
        lambda: any(marker.type == Marker.CUBE for array in scene.markers for marker in array.markers),
        "cubes are drawn",
    )


@pytest.mark.parametrize("source", ["image", "points"])
def test_malformed_depth_costs_one_line_and_itself(stage: Stage, source: str) -> None:
    scene = Scene(stage, source)

    def good() -> Any:
        return depth_message("32FC1", WALL) if source == "image" else cloud_message(POINTS)

    scene.film(good(), until=scene.placed(3))
    bad = BAD_DEPTHS if source == "image" else BAD_CLOUDS
    for changes, _ in bad:
        before = len(stage.tubes)
        scene.film(changed(good(), changes), until=lambda before=before: len(stage.tubes) > before)
    scene.film(good(), until=scene.placed(5))
    wait_until(lambda: int(scene.value("depth refused") or 0) >= len(bad), "each is counted")
    assert scene.value("internal errors") == "0"
    assert not ends(stage.tubes)
    assert len({tube.id for message in stage.tubes for tube in message.tubes}) == 1
    assert scene.detector.output.count("Depth refused") <= 2, "throttled: one line within ten seconds"
    assert "Traceback" not in scene.detector.output


def test_a_camera_info_that_is_none_costs_a_line_and_no_place_of_a_cloud(stage: Stage) -> None:
    scene = Scene(stage, "points")
    scene.focal = float("nan")
    scene.film(cloud_message(POINTS), until=scene.placed(3))
    scene.detector.wait_for("CameraInfo whose K has the focal lengths nan")
    assert scene.value("internal errors") in ("", "0")


def test_a_fisheye_beside_depth_costs_a_line_and_no_tube(stage: Stage) -> None:
    scene = Scene(stage, "image")
    scene.lens = "equidistant"
    scene.film(depth_message("32FC1", WALL), until=lambda: "a fisheye's directions" in scene.detector.output)
    assert not scene.places
    scene.lens = "plumb_bob"
    scene.film(depth_message("32FC1", WALL), until=scene.placed(3))
    assert len({tube.id for message in stage.tubes for tube in message.tubes}) == 1


def test_depth_at_another_time_is_named_with_the_numbers(stage: Stage) -> None:
    scene = Scene(stage, "points", **{"depth.tolerance": 0.02})
    text = "nearest depth is 0.03 s away; tolerance 0.02 s"
    scene.film(cloud_message(POINTS), until=lambda: text in scene.detector.output, late=0.0333)
    wait_until(lambda: any(text in status.message for status in scene.health), "diagnostics say so")
    assert next(status for status in scene.health if text in status.message).level == DiagnosticStatus.WARN
    assert not scene.places


def test_depth_that_never_comes_is_named(stage: Stage) -> None:
    scene = Scene(stage, "points", image_timeout=1.5)
    said = "no depth on /points for"
    scene.film(None, until=lambda: said in scene.detector.output and any(message.tubes for message in stage.tubes))


def test_depth_of_another_type_is_named(stage: Stage) -> None:
    stage.node.create_publisher(Image, "points", 1)
    detector = stage.detector(**{"depth.source": "points", "image_timeout": 1.5})
    detector.wait_for("/points carries sensor_msgs/msg/Image")


def test_depth_costs_nothing_while_it_is_off(stage: Stage) -> None:
    depth = stage.node.create_publisher(Image, "depth_image", 1)
    stage.detector()
    stage.film(darkness(), until=lambda: len(stage.tubes) > 3)
    assert depth.get_subscription_count() == 0
