"""Places from depth, against scenes whose geometry is known."""

from __future__ import annotations

import numpy as np
import pytest

from amtnet_ros.ros.places import Intrinsics, place_in_depth, place_in_points

SIZE = (640, 480)
CAMERA = Intrinsics(fx=500.0, fy=520.0, cx=320.0, cy=240.0)
PERSON = (0.5, 0.1, 3.0, 0.6, 1.7)  # x, y, z of the middle; width and height; metres


def box_of(x: float, y: float, z: float, width: float, height: float) -> np.ndarray:
    """The pixels that a flat thing facing the camera covers."""
    left, right = (CAMERA.fx * (x + side * width / 2) / z + CAMERA.cx for side in (-1, 1))
    top, bottom = (CAMERA.fy * (y + side * height / 2) / z + CAMERA.cy for side in (-1, 1))
    return np.array([left, top, right, bottom], dtype=np.float32)


def scene(scale: float = 1.0, wall: float = 6.0) -> np.ndarray:
    """Depth in metres: the person before a wall."""
    width, height = round(SIZE[0] * scale), round(SIZE[1] * scale)
    depth = np.full((height, width), wall, dtype=np.float32)
    x1, y1, x2, y2 = (box_of(*PERSON) * scale).round().astype(int)
    depth[y1:y2, x1:x2] = PERSON[2]
    return depth


def check(place: object, position_atol: float = 0.03, size_atol: float = 0.06) -> None:
    assert place is not None
    np.testing.assert_allclose(place.position, PERSON[:3], atol=position_atol)
    np.testing.assert_allclose(place.size[:2], PERSON[3:], atol=size_atol)
    assert place.size[2] <= 0.6


@pytest.mark.parametrize("scale", [1.0, 0.5, 2.0])
def test_a_person_before_a_wall_is_placed(scale: float) -> None:
    check(place_in_depth(scene(scale), box_of(*PERSON), SIZE, CAMERA))


def test_background_in_a_box_that_is_too_large_does_not_matter() -> None:
    box = box_of(*PERSON) + np.array([-25, -30, 25, 30], dtype=np.float32)
    check(place_in_depth(scene(), box, SIZE, CAMERA))


def test_holes_and_wild_values_do_not_matter() -> None:
    depth = scene()
    rng = np.random.default_rng(3)
    depth[rng.random(depth.shape) < 0.3] = 0.0
    depth[rng.random(depth.shape) < 0.2] = np.nan
    depth[rng.random(depth.shape) < 0.1] = np.inf
    depth[rng.random(depth.shape) < 0.05] = 0.4
    check(place_in_depth(depth, box_of(*PERSON), SIZE, CAMERA))


def test_an_organised_point_cloud_says_the_same() -> None:
    depth = scene()
    v, u = np.mgrid[: SIZE[1], : SIZE[0]] + 0.5
    points = np.stack([(u - CAMERA.cx) / CAMERA.fx * depth, (v - CAMERA.cy) / CAMERA.fy * depth, depth], axis=-1)
    by_points = place_in_points(points.astype(np.float32), box_of(*PERSON), SIZE)
    check(by_points)
    np.testing.assert_allclose(
        by_points.position, place_in_depth(depth, box_of(*PERSON), SIZE, CAMERA).position, atol=1e-5
    )


def test_without_depth_there_is_no_place() -> None:
    assert place_in_depth(np.zeros((480, 640), dtype=np.float32), box_of(*PERSON), SIZE, CAMERA) is None
    sparse = scene()
    keep = np.random.default_rng(1).random(sparse.shape) < 0.03
    assert place_in_depth(np.where(keep, sparse, np.nan).astype(np.float32), box_of(*PERSON), SIZE, CAMERA) is None


@pytest.mark.parametrize("box", [(-50, -50, 30, 40), (600, 400, 900, 700), (10, 10, 10.4, 10.4), (0, 0, 640, 480)])
def test_any_box_can_be_asked_for(box: tuple[float, ...]) -> None:
    place = place_in_depth(scene(), np.array(box, dtype=np.float32), SIZE, CAMERA)
    assert place is not None
    assert np.isfinite(place.position).all()
    assert (place.size >= 0).all()
