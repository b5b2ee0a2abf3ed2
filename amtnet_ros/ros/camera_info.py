"""From a CameraInfo to the intrinsics of the images beside it: regions of interest, binning, rectified images."""

from __future__ import annotations

from typing import NamedTuple

from sensor_msgs.msg import CameraInfo

from amtnet_ros.errors import UserError, quoted
from amtnet_ros.ros.places import Intrinsics, same_shape

_PIXELS = 1e6  # no camera has a focal length of more, or its centre further away
_WIDEST = 20  # times its focal length that the full image is wide or high, at most: by a pinhole that is 169 degrees
_FISHEYES = frozenset({"equidistant", "fisheye", "kannala_brandt", "kannala_brandt4", "omni", "omnidirectional"})


def intrinsics_from_info(info: CameraInfo, image_size: tuple[int, int], rectified: bool) -> Intrinsics | None:
    """The intrinsics in pixels of images of that (width, height); None where the camera is not calibrated.

    K (of rectified images: P) is given in pixels of the full resolution. The images show the region of interest of it,
    at the resolution that binning leaves, or another to which a driver has scaled them. Raises UserError for numbers
    that are no calibration, for a region that does not lie in the full image, and for images of another shape.
    """
    side = max(info.width or image_size[0], info.height or image_size[1])
    chosen = _calibration(info, rectified, side / _WIDEST)
    if chosen is None:
        return None
    fx, fy, cx, cy = chosen
    region = _region(info, image_size)
    zoom_x, zoom_y = image_size[0] / region.width, image_size[1] / region.height
    return Intrinsics(fx * zoom_x, fy * zoom_y, (cx - region.left) * zoom_x, (cy - region.top) * zoom_y)


def check_pinhole(info: CameraInfo) -> None:
    """Raises UserError where images that are not rectified are a fisheye's: their pixels lie elsewhere than K says."""
    if info.distortion_model.lower() in _FISHEYES and any(info.d):
        raise UserError(
            f"CameraInfo with the distortion model {quoted(info.distortion_model)}: a fisheye's directions do not "
            "follow from K; places need rectified images and depth (…/image_rect)"
        )


def _calibration(info: CameraInfo, rectified: bool, least: float) -> tuple[float, float, float, float] | None:
    """Focal lengths and centre, x and y each, by K or P; where one of them is zero, i.e. missing, by the other.

    least: pixels below which a focal length is none, as in a K that is the identity.
    """
    k = [float(info.k[place]) for place in (0, 4, 2, 5)]
    p = [float(info.p[place]) for place in (0, 5, 2, 6)]
    name, chosen = ("P", p) if (rectified or not any(k[:2])) and any(p[:2]) else ("K", k)
    if not any(chosen[:2]):
        return None
    if not (all(abs(each) < _PIXELS for each in chosen) and min(chosen[:2]) >= least):
        raise UserError(
            f"CameraInfo whose {name} has the focal lengths {chosen[0]:g}, {chosen[1]:g} and the centre {chosen[2]:g}, "
            f"{chosen[3]:g}: no calibration; calibrate the camera, or let its driver send zeros"
        )
    return chosen[0], chosen[1], chosen[2], chosen[3]


class _Region(NamedTuple):
    """A part of the full image, in its pixels."""

    left: int
    top: int
    width: int
    height: int


def _region(info: CameraInfo, image_size: tuple[int, int]) -> _Region:
    """What part of the full image the images show."""
    full = _Region(0, 0, info.width or image_size[0], info.height or image_size[1])
    region, binning = _cropped(info, full, image_size), (max(1, info.binning_x), max(1, info.binning_y))
    binned = (max(1, region.width // binning[0]), max(1, region.height // binning[1]))
    if not (same_shape(image_size, (region.width, region.height)) or same_shape(image_size, binned)):
        raise UserError(
            f"CameraInfo for {region.width}x{region.height}, but the images are {image_size[0]}x{image_size[1]}: of "
            "another shape, so that nobody knows which part they show; it must be the info of these images"
        )
    return region


def _cropped(info: CameraInfo, full: _Region, image_size: tuple[int, int]) -> _Region:
    """The region of interest, where there is one and the images show it alone."""
    roi = info.roi
    if not (roi.width and roi.height):
        return full
    if roi.x_offset + roi.width > full.width or roi.y_offset + roi.height > full.height:
        raise UserError(
            f"CameraInfo of {full.width}x{full.height} with a region of interest of {roi.width}x{roi.height} at "
            f"{roi.x_offset}, {roi.y_offset}, which does not lie in it"
        )
    region = _Region(roi.x_offset, roi.y_offset, roi.width, roi.height)
    binning = max(1, info.binning_x), max(1, info.binning_y)
    cropped = (region.width // binning[0], region.height // binning[1]) == image_size
    whole = (full.width // binning[0], full.height // binning[1]) == image_size or full[2:] == image_size
    return full if whole and not cropped else region  # some drivers name a region and send the whole image
