"""Frames in, key frames with their stacks out, by a flow engine whose answer is known."""

from __future__ import annotations

import itertools

import numpy as np
import pytest

from amtnet_ros.contracts import Frame
from amtnet_ros.errors import UserError
from amtnet_ros.flow.motion import Motion
from amtnet_ros.flow.stack import StackPlacement, window

SIZE = (8, 6)
RATE = 30.0


class Brightness:
    """A flow engine: everything moves to the right by the difference of the two images' grey levels."""

    name, working_size = "brightness", SIZE

    def __init__(self) -> None:
        self.calls = 0

    def __call__(self, previous: np.ndarray, current: np.ndarray) -> np.ndarray:
        self.calls += 1
        field = np.zeros((SIZE[1], SIZE[0], 2), np.float32)
        field[..., 0] = float(current[0, 0, 0]) - float(previous[0, 0, 0])
        return field

    def batch(self, previous: np.ndarray, current: np.ndarray) -> np.ndarray:
        return np.stack([self(a, b) for a, b in zip(previous, current, strict=True)])


GREYS = [10, 11, 13, 14, 17, 18, 20, 21, 24, 25, 26, 28]


def frame(index: int) -> Frame:
    return Frame(index, round(index * 1e9 / RATE), np.full((SIZE[1], SIZE[0], 3), GREYS[index], np.uint8))


def motion(placement: StackPlacement = "past", engine: Brightness | None = None) -> Motion:
    return Motion(engine or Brightness(), RATE, SIZE, placement, 5)


def moves(stack: np.ndarray) -> list[float]:
    """Pixels to the right in each of the five flow images, read back from the encoding 128 + 16 u."""
    return [(float(stack[0, 0, 3 * k]) - 128) / 16 for k in range(5)]


def expected(key: int, placement: StackPlacement) -> list[float]:
    """Of the flow images in the offline window of a whole video; the last frame repeats the one before it."""
    steps = [b - a for a, b in itertools.pairwise(GREYS)]
    steps.append(steps[-1])
    return [float(steps[i]) for i in window(key, len(GREYS), placement, 5)]


@pytest.mark.parametrize("placement", ["past", "causal", "centred"])
@pytest.mark.parametrize("delta", [1, 3])
def test_every_key_frame_comes_with_the_stack_of_the_whole_video(placement: StackPlacement, delta: int) -> None:
    made = motion(placement)
    found = [key for i in range(len(GREYS)) for key in made.add(frame(i), i % delta == 0, delta)]
    found += made.flush(newest_is_key=True)
    assert [key.index for key, _ in found] == sorted({*range(0, len(GREYS), delta), len(GREYS) - 1})
    for key, stack in found:
        assert stack is not None
        assert moves(stack) == expected(key.index, placement)


def test_flow_is_measured_per_nominal_interval() -> None:
    made = motion()
    for i in (0, 2, 4, 6, 8):
        made.add(frame(i), True, 2)
    (*_, (_, stack)) = made.add(frame(10), True, 2)
    assert stack is not None
    assert moves(stack) == [1.5, 2.0, 2.0, 1.0, 1.0]  # half of what moved in two intervals, newest last


def test_a_model_without_motion_waits_for_nothing() -> None:
    made = Motion(None, RATE, SIZE, "past", 5)
    assert [key.index for key, stack in made.add(frame(0), True, 1) if stack is None] == [0]
    assert made.add(frame(1), False, 2) == []


def test_what_was_before_a_reset_is_in_no_stack() -> None:
    engine = Brightness()
    made = motion(engine=engine)
    for i in range(4):
        made.add(frame(i), True, 1)
    made.reset()
    assert made.add(frame(9), True, 1) == []
    assert engine.calls == 3


def test_images_of_two_sizes_are_refused() -> None:
    made = motion()
    made.add(frame(0), True, 1)
    with pytest.raises(UserError, match="differ in size"):
        made.add(Frame(1, round(1e9 / RATE), np.zeros((5, 8, 3), np.uint8)), True, 1)
