"""Joint augmentation of a pair's RGB frames, flow stacks and boxes: one draw for all (SSD's, as in the release).

Geometry is composed into one window of the source image that is then rendered once, so nothing is resampled twice.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, NamedTuple

import cv2
import numpy as np
from numpy.typing import NDArray

from amtnet_ros.boxes import area, intersection, iou
from amtnet_ros.contracts import Bool, Float32, UInt8
from amtnet_ros.flow.encoding import ZERO

RGB_BORDER = (123.0, 117.0, 104.0)
FLOW_BORDER = (float(ZERO),) * 3
CROP_OVERLAPS = (0.0, 0.1, 0.3, 0.5, 0.7, 0.9)
CROP_TRIALS = 50
JITTER_SCALES = (0.55, 1.25)
JITTER_ASPECT = 1.2
JITTER_COVERAGE = 0.8
CLOSE_UP_MARGIN = (1.0, 1.5)
CLOSE_UP_SHIFT = 0.1


@dataclass(frozen=True)
class AugmentationOptions:
    """Which distortions are drawn; all off is the plain resize of test time.

    photometric: brightness, contrast, saturation and hue of the RGB frames.
    expand: the largest factor by which the sides of the canvas exceed the image's that is placed on it; 1 is off.
    crop: 'ssd', IoU-constrained crops; 'jitter', windows of 0.55 to 1.25 times the picture that keep most of every
        actor (without expansion); 'actor', close-ups of one actor (see `close_up`); 'centred', the plainest close-up;
        or 'none'.
    mirror: horizontal mirroring, half of the time.
    copy_paste: how often (0..1) another clip's actor is pasted in, see data.scene.
    """

    photometric: bool = True
    expand: float = 4.0
    crop: Literal["ssd", "jitter", "actor", "centred", "none"] = "ssd"
    mirror: bool = True
    copy_paste: float = 0.0


class Window(NamedTuple):
    """The part of the source image that becomes the network's input; it may reach beyond the image. Pixels."""

    x1: float
    y1: float
    x2: float
    y2: float

    @property
    def array(self) -> NDArray[np.float64]:
        """(4, 1, 1): as a box to compare with micro-tubes (4, K, 2)."""
        return np.reshape(self, (4, 1, 1))


def pair_iou_with_window(boxes: Float32, window: Window) -> NDArray[np.float64]:
    """IoU of a window with each micro-tube (K, 2, 4), the mean over the pair → (K,)."""
    mean: NDArray[np.float64] = iou(window.array, np.moveaxis(boxes, -1, 0)).mean(-1)
    return mean


def boxes_in_window(boxes: Float32, window: Window) -> Bool:
    """Which micro-tubes (K, 2, 4) have both centres inside the window → (K,)."""
    centres = (boxes[..., :2] + boxes[..., 2:]) / 2
    return np.asarray(((centres > window[:2]) & (centres < window[2:])).all((-1, -2)))


def draw_window(
    rng: np.random.Generator, size: tuple[int, int], boxes: Float32, options: AugmentationOptions
) -> Window:
    """Draw an expansion and then a crop of it. size: (width, height); boxes: (K, 2, 4) in its pixels."""
    if options.crop == "jitter":
        return _jittered_window(rng, size, boxes)
    width, height = size
    window = Window(0.0, 0.0, float(width), float(height))
    if options.expand > 1 and rng.random() < 0.5:
        ratio = rng.uniform(1, options.expand)
        left, top = rng.uniform(0, width * (ratio - 1)), rng.uniform(0, height * (ratio - 1))
        window = Window(-left, -top, width * ratio - left, height * ratio - top)
    if options.crop == "none":
        return window
    choice = int(rng.integers(len(CROP_OVERLAPS) + 1))  # the additional one: no crop
    if choice == len(CROP_OVERLAPS):
        return window
    full_width, full_height = window.x2 - window.x1, window.y2 - window.y1
    if not len(boxes):
        return window
    for _ in range(CROP_TRIALS):
        w, h = rng.uniform(0.3, 1, 2) * (full_width, full_height)
        if not 0.5 <= (w / full_width) / (h / full_height) <= 2:
            continue
        x, y = window.x1 + rng.uniform(0, full_width - w), window.y1 + rng.uniform(0, full_height - h)
        crop = Window(x, y, x + w, y + h)
        if pair_iou_with_window(boxes, crop).min() >= CROP_OVERLAPS[choice] and boxes_in_window(boxes, crop).any():
            return crop
    return window


def _jittered_window(rng: np.random.Generator, size: tuple[int, int], boxes: Float32) -> Window:
    """A window about as large as the picture, anywhere, that keeps at least 80 % of every box's area."""
    actors = np.moveaxis(boxes, -1, 0)
    for _ in range(CROP_TRIALS):
        scale = np.exp(rng.uniform(*np.log(JITTER_SCALES)))
        aspect = np.exp(rng.uniform(-1, 1) * np.log(JITTER_ASPECT) / 2)
        span = np.array(size) * scale * (aspect, 1 / aspect)
        low = rng.uniform(np.minimum(0, size - span), np.maximum(0, size - span))
        window = Window(*low.tolist(), *(low + span).tolist())
        kept = intersection(window.array, actors)
        if (kept >= JITTER_COVERAGE * area(actors)).all() and boxes_in_window(boxes, window).all():
            return window
    return Window(0.0, 0.0, float(size[0]), float(size[1]))


def close_up(size: tuple[int, int], boxes: Float32, rng: np.random.Generator | None = None) -> Window:
    """A window around one actor, given by a micro-tube (2, 4) in pixels, with some of what lies around.

    Its height is 1 to 1.5 times that of both boxes together, its width as much of what keeps the picture's proportions
    or less, down to the boxes' own; it is off centre by up to a tenth. Without rng it is the middle of all that.
    """
    low, high = boxes[:, :2].min(0), boxes[:, 2:].max(0)
    draws = rng.uniform(size=4) if rng is not None else np.full(4, 0.5)
    span = high - low
    height = span[1] * (CLOSE_UP_MARGIN[0] + draws[0] * (CLOSE_UP_MARGIN[1] - CLOSE_UP_MARGIN[0]))
    narrow = span[0]
    wide = max(narrow, height * size[0] / size[1])
    sides = np.array([narrow * (wide / narrow) ** draws[1], height])
    centre = (low + high) / 2 + (2 * draws[2:] - 1) * CLOSE_UP_SHIFT * sides
    return Window(*(centre - sides / 2).tolist(), *(centre + sides / 2).tolist())


def to_window(boxes: Float32, window: Window, mirror: bool) -> Float32:
    """Boxes (K, 2, 4) in source pixels → shares of the window, clipped to it, mirrored where asked."""
    span = np.array([window.x2 - window.x1, window.y2 - window.y1] * 2, dtype=np.float32)
    shares = np.clip((boxes - np.array([*window[:2], *window[:2]], dtype=np.float32)) / span, 0, 1)
    if mirror:
        shares = np.stack([1 - shares[..., 2], shares[..., 1], 1 - shares[..., 0], shares[..., 3]], axis=-1)
    return np.asarray(shares, dtype=np.float32)


def render(image: UInt8, window: Window, size: int, mirror: bool, border: tuple[float, ...]) -> UInt8:
    """A window of an (h, w, 3) uint8 image as (size, size, 3), bilinear; outside the image the border's value."""
    sx, sy = size / (window.x2 - window.x1), size / (window.y2 - window.y1)
    # Pixel centres lie at +0.5: out + 0.5 = s * (in + 0.5 - origin).
    matrix = np.array([[sx, 0, sx * (0.5 - window.x1) - 0.5], [0, sy, sy * (0.5 - window.y1) - 0.5]])
    if mirror:
        matrix[0] = -matrix[0]
        matrix[0, 2] += size - 1
    out = cv2.warpAffine(image, matrix, (size, size), flags=cv2.INTER_LINEAR, borderValue=border)
    return np.asarray(out, dtype=np.uint8)


def zoom_flow(flow: UInt8, zoom: tuple[float, float], mirror: bool) -> UInt8:
    """Make an (h, w, 3) uint8 flow image agree with the geometry of its window.

    zoom: growth of the picture's x and y against the plain resize; u and v grow with it, and the magnitude, which lies
    between, by their geometric mean. Mirroring negates u.
    """
    levels = np.arange(256, dtype=np.float32) - ZERO
    sign = -1 if mirror else 1
    gains = (sign * zoom[0], zoom[1], float(np.sqrt(zoom[0] * zoom[1])))
    table = np.stack([np.clip(np.rint(levels * gain + ZERO), 0, 255) for gain in gains], axis=-1).astype(np.uint8)
    return np.asarray(cv2.LUT(flow, table[:, None, :].transpose(1, 0, 2)), dtype=np.uint8)


def distort_colours(rng: np.random.Generator, images: list[UInt8]) -> list[UInt8]:
    """The same photometric distortion for every (h, w, 3) uint8 RGB image: each part is drawn half of the time."""
    brightness = rng.uniform(-32, 32) if rng.random() < 0.5 else 0.0
    contrast = rng.uniform(0.5, 1.5) if rng.random() < 0.5 else 1.0
    saturation = rng.uniform(0.5, 1.5) if rng.random() < 0.5 else 1.0
    hue = rng.uniform(-18, 18) if rng.random() < 0.5 else 0.0
    levels: NDArray[np.float32] = np.arange(256, dtype=np.float32)
    light = np.clip(levels * contrast + brightness, 0, 255).astype(np.uint8)
    colour = np.stack([(levels + hue / 2) % 180, np.clip(levels * saturation, 0, 255), levels], axis=-1).astype(
        np.uint8
    )
    distorted = []
    for image in images:
        out = cv2.LUT(image, light)
        if saturation != 1 or hue != 0:
            hsv = cv2.LUT(cv2.cvtColor(out, cv2.COLOR_RGB2HSV), colour[None])
            out = cv2.cvtColor(hsv, cv2.COLOR_HSV2RGB)
        distorted.append(np.asarray(out, dtype=np.uint8))
    return distorted
