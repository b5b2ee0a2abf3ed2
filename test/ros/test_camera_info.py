"""Intrinsics of the images beside a CameraInfo: regions of interest, binning, scaled and rectified images."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from sensor_msgs.msg import CameraInfo, RegionOfInterest

from amtnet_ros.errors import UserError
from amtnet_ros.ros.camera_info import check_pinhole, intrinsics_from_info
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


@pytest.mark.parametrize("wrong", [np.nan, np.inf, -np.inf, -600.0, 1e300, 1e-300])
@pytest.mark.parametrize(("rectified", "matrix", "place"), [(False, "k", 0), (False, "k", 4), (True, "p", 5)])
def test_focal_lengths_that_no_camera_has_are_refused(wrong: float, rectified: bool, matrix: str, place: int) -> None:
    info = info_of()
    values = np.array(getattr(info, matrix))
    values[place] = wrong
    setattr(info, matrix, values)
    with pytest.raises(UserError, match=f"CameraInfo whose {matrix.upper()} has the focal lengths .*: no calibration"):
        intrinsics_from_info(info, (640, 480), rectified)


def wide(focal: float) -> CameraInfo:
    info = info_of()
    info.k = [focal, 0.0, 0.0, 0.0, focal, 0.0, 0.0, 0.0, 1.0]
    return info


@pytest.mark.parametrize("focal", [1.0, 31.0])
def test_a_matrix_that_is_the_identity_is_no_calibration(focal: float) -> None:
    with pytest.raises(UserError, match="no calibration"):
        intrinsics_from_info(wide(focal), (320, 240), rectified=False)
    intrinsics = intrinsics_from_info(wide(33.0), (320, 240), rectified=False)  # a lens that is as wide as they come
    assert intrinsics is not None
    assert intrinsics.fx == 16.5


def test_a_fisheye_is_no_pinhole() -> None:
    with pytest.raises(UserError, match="distortion model 'equidistant'"):
        check_pinhole(info_of(distortion_model="equidistant", d=[0.1, 0.0, 0.0, 0.0]))
    check_pinhole(info_of(distortion_model="equidistant", d=[0.0] * 4))  # as some drivers say of rectified images
    check_pinhole(info_of(distortion_model="plumb_bob", d=[-0.1, 0.0, 0.0, 0.0, 0.0]))


@pytest.mark.parametrize("wrong", [np.nan, np.inf, 1e300])
def test_a_centre_that_is_nowhere_is_refused(wrong: float) -> None:
    info = info_of()
    info.k = [600.0, 0.0, 320.0, 0.0, 600.0, wrong, 0.0, 0.0, 1.0]
    with pytest.raises(UserError, match="no calibration"):
        intrinsics_from_info(info, (640, 480), rectified=False)


def test_a_focal_length_of_zero_along_one_axis_is_no_calibration() -> None:
    info = info_of()
    info.k = [600.0, 0.0, 320.0, 0.0, 0.0, 240.0, 0.0, 0.0, 1.0]
    with pytest.raises(UserError, match="focal lengths 600, 0 "):
        intrinsics_from_info(info, (640, 480), rectified=False)


@pytest.mark.parametrize(
    ("roi", "binning", "size"),
    [
        ((0, 0, 0, 0), 0, (640, 360)),  # cut, by a driver that does not say so
        ((0, 0, 0, 0), 0, (480, 640)),  # turned
        ((0, 0, 0, 0), 2, (320, 180)),
        ((160, 120, 160, 240), 0, (320, 240)),
    ],
)
def test_images_of_another_shape_than_the_info_are_refused(
    roi: tuple[int, int, int, int], binning: int, size: tuple[int, int]
) -> None:
    with pytest.raises(UserError, match=f"but the images are {size[0]}x{size[1]}: of another shape"):
        intrinsics_from_info(info_of(roi, binning), size, rectified=False)


@pytest.mark.parametrize("size", [(213, 160), (214, 160), (64, 48), (1280, 960)])
def test_sizes_that_are_rounded_or_scaled_are_of_the_same_shape(size: tuple[int, int]) -> None:
    intrinsics = intrinsics_from_info(info_of(binning=3), size, rectified=False)
    assert intrinsics is not None
    assert intrinsics.fx == pytest.approx(600 * size[0] / 640)
