"""Persons are looked at, remembered and forgotten."""

from __future__ import annotations

import logging
import subprocess
import sys
from typing import Any

import numpy as np
import pytest
from numpy_engines import CountingEngine

from amtnet_ros.actors.actors import Actors
from amtnet_ros.actors.crops import View, cut, square_around
from amtnet_ros.contracts import Float32, Frame

SECOND = 1_000_000_000
BOX = np.array([20, 20, 60, 80], np.float32)
SIZE = (160, 120)


def frame(seconds: float, brightness: int = 100) -> Frame:
    return Frame(0, round(seconds * SECOND), np.full((SIZE[1], SIZE[0], 3), brightness, np.uint8))


def watch(
    actors: Actors, begin: float, end: float, boxes: dict[int, Float32], rate: float = 10, brightness: int = 100
) -> Any:
    """Frames of a camera; returns the last answers."""
    answers: Any = {}
    for i in range(round((end - begin) * rate)):
        answers = actors.look(frame(begin + i / rate, brightness), boxes)
    return answers


def test_an_answer_is_of_the_last_second() -> None:
    actors = Actors(CountingEngine())
    watch(actors, 0, 5, {1: BOX}, brightness=200)
    mean, seen, earlier = watch(actors, 5, 5.5, {1: BOX}, brightness=100)[1].answers
    assert (mean, seen, earlier) == (150, 55, 9)
    mean, seen, earlier = watch(actors, 5.5, 6, {1: BOX}, brightness=100)[1].answers
    assert (mean, seen, earlier) == (100, 60, 9)


def test_somebody_alone_is_looked_at_with_the_whole_picture() -> None:
    engine = CountingEngine()
    actors = Actors(engine, nobody=2)
    image = np.random.default_rng(0).integers(0, 256, (SIZE[1], SIZE[0], 3), dtype=np.uint8)
    for i in range(2):
        actors.look(Frame(i, i * SECOND // 10, image), {1: BOX})
    assert engine.batches == [2, 2]
    np.testing.assert_array_equal(engine.pictures[-1], cut(image, View(80, 60, 160, 120), 16))
    whole = actors.whole(1)
    assert whole is not None
    assert whole.answers[0] == pytest.approx(engine.pictures[-1].mean(), abs=1e-3)
    assert (whole.answers[1], actors.counters.looks, actors.counters.whole) == (2, 2, 2)
    assert actors.whole(5) is None, "of somebody who is not there nothing is said"


def test_of_several_people_the_whole_picture_says_nothing() -> None:
    engine = CountingEngine()
    actors = Actors(engine, nobody=2)
    watch(actors, 0, 1, {1: BOX, 2: BOX + 30})
    assert (actors.whole(1), actors.whole(2)) == (None, None)
    actors.look(frame(1), {2: BOX + 30})
    whole = actors.whole(2)
    assert whole is not None
    assert whole.answers[1] == 11, "it was looked at all the time"


def test_of_three_people_it_is_not_looked_at() -> None:
    engine = CountingEngine()
    actors = Actors(engine, nobody=2)
    watch(actors, 0, 1, {1: BOX, 2: BOX + 30, 3: BOX + 40})
    assert engine.batches == [4, *[3] * 9], "once, before anything was said of them"
    watch(actors, 1, 1.1, {1: BOX, 3: BOX + 40})
    assert engine.batches[-1] == 3, "two and the whole picture"


def test_who_is_beside_a_box_of_nobody_is_alone() -> None:
    actors = Actors(CountingEngine(), nobody=0)  # the first answer is the brightness: where it is bright nobody is
    image = np.zeros((120, 400, 3), np.uint8)
    image[:, :200] = 255
    boxes = {1: BOX, 2: BOX + np.array([250, 0, 250, 0], np.float32)}
    for i in range(5):
        actors.look(Frame(i, i * SECOND // 10, image), boxes)
    assert actors.whole(1) is None
    assert actors.whole(2) is not None


def test_the_whole_picture_is_not_looked_at_unless_asked_for() -> None:
    engine = CountingEngine()
    actors = Actors(engine)
    watch(actors, 0, 1, {1: BOX})
    assert (actors.whole(1), set(engine.batches)) == (None, {1})


def test_of_one_picture_nothing_is_said() -> None:
    actors = Actors(CountingEngine())
    assert actors.look(frame(0), {1: BOX}) == {}
    assert set(actors.look(frame(0.1), {1: BOX})) == {1}


def test_between_two_looks_the_answer_stands() -> None:
    engine = CountingEngine()
    actors = Actors(engine)
    watch(actors, 0, 1, {1: BOX}, rate=30)
    assert 10 <= sum(engine.batches) <= 11
    assert set(actors.look(frame(1.001), {1: BOX})) == {1}


def test_nothing_is_computed_while_nobody_is_there() -> None:
    engine = CountingEngine()
    assert watch(Actors(engine), 0, 3, {}) == {}
    assert engine.batches == []


def test_everybody_has_a_memory_that_goes_with_the_tube() -> None:
    actors = Actors(CountingEngine())
    watch(actors, 0, 1, {1: BOX})
    answers = watch(actors, 1, 1.5, {1: BOX, 2: BOX + 30})
    assert {tube: answer.answers[1] for tube, answer in answers.items()} == {1: 15, 2: 5}
    assert set(watch(actors, 1.5, 2, {2: BOX + 30})) == {2}
    assert watch(actors, 2, 2.5, {1: BOX, 2: BOX + 30})[1].answers[1] == 5, "the tube's id came again: a new person"


def test_all_persons_are_one_batch_up_to_a_limit() -> None:
    engine = CountingEngine()
    watch(Actors(engine, at_once=4), 0, 1, dict.fromkeys(range(3), BOX))
    assert engine.batches == [3] * 10
    engine = CountingEngine()
    actors = Actors(engine, at_once=2)
    watch(actors, 0, 2, dict.fromkeys(range(50), BOX))
    assert set(engine.batches) == {2}
    assert actors.waiting == 46
    assert actors.counters.crowded == 20
    assert actors.counters.looks == 40


def test_who_waits_has_no_answer_and_no_memory() -> None:
    actors = Actors(CountingEngine(), at_once=1)
    for i in range(100):
        answers = actors.look(frame(i / 10), dict.fromkeys(range(8), BOX))
        assert len(answers) <= 2
        assert sum(person.memory is not None for person in actors._persons.values()) <= 2


def test_a_pause_of_more_than_half_a_second_is_forgotten() -> None:
    actors = Actors(CountingEngine())
    watch(actors, 0, 1, {1: BOX})
    assert watch(actors, 1.35, 1.75, {1: BOX})[1].answers[1] == 14, "0.45 s: the same movement goes on"
    assert watch(actors, 2.3, 2.6, {1: BOX})[1].answers[1] == 3, "0.65 s: a new one"


def test_a_clock_that_falls_back_is_a_new_beginning() -> None:
    actors = Actors(CountingEngine())
    watch(actors, 100, 101, {1: BOX})
    assert watch(actors, 3, 3.3, {1: BOX})[1].answers[1] == 3


@pytest.mark.parametrize(
    "box",
    [[20, 20, 21, 21], [-90, 20, -10, 80], [np.nan] * 4, [0, 0, np.inf, 9], [60, 80, 20, 20], [500, 500, 600, 600]],
)
def test_a_box_of_which_nothing_is_seen_costs_its_person_only(box: list[float]) -> None:
    engine = CountingEngine()
    answers = watch(Actors(engine), 0, 1, {1: np.array(box, np.float32), 2: BOX})
    assert set(answers) == {2}
    assert set(engine.batches) == {1}


def test_a_person_who_leaves_the_picture_is_followed_to_its_border() -> None:
    actors = Actors(CountingEngine())
    for i in range(40):
        answers = actors.look(frame(i / 10), {1: BOX + np.array([-4 * i, 0, -4 * i, 0], np.float32)})
    assert answers == {}


def test_a_picture_is_the_square_round_the_smoothed_box() -> None:
    engine = CountingEngine()
    actors = Actors(engine)
    image = np.random.default_rng(0).integers(0, 256, (300, 300, 3), dtype=np.uint8)
    for i in range(5):
        shift = np.float32(4 * (i % 2) - 2)
        actors.look(Frame(i, i * SECOND // 10, image), {1: np.array([140, 140, 150, 150], np.float32) + shift})
    middle = np.array([140, 140, 150, 150], np.float32) - np.float32(0.4)  # of -2, 2, -2, 2, -2
    np.testing.assert_array_equal(engine.pictures[-1], cut(image, square_around(middle), 16))


def test_a_camera_of_one_picture_a_second_is_left_to_the_two_stream_network_and_that_is_said_once(
    caplog: pytest.LogCaptureFixture,
) -> None:
    engine = CountingEngine()
    actors = Actors(engine)
    with caplog.at_level(logging.WARNING):
        assert watch(actors, 0, 30, {1: BOX}, rate=1) == {}
    assert actors.too_slow
    assert sum(engine.batches) == 1
    assert len(caplog.records) == 1


def test_however_long_a_person_is_in_view_no_more_than_a_second_is_kept() -> None:
    actors = Actors(CountingEngine())
    watch(actors, 0, 600, {1: BOX}, rate=10)
    (person,) = actors._persons.values()
    assert (len(person._features), len(person.box._boxes)) == (10, 5)
    assert len(actors._schedule._turns) == 1


def test_a_robot_needs_neither_torch_nor_pydantic_nor_ros_for_it() -> None:
    code = (
        "import sys, amtnet_ros.actors.stage;"
        "print([m for m in ('torch', 'pydantic', 'rclpy', 'scipy', 'onnx', 'onnxruntime') if m in sys.modules])"
    )
    assert subprocess.run([sys.executable, "-c", code], capture_output=True, text=True).stdout.strip() == "[]"
