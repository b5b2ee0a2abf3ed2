"""Clouds tell their axes themselves."""

from __future__ import annotations

import numpy as np
import pytest

from amtnet_ros.errors import UserError
from amtnet_ros.ros.depth_messages import BODY, OPTICAL, axes_of

WIDTH, HEIGHT, FOCAL = 64, 48, 50.0


def cloud(depth: np.ndarray, centre: tuple[float, float] = (WIDTH / 2, HEIGHT / 2)) -> np.ndarray:
    """Of a pinhole camera, in optical axes."""
    v, u = np.mgrid[:HEIGHT, :WIDTH] + 0.5
    points = [(u - centre[0]) / FOCAL * depth, (v - centre[1]) / FOCAL * depth, depth]
    return np.stack(points, axis=-1).astype(np.float32)


def in_body_axes(points: np.ndarray) -> np.ndarray:
    """x forward, y left, z up."""
    return np.stack([points[..., 2], -points[..., 0], -points[..., 1]], axis=-1)


WALL = np.full((HEIGHT, WIDTH), 2.0)
ROUGH = np.random.default_rng(5).uniform(0.5, 8.0, (HEIGHT, WIDTH))


@pytest.mark.parametrize("depth", [WALL, ROUGH], ids=["wall", "rough"])
@pytest.mark.parametrize("centre", [(32.0, 24.0), (0.0, 0.0), (64.0, 48.0)], ids=["middle", "left top", "right bottom"])
@pytest.mark.parametrize("unknown", [np.nan, 0.0])
def test_optical_and_body_axes_are_told_apart(depth: np.ndarray, centre: tuple[float, float], unknown: float) -> None:
    points = cloud(depth, centre)
    points[np.random.default_rng(2).random(depth.shape) < 0.7] = unknown
    assert axes_of(points) is OPTICAL
    assert axes_of(in_body_axes(points)) is BODY
    np.testing.assert_array_equal(in_body_axes(points) @ BODY.T, points)


def test_an_actor_alone_is_enough() -> None:
    points = cloud(WALL)
    points[np.arange(HEIGHT) > 20] = np.nan
    points[:, np.arange(WIDTH) > 8] = np.nan
    assert axes_of(in_body_axes(points)) is BODY


@pytest.mark.parametrize(
    "wrong",
    [
        lambda points: -points,
        lambda points: points[..., [1, 0, 2]],
        lambda points: points[:, ::-1],
        lambda points: points + np.float32([0, 0, -2.0]) * np.float32(1.5),
        lambda points: points * 0 + np.float32(3e38),
    ],
    ids=["backwards", "turned", "mirrored", "elsewhere", "one point"],
)
def test_other_axes_are_refused(wrong: object) -> None:
    with pytest.raises(UserError, match="in axes that are neither the camera's"):
        axes_of(wrong(cloud(ROUGH)))


def test_with_too_few_points_clouds_are_taken_for_optical() -> None:
    assert axes_of(np.full((HEIGHT, WIDTH, 3), np.nan, dtype=np.float32)) is OPTICAL
