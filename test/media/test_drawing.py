"""The overlay: where it draws, where not, and in which colours."""

from __future__ import annotations

import colorsys
from itertools import pairwise

import numpy as np
import pytest

from amtnet_ros.contracts import Tube, TubeState, TubeUpdate
from amtnet_ros.media.drawing import Style, TubePainter, colour_of, feet

LABELS = ("walk", "jump", "other")
BOX = (100.0, 120.0, 180.0, 220.0)
QUIET = Style(trail_length=0)


def tube(
    stamps: list[int],
    boxes: list[tuple[float, float, float, float]],
    state: TubeState = TubeState.ACTIVE,
    number: int = 1,
    label: int = 0,
) -> Tube:
    count = len(stamps)
    return Tube(
        id=number,
        state=state,
        label=label,
        score=0.5,
        class_scores=np.array([0.5, 0.1], dtype=np.float32),
        start_stamp=0,
        last_stamp=stamps[-1] if stamps else 0,
        frames=np.arange(count),
        stamps=np.array(stamps, dtype=np.int64),
        boxes=np.array(boxes, dtype=np.float32).reshape(-1, 4),
        scores=np.full(count, 0.5, dtype=np.float32),
        interpolated=np.zeros(count, dtype=np.bool_),
    )


def update(*tubes: Tube, stamp: int = 0, size: tuple[int, int] = (640, 480)) -> TubeUpdate:
    return TubeUpdate(frame=0, stamp=stamp, image_size=size, delta=1, tubes=tubes)


def drawn(painter: TubePainter, stamp: int, width: int = 640, height: int = 480) -> np.ndarray:
    """(height, width) bool: where the picture differs from a black image."""
    return painter.draw(np.zeros((height, width, 3), dtype=np.uint8), stamp).any(axis=-1)


def has_frame(changed: np.ndarray, box: tuple[float, float, float, float], share: float) -> bool:
    """Whether so much of the box's lower and right edge (free of the label) is drawn."""
    x1, y1, x2, y2 = (int(value) for value in box)
    edges = np.concatenate([changed[y2 - 1, x1:x2], changed[(y1 + y2) // 2 : y2, x2 - 1]])
    return bool(edges.mean() >= share)


def test_the_image_itself_is_left_alone() -> None:
    painter = TubePainter(LABELS)
    painter.update(update(tube([0], [BOX])))
    image = np.zeros((480, 640, 3), dtype=np.uint8)
    picture = painter.draw(image, 0)
    assert not image.any()
    assert picture.any()
    assert picture.shape == image.shape


def test_an_active_tube_is_framed_at_its_box_of_that_stamp() -> None:
    painter = TubePainter(LABELS, QUIET)
    moved = (300.0, 120.0, 380.0, 220.0)
    painter.update(update(tube([0], [BOX]), stamp=0))
    painter.update(update(tube([1], [moved]), stamp=1))
    assert has_frame(drawn(painter, 1), moved, 1.0)
    assert not has_frame(drawn(painter, 1), BOX, 0.1)
    inside = drawn(painter, 1)[160:210, 310:370]
    assert not inside.any(), "the actor stays visible"


def test_a_late_image_is_drawn_with_the_boxes_of_its_own_time() -> None:
    painter = TubePainter(LABELS, QUIET, delay=2)
    for stamp in range(4):
        painter.update(update(tube([stamp], [(100.0 + 50 * stamp, 120.0, 140.0 + 50 * stamp, 220.0)]), stamp=stamp))
    assert has_frame(drawn(painter, 1), (150.0, 120.0, 190.0, 220.0), 1.0)


def test_states_look_different() -> None:
    full = TubePainter(LABELS, QUIET)
    full.update(update(tube([0], [BOX])))
    tentative = TubePainter(LABELS, QUIET)
    tentative.update(update(tube([0], [BOX], TubeState.TENTATIVE)))
    coasting = TubePainter(LABELS, QUIET)
    coasting.update(update(tube([0], [BOX])))
    coasting.update(update(tube([], [], TubeState.COASTING), stamp=1))
    assert has_frame(drawn(full, 0), BOX, 1.0)
    for painter, stamp in ((tentative, 0), (coasting, 1)):
        assert has_frame(drawn(painter, stamp), BOX, 0.3)
        assert not has_frame(drawn(painter, stamp), BOX, 0.8)


def test_tentative_tubes_can_be_left_out() -> None:
    painter = TubePainter(LABELS, Style(draw_tentative=False))
    painter.update(update(tube([0], [BOX], TubeState.TENTATIVE)))
    assert not drawn(painter, 0).any()


def test_a_tube_that_ended_is_gone() -> None:
    painter = TubePainter(LABELS)
    painter.update(update(tube([0], [BOX])))
    painter.update(update(tube([], [], TubeState.ENDED), stamp=1))
    assert not drawn(painter, 1).any()


def test_the_trail_follows_the_feet_and_has_the_length_asked_for() -> None:
    def trail(length: int) -> np.ndarray:
        painter = TubePainter(LABELS, Style(trail_length=length))
        for stamp in range(10):
            painter.update(update(tube([stamp], [(20.0 + 60 * stamp, 200, 40.0 + 60 * stamp, 280)]), stamp=stamp))
        return drawn(painter, 9)[280, :555]

    assert not trail(0)[30:].any()
    assert trail(10)[30:555].all()
    short = np.flatnonzero(trail(3))
    assert short[0] == pytest.approx(30 + 60 * 7, abs=3)


def test_the_trail_does_not_jitter_as_boxes_do() -> None:
    steps = np.arange(20)
    jitter = np.where(steps % 2, 6.0, -6.0)
    boxes = np.stack([10 * steps, 100 + 0 * steps, 10 * steps + 40, 200 + jitter], axis=1).astype(np.float32)
    way = feet(list(boxes))
    assert way.shape == (20, 2)
    np.testing.assert_allclose(way[:, 0], 10 * steps + 20, atol=1e-4)
    np.testing.assert_allclose(way[4:-4, 1], 200, atol=0.7)
    np.testing.assert_allclose(way[[0, -1]], [[20, 194], [210, 206]], err_msg="it begins and ends where the person is")


def test_memory_is_bounded_by_the_trail() -> None:
    painter = TubePainter(LABELS, Style(trail_length=5), delay=3)
    for stamp in range(100):
        painter.update(update(tube([stamp], [BOX], number=1), stamp=stamp))
        painter.update(update(tube([stamp], [BOX], number=stamp + 2), stamp=stamp))
        painter.update(update(tube([], [], TubeState.ENDED, number=stamp + 2), stamp=stamp))
    assert len(painter._tracks[1].boxes) == 8
    assert len(painter._tracks) <= 1 + 3


def test_a_resized_copy_is_drawn_to_scale() -> None:
    painter = TubePainter(LABELS, QUIET)
    painter.update(update(tube([0], [BOX]), size=(640, 480)))
    assert has_frame(drawn(painter, 0, 1280, 960), tuple(2 * value for value in BOX), 0.99)


@pytest.mark.parametrize(("width", "height"), [(64, 48), (320, 240), (1920, 1080), (3840, 2160), (100, 2000)])
def test_any_resolution_and_any_box_can_be_drawn(width: int, height: int) -> None:
    painter = TubePainter(LABELS)
    boxes = [
        (-50.0, -50.0, 20.0, 20.0),
        (width - 5.0, height - 5.0, width + 90.0, height + 90.0),
        (0, 0, width, height),
    ]
    painter.update(update(*[tube([0], [box], number=n) for n, box in enumerate(boxes)], size=(width, height)))
    assert drawn(painter, 0, width, height).any()


def test_letters_grow_with_the_picture() -> None:
    def plate_height(width: int, height: int) -> int:
        painter = TubePainter(LABELS, QUIET)
        painter.update(
            update(tube([0], [(width * 0.25, height * 0.5, width * 0.3, height * 0.9)]), size=(width, height))
        )
        column = drawn(painter, 0, width, height)[: height // 2, int(width * 0.25) + 2]
        return int(column.sum())

    assert plate_height(1920, 1080) > 2 * plate_height(640, 480) * 0.9
    assert plate_height(160, 120) >= 12


def test_labels_do_not_cover_one_another() -> None:
    one = TubePainter(LABELS, QUIET)
    one.update(update(tube([0], [BOX], number=1)))
    both = TubePainter(LABELS, QUIET)
    both.update(update(tube([0], [BOX], number=1), tube([0], [BOX], number=2)))
    black = np.zeros((480, 640, 3), dtype=np.uint8)

    def plate(picture: np.ndarray, number: int) -> int:
        beside_the_box = np.r_[: int(BOX[1]) - 2, int(BOX[3]) + 2 : 480]
        return int((picture == colour_of(number)).all(axis=-1)[beside_the_box].sum())

    assert plate(both.draw(black, 0), 1) > 0.9 * plate(one.draw(black, 0), 1)
    assert plate(both.draw(black, 0), 2) > 0.8 * plate(one.draw(black, 0), 1)


@pytest.mark.parametrize("top", [0.0, 4.0, 60.0])
def test_captions_hide_no_head_in_a_small_picture(top: float) -> None:
    crowd = [(left, top, left + 60.0, 210.0) for left in (10.0, 110.0, 240.0)]
    painter = TubePainter(LABELS, QUIET)
    painter.update(update(*[tube([0], [box], number=n) for n, box in enumerate(crowd)], size=(320, 240)))
    changed = drawn(painter, 0, 320, 240)
    for left, _, right, bottom in crowd:
        head = changed[int(top) + 3 : int(top + (bottom - top) / 3), int(left) + 3 : int(right) - 3]
        assert not head.any()
    without = TubePainter(LABELS, Style(trail_length=0, draw_tentative=False))
    without.update(update(*[tube([0], [box], TubeState.TENTATIVE, n) for n, box in enumerate(crowd)], size=(320, 240)))
    assert changed.sum() > drawn(without, 0, 320, 240).sum() + 3 * 60 * 12, "they are written somewhere"


@pytest.mark.parametrize("size", [(160, 120), (320, 240), (1280, 720), (240, 426), (720, 1280)])
def test_captions_with_long_names_hide_no_head_in_pictures_of_any_size(size: tuple[int, int]) -> None:
    width, height = size
    crowd = [(0.05, 0.12, 0.3, 0.98), (0.36, 0.02, 0.62, 0.9), (0.66, 0.3, 0.95, 1.0)]
    boxes = [(x1 * width, y1 * height, x2 * width, y2 * height) for x1, y1, x2, y2 in crowd]
    painter = TubePainter(("swing_baseball", "shoot_gun", "other"), QUIET)
    tubes = [tube([0], [box], number=n, label=n) for n, box in enumerate(boxes)]
    painter.update(update(*tubes, size=size))
    changed = drawn(painter, 0, *size)
    for left, top, right, bottom in boxes:
        edge = 1 + min(size) // 100
        head = changed[int(top) + edge : int(top + (bottom - top) / 3), int(left) + edge : int(right) - edge]
        assert not head.any()


def test_a_caption_that_is_wide_for_its_picture_is_shortened() -> None:
    def width(side: int) -> int:
        painter = TubePainter(LABELS, QUIET)
        painter.update(update(tube([0], [(0.1 * side, 0.5 * side, 0.2 * side, 0.9 * side)]), size=(side, side)))
        return int(drawn(painter, 0, side, side)[: side // 2 - 1].any(axis=0).sum())

    assert width(160) < width(640) < 0.4 * 640


def test_weak_tubes_look_weak() -> None:
    def brightness(score: float, state: TubeState = TubeState.ACTIVE) -> float:
        painter = TubePainter(LABELS, QUIET)
        painter.update(update(tube([0], [BOX], state)._replace(score=score)))
        return float(painter.draw(np.zeros((480, 640, 3), dtype=np.uint8), 0)[int(BOX[3]) - 1, int(BOX[0]) + 4].max())

    assert brightness(0.9) == brightness(0.5) == 255
    assert brightness(0.5) > brightness(0.3) > brightness(0.1) > 60
    assert brightness(0.5, TubeState.TENTATIVE) < 0.7 * brightness(0.5)


def test_a_crowd_of_labels_fits_into_the_picture() -> None:
    painter = TubePainter(LABELS, QUIET)
    painter.update(update(*[tube([0], [(10.0, 5.0, 60.0, 60.0)], number=n) for n in range(1, 12)]))
    picture = painter.draw(np.zeros((480, 640, 3), dtype=np.uint8), 0)
    for number in range(1, 12):
        assert (picture == colour_of(number)).all(axis=-1).sum() > 1000


def test_the_caption_says_who_what_how_sure_and_since_when() -> None:
    painter = TubePainter(LABELS)
    assert painter.caption(tube([2_500_000_000], [BOX]), 2_500_000_000) == "#1 walk 0.50 2.5s"
    assert painter.caption(tube([0], [BOX], TubeState.COASTING), 0).endswith("coasting")


def test_who_does_none_of_the_actions_is_thin_grey_and_without_score() -> None:
    acting = TubePainter(LABELS, QUIET)
    acting.update(update(tube([0], [BOX])))
    idle = TubePainter(LABELS, QUIET)
    idle.update(update(tube([0], [BOX], label=2)))
    black = np.zeros((480, 640, 3), dtype=np.uint8)
    picture = idle.draw(black, 0)
    red, green, blue = picture[picture.any(axis=-1)].astype(int).T
    assert (red == green).all()
    assert (green == blue).all()
    below = slice(int(BOX[3]) - 10, None)
    assert 0 < (picture[below].any(axis=-1)).sum() < 0.6 * (acting.draw(black, 0)[below].any(axis=-1)).sum()
    assert idle.caption(tube([0], [BOX], label=2), 1_000_000_000) == "#1 other 1.0s"


def test_a_late_image_has_the_label_and_the_state_of_its_own_time() -> None:
    painter = TubePainter(LABELS, QUIET, delay=3)
    painter.update(update(tube([0], [BOX], label=2), stamp=0))
    painter.update(update(tube([1], [BOX], TubeState.TENTATIVE), stamp=1))
    painter.update(update(tube([2], [BOX]), stamp=2))
    painter.update(update(tube([], [], TubeState.ENDED), stamp=3))
    black = np.zeros((480, 640, 3), dtype=np.uint8)
    edges = [painter.draw(black, stamp)[int(BOX[3]) - 1, int(BOX[0]) + 40].tolist() for stamp in range(3)]
    assert edges == [[160, 160, 160], [0, 0, 0], list(colour_of(1))]


def test_colours_are_stable_bright_and_far_apart_from_one_id_to_the_next() -> None:
    hues = []
    for number in range(50):
        assert colour_of(number) == colour_of(number)
        hue, saturation, value = colorsys.rgb_to_hsv(*(channel / 255 for channel in colour_of(number)))
        assert saturation > 0.7
        assert value > 0.99
        hues.append(hue)
    for first, second in pairwise(hues):
        assert min(abs(first - second), 1 - abs(first - second)) > 0.3
