"""Intrinsics of the images beside a CameraInfo: regions of interest, binning, scaled and rectified images."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from sensor_msgs.msg import CameraInfo, RegionOfInterest

from amtnet_ros.errors import UserError
from amtnet_ros.ros.camera_info import intrinsics_from_info
from amtnet_ros.ros.places import place_in_depth

AWAY = 2.0


def info_of(roi: tuple[int, int, int, int] = (0, 0, 0, 0), binning: int = 0, **more: Any) -> CameraInfo:
    """640x480, K with focal length 600; P with 500 and another centre. roi: left, top, width, height."""
    left, top, width, height = roi
    return CameraInfo(
        width=640,
        height=480,
        k=[600.0, 0.0, 320.0, 0.0, 600.0, 240.0, 0.0, 0.0, 1.0],
        p=[500.0, 0.0, 310.0, 0.0, 0.0, 500.0, 230.0, 0.0, 0.0, 0.0, 1.0, 0.0],
        roi=RegionOfInterest(x_offset=left, y_offset=top, width=width, height=height),
        binning_x=binning,
        binning_y=binning,
        **more,
    )


@pytest.mark.parametrize(
    ("roi", "binning", "size", "position", "extent"),
    [
        ((0, 0, 0, 0), 0, (640, 480), (0.0, 0.0), (320 / 600, 240 / 600)),
        ((0, 0, 0, 0), 1, (640, 480), (0.0, 0.0), (320 / 600, 240 / 600)),
        ((0, 0, 0, 0), 2, (320, 240), (0.0, 0.0), (320 / 600, 240 / 600)),
        ((0, 0, 0, 0), 0, (320, 240), (0.0, 0.0), (320 / 600, 240 / 600)),  # a driver that scales, and does not say so
        ((160, 120, 320, 240), 0, (320, 240), (0.0, 0.0), (160 / 600, 120 / 600)),
        ((320, 240, 320, 240), 0, (320, 240), (160 / 600, 120 / 600), (160 / 600, 120 / 600)),
        ((320, 240, 320, 240), 2, (160, 120), (160 / 600, 120 / 600), (160 / 600, 120 / 600)),
        ((160, 120, 320, 240), 0, (640, 480), (0.0, 0.0), (320 / 600, 240 / 600)),  # named, but the whole image is sent
    ],
)
def test_the_middle_of_the_image_is_where_the_calibration_says(
    roi: tuple[int, int, int, int],
    binning: int,
    size: tuple[int, int],
    position: tuple[float, float],
    extent: tuple[float, float],
) -> None:
    """Half of the image's width and height, seen at a wall, in metres at a distance of one."""
    intrinsics = intrinsics_from_info(info_of(roi, binning), size, rectified=False)
    assert intrinsics is not None
    wall = np.full((size[1], size[0]), AWAY, dtype=np.float32)
    width, height = size
    box = np.array([0.25 * width, 0.25 * height, 0.75 * width, 0.75 * height], dtype=np.float32)
    place = place_in_depth(wall, box, size, intrinsics)
    assert place is not None
    np.testing.assert_allclose(place.position, (AWAY * position[0], AWAY * position[1], AWAY), atol=0.01)
    np.testing.assert_allclose(place.size[:2], (AWAY * extent[0], AWAY * extent[1]), rtol=0.02)


def test_rectified_images_are_read_by_p() -> None:
    raw, rectified = (intrinsics_from_info(info_of(binning=2), (320, 240), rectified=each) for each in (False, True))
    assert raw is not None
    assert rectified is not None
    assert (raw.fx, raw.fy, raw.cx, raw.cy) == (300, 300, 160, 120)
    assert (rectified.fx, rectified.fy, rectified.cx, rectified.cy) == (250, 250, 155, 115)


def test_p_and_k_stand_in_for_each_other_where_one_is_missing() -> None:
    only_k, only_p = info_of(), info_of()
    only_k.p, only_p.k = [0.0] * 12, [0.0] * 9
    for info, focal in ((only_k, 600), (only_p, 500)):
        for rectified in (False, True):
            intrinsics = intrinsics_from_info(info, (640, 480), rectified)
            assert intrinsics is not None
            assert intrinsics.fx == focal


def test_without_calibration_there_are_no_intrinsics() -> None:
    assert intrinsics_from_info(CameraInfo(width=640, height=480), (640, 480), rectified=False) is None


def test_a_region_outside_of_the_image_is_refused() -> None:
    with pytest.raises(UserError, match="320x240 at 400, 0, which does not lie in it"):
        intrinsics_from_info(info_of((400, 0, 320, 240)), (320, 240), rectified=False)
