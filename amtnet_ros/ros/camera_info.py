"""From a CameraInfo to the intrinsics of the images beside it: regions of interest, binning, rectified images."""

from __future__ import annotations

from typing import NamedTuple

from sensor_msgs.msg import CameraInfo

from amtnet_ros.errors import UserError
from amtnet_ros.ros.places import Intrinsics


def intrinsics_from_info(info: CameraInfo, image_size: tuple[int, int], rectified: bool) -> Intrinsics | None:
    """The intrinsics in pixels of images of that (width, height); None where the camera is not calibrated.

    K (of rectified images: P) is given in pixels of the full resolution. The images show the region of interest of it,
    at the resolution that binning leaves, or another to which a driver has scaled them. Raises UserError for a region
    that does not lie in the full image.
    """
    matrices = {"k": (info.k[0], info.k[4], info.k[2], info.k[5]), "p": (info.p[0], info.p[5], info.p[2], info.p[6])}
    fx, fy, cx, cy = matrices["p" if (rectified or not info.k[0] > 0) and info.p[0] > 0 else "k"]
    if not (fx > 0 and fy > 0):
        return None
    region = _region(info, image_size)
    zoom_x, zoom_y = image_size[0] / region.width, image_size[1] / region.height
    return Intrinsics(fx * zoom_x, fy * zoom_y, (cx - region.left) * zoom_x, (cy - region.top) * zoom_y)


class _Region(NamedTuple):
    """A part of the full image, in its pixels."""

    left: int
    top: int
    width: int
    height: int


def _region(info: CameraInfo, image_size: tuple[int, int]) -> _Region:
    """What part of the full image the images show."""
    full = _Region(0, 0, info.width or image_size[0], info.height or image_size[1])
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
