"""Augmentation: boxes against what is rendered, flow against known motion, colours against float64."""

import colorsys

import cv2
import numpy as np
import pytest

from amtnet_ros.data import augmentation
from amtnet_ros.data.augmentation import (
    FLOW_BORDER,
    AugmentationOptions,
    Window,
    close_up,
    distort_colours,
    draw_window,
    render,
    to_window,
    zoom_flow,
)
from amtnet_ros.flow.dis import DisFlow
from amtnet_ros.flow.encoding import decode_flow, encode_flow

SIZE = (320, 240)
FULL = Window(0, 0, 320, 240)


def texture(seed=0, width=320, height=240):
    """A smooth random picture, which flow can follow."""
    noise = np.random.default_rng(seed).integers(0, 256, (height, width, 3)).astype(np.float32)
    blurred = cv2.GaussianBlur(noise, (0, 0), 3)
    low, high = blurred.min(), blurred.max()
    return ((blurred - low) / (high - low) * 255).astype(np.uint8)


@pytest.mark.parametrize("seed", range(40))
def test_boxes_go_where_the_picture_goes(seed):
    rng = np.random.default_rng(seed)
    x1, y1 = rng.integers(0, 250), rng.integers(0, 180)
    x2, y2 = x1 + rng.integers(20, 320 - x1 + 1), y1 + rng.integers(20, 240 - y1 + 1)
    image = np.zeros((240, 320, 3), np.uint8)
    image[y1:y2, x1:x2] = 255
    boxes = np.array([[[x1, y1, x2, y2]] * 2], np.float32)
    window = draw_window(rng, SIZE, boxes, AugmentationOptions())
    mirror = bool(seed % 2)
    rendered = render(image, window, 300, mirror, (0, 0, 0))[..., 0] > 127
    rows, columns = np.flatnonzero(rendered.any(axis=1)), np.flatnonzero(rendered.any(axis=0))
    seen = [columns[0], rows[0], columns[-1] + 1, rows[-1] + 1]
    expected = to_window(boxes, window, mirror)[0, 0] * 300
    assert np.abs(seen - expected).max() < 0.6  # half a pixel, and the renderer's steps of 1/32


@pytest.mark.parametrize("least", [0.1, 0.5, 0.7])
def test_crops_keep_the_overlap_that_was_drawn(monkeypatch, least):
    monkeypatch.setattr(augmentation, "CROP_OVERLAPS", (least,))
    boxes = np.array([[[20, 20, 300, 220], [40, 10, 310, 230]]], np.float32)
    cropped = 0
    for seed in range(60):
        window = draw_window(np.random.default_rng(seed), SIZE, boxes, AugmentationOptions(expand=1))
        if window == FULL:
            continue
        cropped += 1
        overlaps = []
        for bx1, by1, bx2, by2 in boxes[0].tolist():
            shared = max(0, min(bx2, window.x2) - max(bx1, window.x1)) * max(
                0, min(by2, window.y2) - max(by1, window.y1)
            )
            area = (bx2 - bx1) * (by2 - by1) + (window.x2 - window.x1) * (window.y2 - window.y1) - shared
            overlaps.append(shared / area)
        assert sum(overlaps) / 2 >= least - 1e-6
        assert window.x1 >= 0
        assert window.y1 >= 0
        assert window.x2 <= 320
        assert window.y2 <= 240
    assert cropped >= 5


def test_jittered_windows_keep_most_of_every_actor():
    boxes = np.array([[[20, 30, 140, 200], [30, 30, 150, 200]], [[200, 60, 300, 230], [190, 60, 290, 230]]], np.float32)
    scales = []
    for seed in range(100):
        window = draw_window(np.random.default_rng(seed), SIZE, boxes, AugmentationOptions(crop="jitter"))
        width, height = window.x2 - window.x1, window.y2 - window.y1
        scales.append(np.sqrt(width * height / (320 * 240)))
        assert 1 / 1.2001 <= (width / 320) / (height / 240) <= 1.2001
        for x1, y1, x2, y2 in boxes.reshape(-1, 4).tolist():
            shared = max(0, min(x2, window.x2) - max(x1, window.x1)) * max(0, min(y2, window.y2) - max(y1, window.y1))
            assert shared >= 0.8 * (x2 - x1) * (y2 - y1) - 1e-3
    assert 0.55 <= min(scales) < 0.85
    assert 1.1 < max(scales) <= 1.2501


def test_expansion_places_the_whole_picture_on_a_larger_canvas():
    boxes = np.array([[[20, 20, 300, 220]] * 2], np.float32)
    options = AugmentationOptions(expand=4, crop="none")
    windows = [draw_window(np.random.default_rng(seed), SIZE, boxes, options) for seed in range(200)]
    grown = [w for w in windows if w != FULL]
    assert 70 <= len(grown) <= 130
    for w in grown:
        assert min(w.x1, w.y1) <= 0
        assert w.x2 >= 320 - 1e-9
        assert w.y2 >= 240 - 1e-9
        assert (w.x2 - w.x1) / 320 == pytest.approx((w.y2 - w.y1) / 240)
        assert 1 <= (w.x2 - w.x1) / 320 <= 4


def test_the_full_window_is_the_resize_of_test_time():
    image = texture()
    plain = cv2.resize(image, (300, 300), interpolation=cv2.INTER_LINEAR).astype(int)
    rim = (slice(1, -1), slice(1, -1))  # the outermost half pixel is mixed with the border
    error = np.abs(render(image, FULL, 300, False, (0, 0, 0)) - plain)[rim]
    assert error.max() <= 3  # the renderer's steps of 1/32 pixel
    assert error.mean() < 0.6


def test_mirrored_flow_is_the_flow_of_mirrored_pictures():
    """On a square, so that nothing is resized."""
    y, x = np.mgrid[0:240, 0:240].astype(np.float32)
    field = np.stack([2 + x / 100 - y / 200, y / 150 - 1.5], axis=-1)  # known motion, different on both sides
    mirrored_field = field[:, ::-1] * np.array([-1, 1], np.float32)
    square = Window(0, 0, 240, 240)
    image = render(zoom_flow(encode_flow(field), (1, 1), True), square, 240, True, FLOW_BORDER)
    assert np.abs(image.astype(int) - encode_flow(mirrored_field)).max() <= 1


def test_mirrored_flow_is_what_a_flow_engine_finds_in_mirrored_pictures():
    canvas = texture(1, 260, 250)
    first, second = canvas[5:245, 10:250], canvas[6:246, 7:247]  # content moves by +3, -1
    dis = DisFlow("medium", (240, 240))
    square = Window(0, 0, 240, 240)
    ours = render(zoom_flow(encode_flow(dis(first, second)), (1, 1), True), square, 240, True, FLOW_BORDER)
    recomputed = encode_flow(dis(np.ascontiguousarray(first[:, ::-1]), np.ascontiguousarray(second[:, ::-1])))
    assert np.median(decode_flow(recomputed)[..., 0]) == pytest.approx(-3, abs=0.2)
    inner = (slice(20, -20), slice(20, -20))
    assert np.abs(ours[inner].astype(int) - recomputed[inner]).mean() < 3  # grey levels; 16 are one pixel


@pytest.mark.parametrize(
    ("window", "motion"),
    [
        (Window(80, 60, 240, 180), (4, -2)),  # twice as near: twice the motion
        (Window(80, 0, 240, 240), (4, -1)),
        (Window(-160, -120, 480, 360), (1, -0.5)),
        (FULL, (2, -1)),
    ],
)
def test_zoomed_flow_is_what_a_flow_engine_finds_in_zoomed_pictures(window, motion):
    canvas = texture(2, 340, 260)
    first, second = canvas[5:245, 10:330], canvas[6:246, 8:328]  # content moves by +2, -1
    dis = DisFlow("medium")
    zoom = (320 / (window.x2 - window.x1), 240 / (window.y2 - window.y1))
    ours = decode_flow(zoom_flow(encode_flow(dis(first, second)), zoom, False))
    assert np.median(ours, axis=(0, 1)) == pytest.approx(motion, abs=0.2)
    seen = []
    for image in (first, second):
        matrix = np.array([[zoom[0], 0, -zoom[0] * window.x1], [0, zoom[1], -zoom[1] * window.y1]])
        seen.append(cv2.warpAffine(image, matrix, SIZE, borderMode=cv2.BORDER_REPLICATE))
    recomputed = dis(seen[0], seen[1])
    inside = (slice(70, 170), slice(90, 230))
    assert np.median(recomputed[inside], axis=(0, 1)) == pytest.approx(motion, abs=0.3)


def test_magnitude_grows_with_the_picture():
    image = encode_flow(np.full((4, 4, 2), (1.5, -2.0), np.float32))
    zoomed = zoom_flow(image, (2, 2), False)
    assert zoomed[0, 0].tolist() == encode_flow(np.full((1, 1, 2), (3.0, -4.0), np.float32))[0, 0].tolist()
    squeezed = int(zoom_flow(image, (2, 0.5), False)[0, 0, 2]) - 128
    assert squeezed == 2.5 * 16  # the geometric mean of both growths is 1


def test_no_motion_stays_no_motion_in_every_window():
    still = np.full((240, 320, 3), 128, np.uint8)
    for seed in range(20):
        rng = np.random.default_rng(seed)
        window = draw_window(rng, SIZE, np.array([[[50, 50, 200, 200]] * 2], np.float32), AugmentationOptions())
        zoom = (320 / (window.x2 - window.x1), 240 / (window.y2 - window.y1))
        image = render(zoom_flow(still, zoom, bool(seed % 2)), window, 150, bool(seed % 2), FLOW_BORDER)
        assert (image == 128).all()


def reference_colours(rng, pixels):
    """The same distortion in float64, by the standard library's HSV; draws in the documented order."""
    brightness = rng.uniform(-32, 32) if rng.random() < 0.5 else 0.0
    contrast = rng.uniform(0.5, 1.5) if rng.random() < 0.5 else 1.0
    saturation = rng.uniform(0.5, 1.5) if rng.random() < 0.5 else 1.0
    hue = rng.uniform(-18, 18) if rng.random() < 0.5 else 0.0
    result = []
    for pixel in pixels:
        h, s, v = colorsys.rgb_to_hsv(*np.clip(pixel.astype(np.float64) * contrast + brightness, 0, 255) / 255)
        result.append(colorsys.hsv_to_rgb((h + hue / 360) % 1, min(s * saturation, 1), v))
    return 255 * np.array(result)


def test_colours_are_distorted_as_in_float64():
    pixels = np.random.default_rng(5).integers(0, 256, (400, 3)).astype(np.uint8)
    changed = 0
    for seed in range(24):
        expected = reference_colours(np.random.default_rng(seed), pixels)
        first, second = distort_colours(np.random.default_rng(seed), [pixels[None], pixels[None]])
        assert np.array_equal(first, second), "both frames of a pair must get the same distortion"
        error = np.abs(first[0] - expected)
        assert error.mean() < 2
        assert np.quantile(error, 0.99) < 10  # 8-bit HSV cuts the hue to 2 degrees: up to 8.5 levels
        changed += bool(np.abs(expected - pixels).max() > 5)
    assert changed >= 15


ACTOR = np.array([[100, 60, 160, 180], [110, 50, 180, 170]], np.float32)  # together 100..180 x 50..180


def test_the_plainest_close_up_is_centred_and_between_the_extremes():
    window = close_up(SIZE, ACTOR)
    height = 130 * 1.25
    width = (80 * height * 320 / 240) ** 0.5  # the geometric mean of the boxes' width and the picture's proportions
    assert window == pytest.approx((140 - width / 2, 115 - height / 2, 140 + width / 2, 115 + height / 2))


def test_close_ups_stay_within_their_bounds_and_reach_for_them():
    drawn = np.array([close_up(SIZE, ACTOR, np.random.default_rng(seed)) for seed in range(400)])
    spans = drawn[:, 2:] - drawn[:, :2]
    heights, shapes = spans[:, 1] / 130, spans[:, 0] / spans[:, 1]
    centres = ((drawn[:, :2] + drawn[:, 2:]) / 2 - (140, 115)) / spans
    assert 1 <= heights.min() < 1.03
    assert 1.47 < heights.max() <= 1.5
    assert spans[:, 0].min() >= 80 - 1e-6
    assert 1.25 < shapes.max() <= 4 / 3 + 1e-6
    assert 0.09 < np.abs(centres).max() <= 0.1 + 1e-6


def test_a_wide_actor_is_not_cut():
    lying = np.array([[20, 150, 300, 200]] * 2, np.float32)
    window = close_up(SIZE, lying)
    assert window.x2 - window.x1 == pytest.approx(280)
