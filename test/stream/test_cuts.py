"""Cuts are told from flashes by what comes after them."""

from __future__ import annotations

import numpy as np
import pytest
from flow_scenes import brightened, texture

from amtnet_ros.contracts import Frame
from amtnet_ros.stream import SceneCuts


def told(cuts: SceneCuts, images: list[np.ndarray]) -> list[list[tuple[int, bool]]]:
    """For each image, which frames were let through when it came, and whether a scene begins with them."""
    frames = [Frame(i, i, image) for i, image in enumerate(images)]
    return [[(one.frame.index, one.is_cut) for one in cuts.take(frame)] for frame in frames]


def shifted(image: np.ndarray, pixels: int) -> np.ndarray:
    return np.roll(image, pixels, axis=1)


A, B, C = (texture(seed) for seed in (1, 2, 3))
WHITE, BLACK = np.full_like(A, 255), np.zeros_like(A)


def test_what_moves_is_let_through_at_once() -> None:
    assert told(SceneCuts(), [shifted(A, 2 * i) for i in range(4)]) == [[(i, False)] for i in range(4)]


def test_after_a_cut_the_first_frame_of_the_scene_waits_for_the_second() -> None:
    assert told(SceneCuts(), [A, A, B, B, B]) == [
        [(0, False)],
        [(1, False)],
        [],
        [(2, True), (3, False)],
        [(4, False)],
    ]


@pytest.mark.parametrize("flash", [WHITE, BLACK, B])
def test_a_single_frame_after_which_the_scene_goes_on_is_left_out(flash: np.ndarray) -> None:
    assert told(SceneCuts(), [A, flash, A, A]) == [[(0, False)], [], [(2, False)], [(3, False)]]


def test_a_light_that_goes_on_cuts_nothing() -> None:
    assert told(SceneCuts(), [A, brightened(A, 40), brightened(A, 40)]) == [[(0, False)], [(1, False)], [(2, False)]]


def test_a_cut_over_a_single_black_frame_is_told_as_soon_as_it_is_sure() -> None:
    assert told(SceneCuts(), [A, BLACK, B, B]) == [[(0, False)], [], [(1, True)], [(2, True), (3, False)]]


def test_each_of_several_cuts_in_a_row_begins_a_scene() -> None:
    assert told(SceneCuts(), [A, B, C, C]) == [[(0, False)], [], [(1, True)], [(2, True), (3, False)]]


def test_after_a_reset_anything_may_come() -> None:
    cuts = SceneCuts()
    told(cuts, [A, B])
    cuts.reset()
    assert told(cuts, [C, C]) == [[(0, False)], [(1, False)]]


def test_pictures_without_contrast_go_on() -> None:
    assert told(SceneCuts(), [BLACK, BLACK, WHITE]) == [[(0, False)], [(1, False)], [(2, False)]]
