"""Boxes come at the stamps of images: one for each, and no others."""

from __future__ import annotations

from itertools import pairwise

import numpy as np
import pytest
from tube_streams import FRAME, box, pair

from amtnet_ros.contracts import Tube, TubeUpdate
from amtnet_ros.tubes import ImageBoxes, LinkerOptions, TubeAssembler, TubeLinker


def watched(images: list[int], pairs: list, **options: object) -> tuple[Tube, list[TubeUpdate], list[TubeUpdate]]:
    """One person in these pairs, of images with these stamps: the tube whole, the updates, and the linker's own."""
    linker, boxes, assembler = TubeLinker(3, LinkerOptions(**options)), ImageBoxes(256), TubeAssembler()
    updates, own = [], []
    waiting = sorted(images)
    for one in pairs:
        while waiting and waiting[0] <= one.stamps[1]:
            boxes.add(waiting[0], waiting.pop(0) // FRAME)
        own.append(linker.update(one, 1))
        updates.append(boxes.fit(own[-1]))
        assembler.add(updates[-1])
    (tube,) = assembler.tubes()
    return tube, updates, own


def walk(*ends: int, speed: int = 4) -> list:
    """Pairs from frame to frame of somebody who walks `speed` pixels a frame."""
    return [pair([(0, 0.5, box(speed * a), box(speed * b))], (a, b)) for a, b in pairwise(ends)]


def test_a_fast_camera_has_a_box_for_every_image() -> None:
    half = FRAME // 2
    tube, updates, _ = watched([i * half for i in range(13)], walk(*range(7)))
    assert tube.stamps.tolist() == [i * half for i in range(13)]
    np.testing.assert_allclose(tube.boxes[:, 0], [2 * i for i in range(13)], atol=1e-5)
    assert tube.interpolated.tolist() == [bool(i % 2) for i in range(13)]
    assert [len(update.tubes[0].stamps) for update in updates] == [3, 2, 2, 2, 2, 2]
    assert tube.frames.tolist() == [i // 2 for i in range(13)]


def test_a_slow_camera_has_boxes_at_its_images_alone() -> None:
    images = [0, 3 * FRAME, 6 * FRAME, 9 * FRAME]
    tube, _, own = watched(images, walk(0, 3, 6, 9))
    assert sum(len(update.tubes[0].stamps) for update in own) == 10
    assert tube.stamps.tolist() == images
    np.testing.assert_allclose(tube.boxes[:, 0], [0, 12, 24, 36])
    assert not tube.interpolated.any()


def test_images_between_the_two_of_a_pair_get_boxes_between() -> None:
    images = [0, 2 * FRAME, 4 * FRAME, 6 * FRAME, 8 * FRAME]
    tube, _, _ = watched(images, walk(0, 4, 8))
    assert tube.stamps.tolist() == images
    np.testing.assert_allclose(tube.boxes[:, 0], [0, 8, 16, 24, 32])
    assert tube.interpolated.tolist() == [False, True, False, True, False]


def test_a_gap_in_a_tube_is_filled_for_the_images_there_were() -> None:
    lost = [pair([], (2, 4)), pair([], (4, 6))]
    images = [i * FRAME for i in (0, 1, 2, 4, 5, 6, 8)]
    tube, _, _ = watched(images, [*walk(0, 2), *lost, *walk(6, 8)])
    assert tube.stamps.tolist() == images
    assert tube.interpolated.tolist() == [False, True, False, True, True, False, False]
    np.testing.assert_allclose(tube.boxes[:, 0], [4 * stamp / FRAME for stamp in images], atol=1e-5)


@pytest.mark.parametrize("revise", [False, True])
def test_at_the_models_rate_nothing_changes(revise: bool) -> None:
    _, updates, own = watched([i * FRAME for i in range(9)], walk(*range(0, 9, 2)), revise=revise)
    for update, before in zip(updates, own, strict=True):
        for one, other in zip(update.tubes[0], before.tubes[0], strict=True):
            np.testing.assert_array_equal(one, other)


def test_images_after_the_last_frame_keep_the_boxes_of_that_frame_in_the_end() -> None:
    linker, boxes = TubeLinker(3), ImageBoxes(8)
    for i, one in enumerate(walk(0, 1, 2)):
        boxes.add(i * FRAME, i)
        boxes.fit(linker.update(one, 1))
    for stamp in (2 * FRAME, 2 * FRAME + 1, 2 * FRAME + 2):
        boxes.add(stamp, None)
    (tube,) = boxes.conclude(linker.end()).tubes
    assert tube.stamps.tolist() == [2 * FRAME + 1, 2 * FRAME + 2]
    assert tube.boxes.tolist() == [list(box(8))] * 2
    assert tube.interpolated.all()


def test_what_ended_is_forgotten_and_a_reset_forgets_all() -> None:
    linker, boxes = TubeLinker(3), ImageBoxes(8)
    for i, one in enumerate(walk(0, 1, 2)):
        boxes.add(i * FRAME, i)
        boxes.fit(linker.update(one, 1))
    assert boxes._last
    boxes.fit(linker.end())
    assert not boxes._last
    boxes.reset()
    assert not boxes._images
