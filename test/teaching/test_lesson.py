"""What is learnt from features: actions are told apart, strangers are not claimed, what is kept stays."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.special import softmax

from amtnet_ros.contracts import Float32
from amtnet_ros.teaching.known_people import KnownPeople, read_people
from amtnet_ros.teaching.layer import SHARPNESS, Answers, Layer, learn_layer
from amtnet_ros.teaching.lesson import Lesson, TaughtClip, probabilities, rows_of, teach, weights_of
from amtnet_ros.teaching.report import count

SIZE = 12
RNG = np.random.default_rng(0)


def around(place: int, n: int = 3) -> Float32:
    """Features of people who do one thing: one number is large."""
    features = RNG.uniform(0, 0.3, (n, SIZE))
    features[:, place] += 2
    return features.astype(np.float32)


def known(n_kinds: int = 6) -> KnownPeople:
    labels = [f"kind{kind}" for kind in range(n_kinds) for _ in range(4)] + ["nobody"] * 4
    features = np.concatenate([around(4 + kind, 4) for kind in range(n_kinds)] + [around(10, 4)])
    whole = features.copy()
    whole[: 4 * n_kinds, 3] += 1  # their scenes
    return KnownPeople(features, tuple(labels), tuple(f"g{i}" for i in range(len(labels))), whole)


def clips(*places: tuple[str, int]) -> list[TaughtClip]:
    return [
        TaughtClip(f"{label} {i}", label, f"{label} {i}", (around(place), around(place)))
        for label, place in places
        for i in range(4)
    ]


def called(lesson: Lesson, persons: Float32, scenes: Float32 | None = None) -> list[str]:
    said = probabilities(lesson, persons, persons if scenes is None else scenes)
    return [lesson.answers.order[int(i)] for i in said.argmax(axis=1)]


@pytest.fixture(scope="module")
def lesson() -> Lesson:
    rows = rows_of(clips(("wave", 0), ("bow", 1), ("none", 2)), known(), lambda features: features)
    return teach(rows, Answers(("wave", "bow")), seed=0)


def test_a_layer_is_the_likeliest_one_near_the_mean_directions() -> None:
    hidden, right, weights = RNG.normal(size=(60, 4)).astype(np.float32), RNG.integers(0, 3, 60), RNG.random(60)
    middle = np.array([0.1, 0.2, -0.3, 0], np.float32)
    layer = learn_layer(hidden, right, weights, 3, 1e-3, middle, still=2)
    away = (hidden - middle) / np.linalg.norm(hidden - middle, axis=1, keepdims=True)
    means = SHARPNESS * np.stack([np.average(away[right == k], axis=0, weights=weights[right == k]) for k in range(2)])

    def cost(direction: Float32, bias: Float32) -> float:
        said = softmax(away @ direction.T + bias, axis=1)[np.arange(60), right]
        return float(-np.average(np.log(said), weights=weights) + 1e-3 * ((direction[:2] - means) ** 2).sum())

    np.testing.assert_allclose(layer.answers(hidden), softmax(away @ layer.direction.T + layer.bias, axis=1), atol=1e-5)
    assert not layer.weight.any()
    assert not layer.direction[2].any()
    assert layer.bias[2] == 0
    best = cost(layer.direction, layer.bias)
    for _ in range(20):
        step = RNG.normal(0, 0.3, layer.direction.shape).astype(np.float32)
        step[2] = 0
        assert cost(layer.direction + step, layer.bias) > best


def test_what_is_told_does_not_depend_on_how_sure_the_network_is() -> None:
    middle = RNG.random(4).astype(np.float32)
    layer = learn_layer(RNG.normal(size=(9, 4)).astype(np.float32), np.arange(9) % 3, np.ones(9), 3, 1e-3, middle)
    away = RNG.normal(size=(5, 4)).astype(np.float32)
    np.testing.assert_allclose(layer.answers(middle + away), layer.answers(middle + 3 * away), atol=1e-5)


def test_new_actions_are_named_and_all_else_is_other(lesson: Lesson) -> None:
    said = [one for place in (0, 1, 2, 5) for one in called(lesson, around(place))]
    assert said == ["wave"] * 3 + ["bow"] * 3 + ["other"] * 6
    assert called(lesson, around(10)) == ["nobody"] * 3


def test_a_scene_that_nothing_guards_has_no_say() -> None:
    """One action and no clip of `none`: of the scenes of people who do something else nothing is known."""
    clips = [TaughtClip(f"{i}", "swim", f"{i}", (around(0),), (around(1),)) for i in range(6)]
    lesson = teach(rows_of(clips, known(), lambda features: features), Answers(("swim",)), seed=0)
    assert lesson.whole == 0


def test_the_whole_picture_does_not_speak_for_one_of_several() -> None:
    person, scene = around(0), around(1)
    alone, among = (TaughtClip("", "swim", "", (person,), (scene,), alone) for alone in (True, False))
    np.testing.assert_array_equal(alone.last_second, (person[-1], scene[-1]))
    np.testing.assert_array_equal(among.last_second, (person[-1], person[-1]))
    rows = rows_of([alone, among], known(), lambda features: features)
    of_clips = rows.judged & rows.own
    np.testing.assert_array_equal(rows.whole[of_clips], [scene[-1], person[-1]])
    np.testing.assert_array_equal(rows.hidden[of_clips], [person[-1], person[-1]])


def test_what_is_counted_was_held_out(lesson: Lesson) -> None:
    counts = count(lesson)
    assert counts.titles[:2] == ("wave", "bow")
    assert counts.counts[0].sum() == counts.counts[1].sum() == 4
    assert counts.counts[counts.titles.index("clips of none")].sum() == 4
    strangers = counts.counts[counts.titles.index("an action that was not taught")]
    assert strangers.sum() == 8  # each action once as if it had not been taught
    assert counts.shares["wave"] == 100 * counts.counts[0][0] / 4


def test_each_action_weighs_the_same_however_many_clips_it_has() -> None:
    rows = rows_of([*clips(("wave", 0)), *clips(("bow", 1))[:2]], known(), lambda features: features)
    weights = weights_of(rows, Answers(("wave", "bow")))
    assert weights[rows.labels == "wave"].sum() == pytest.approx(1)
    assert weights[rows.labels == "bow"].sum() == pytest.approx(1)
    assert weights[np.char.startswith(rows.labels, "kind")].sum() == pytest.approx(2)


def test_what_is_kept_says_what_it_said_of_its_own() -> None:
    people = known(2)
    weight = np.eye(SIZE, dtype=np.float32)[[4, 5, 9, 10]] * 6
    given = Layer(weight, np.array([-6, -6, 0, 0], np.float32), 0 * weight, np.zeros(SIZE, np.float32))
    answers = Answers(("wave",), ("kind0", "kind1"), given)
    lesson = teach(rows_of(clips(("wave", 0)), people, lambda features: features), answers, seed=0)
    np.testing.assert_array_equal(lesson.layer.weight[1:], given.weight)
    said = [one for place in (0, 4, 5) for one in called(lesson, around(place))]
    assert said == ["wave"] * 3 + ["kind0"] * 3 + ["kind1"] * 3


def test_people_are_written_in_8_bits(tmp_path) -> None:
    people = known()
    people.write(tmp_path / "people.npz")
    again = read_people(tmp_path)
    assert (again.labels, again.groups) == (people.labels, people.groups)
    for name in ("features", "whole"):
        written = getattr(people, name)
        np.testing.assert_allclose(getattr(again, name), written, atol=written.max() / 255)
    np.testing.assert_array_equal(again.of_scenes, people.of_scenes)
