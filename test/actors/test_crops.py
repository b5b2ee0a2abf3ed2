"""What the actor stream sees of a person."""

from __future__ import annotations

import cv2
import numpy as np
import pytest

from amtnet_ros.actors.crops import SmoothBox, View, cut, is_visible, square_around

MS = 1_000_000


def mirrored_everywhere(image: np.ndarray, view: View) -> np.ndarray:
    """The view's pixels, from a picture that is padded by NumPy far beyond its border."""
    far = 400
    padded = np.pad(image, ((far, far), (far, far), (0, 0)), mode="reflect")
    left, top = round(view.x - view.width / 2) + far, round(view.y - view.height / 2) + far
    return padded[top : top + round(view.height), left : left + round(view.width)]


@pytest.fixture(scope="module")
def picture() -> np.ndarray:
    return np.random.default_rng(0).integers(0, 256, (60, 90, 3), dtype=np.uint8)


VIEWS = [
    View(45, 30, 32, 32),
    View(3, 30, 32, 32),
    View(88, 58, 32, 32),
    View(45, 30, 100, 100),
    View(1, 1, 170, 170),
    View(89, 59, 300, 300),
    View(44.5, 2.5, 31, 31),
]


@pytest.mark.parametrize("view", VIEWS)
def test_beyond_the_border_the_picture_is_mirrored(picture: np.ndarray, view: View) -> None:
    np.testing.assert_array_equal(cut(picture, view, round(view.width)), mirrored_everywhere(picture, view))


@pytest.mark.parametrize("view", [view for view in VIEWS if view.width % 2 == 0])
def test_a_large_view_is_shrunk_by_areas(picture: np.ndarray, view: View) -> None:
    size = round(view.width) // 2
    blocks = mirrored_everywhere(picture, view).reshape(size, 2, size, 2, 3).mean(axis=(1, 3))
    assert np.abs(cut(picture, view, size) - blocks).max() <= 0.51


def test_a_much_larger_view_looks_as_if_shrunk_by_areas() -> None:
    coarse = np.random.default_rng(1).integers(0, 256, (12, 12, 3), dtype=np.uint8)
    image = cv2.resize(coarse, (1200, 1200), interpolation=cv2.INTER_CUBIC)
    expected = cv2.resize(image[100:1000, 100:1000], (100, 100), interpolation=cv2.INTER_AREA)
    difference = cut(image, View(550, 550, 900, 900), 100).astype(int) - expected
    assert np.abs(difference).mean() < 0.5
    assert np.abs(difference).max() <= 4


def test_the_square_is_as_wide_as_1_6_times_the_longer_side() -> None:
    assert square_around(np.array([10, 20, 30, 70], np.float32)) == View(20, 45, 80, 80)


@pytest.mark.parametrize(
    ("box", "seen"),
    [
        ([10, 10, 30, 50], True),
        ([-30, -30, 40, 40], True),
        ([-60, 10, 20, 50], False),
        ([80, 10, 140, 50], False),
        ([10, 10, 11, 11], False),
        ([30, 10, 10, 12], False),
        ([np.nan, 10, 30, 50], False),
        ([10, 10, np.inf, 50], False),
        ([0, 0, 0, 0], False),
    ],
)
def test_nothing_is_seen_of_specks_of_what_is_outside_and_of_what_is_no_number(box: list[float], seen: bool) -> None:
    assert is_visible(np.array(box, np.float32), (90, 60)) is seen


def test_a_box_is_the_mean_of_the_last_half_second() -> None:
    smooth = SmoothBox()
    assert smooth.mean is None
    for i in range(30):
        smooth.add(i * 100 * MS, np.full(4, i, np.float32))
    np.testing.assert_array_equal(smooth.mean, np.full(4, 27))  # of 25 … 29
    smooth.add(3000 * MS, np.full(4, np.nan, np.float32))
    np.testing.assert_array_equal(smooth.mean, np.full(4, 27.5))  # of 26 … 29
    smooth.add(4000 * MS, np.full(4, np.nan, np.float32))
    assert smooth.mean is None
