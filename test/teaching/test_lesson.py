"""What is learnt from features: actions are told apart, strangers are not claimed, what is kept stays."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.special import softmax

from amtnet_ros.contracts import Float32
from amtnet_ros.teaching.answers import Answers
from amtnet_ros.teaching.known_people import KnownPeople, read_people
from amtnet_ros.teaching.layer import Layer, learn_layer
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
    features = np.concatenate([around(4 + kind, 4) for kind in range(n_kinds)] + [np.zeros((4, SIZE), np.float32)])
    return KnownPeople(features, tuple(labels), tuple(f"g{i}" for i in range(len(labels))))


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


def test_a_layer_is_the_likeliest_one() -> None:
    hidden, right, weights = RNG.normal(size=(60, 4)).astype(np.float32), RNG.integers(0, 3, 60), RNG.random(60)
    layer = learn_layer(hidden, right, weights, 3, penalty=1e-3)

    def cost(weight: Float32, bias: Float32) -> float:
        said = softmax(hidden @ weight.T + bias, axis=1)[np.arange(60), right]
        mean = np.average(hidden, axis=0, weights=weights)
        spread = np.sqrt(np.average((hidden - mean) ** 2, axis=0, weights=weights)) + 0.1
        return float(-np.average(np.log(said), weights=weights) + 1e-3 * ((weight * spread) ** 2).sum())

    best = cost(layer.weight, layer.bias)
    for _ in range(20):
        step = RNG.normal(0, 0.05, layer.weight.shape).astype(np.float32)
        assert cost(layer.weight + step, layer.bias) > best


def test_new_actions_are_named_and_all_else_is_other(lesson: Lesson) -> None:
    said = [one for place in (0, 1, 2, 5) for one in called(lesson, around(place))]
    assert said == ["wave"] * 3 + ["bow"] * 3 + ["other"] * 6
    assert called(lesson, np.zeros((1, SIZE), np.float32)) == ["nobody"]


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
    strangers = counts.counts[counts.titles.index("people who do something else")]
    assert strangers.sum() == 4 + 8  # `none`, and each action once as if it had not been taught
    assert counts.shares["wave"] == 100 * counts.counts[0][0] / 4


def test_each_action_weighs_the_same_however_many_clips_it_has() -> None:
    rows = rows_of([*clips(("wave", 0)), *clips(("bow", 1))[:2]], known(), lambda features: features)
    weights = weights_of(rows, Answers(("wave", "bow")))
    assert weights[rows.labels == "wave"].sum() == pytest.approx(1)
    assert weights[rows.labels == "bow"].sum() == pytest.approx(1)
    assert weights[np.char.startswith(rows.labels, "kind")].sum() == pytest.approx(2)


def test_what_is_kept_says_what_it_said_of_its_own() -> None:
    people = known(2)
    given = Layer(np.eye(SIZE, dtype=np.float32)[[4, 5, 9, 10]] * 6, np.array([-6, -6, 0, 0], np.float32))
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
    np.testing.assert_allclose(again.features, people.features, atol=people.features.max() / 255)
