"""The rule that follows from people held out: it says what the robot will say; scenes count where that helps."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.special import softmax

from amtnet_ros.actors.fusion import Fusion, Rule
from amtnet_ros.actors.memory import Answer
from amtnet_ros.teaching.judging import CLAIMED, LEAST_CAREFUL, SHARES, Float64, Judged, choose_rule, claims, joined
from amtnet_ros.teaching.layer import Answers

ANSWERS = Answers(("swim", "ski"))
RNG = np.random.default_rng(0)


def told(right: list[int], sure: float) -> Float64:
    """Logits, (N, 4), by which the right answer leads by `sure`, more or less."""
    return np.eye(4)[right] * sure + RNG.normal(0, 1, (len(right), 4)) - [0, 0, 0, 9]


def judged(sure_of_person: float, sure_of_whole: float) -> Judged:
    """Forty clips of each action, as many of people who do something else, and as many who came with the model."""
    right = [0] * 40 + [1] * 40 + [2] * 80
    person, whole = told(right, sure_of_person), told(right, sure_of_whole)
    whole[120:] = person[120:]
    own, strange = np.arange(160) < 120, np.arange(160) >= 80
    return Judged(person, whole, np.array(right), own, strange, none=own & strange)


@pytest.mark.parametrize("share", [0.0, 0.25, 0.75])
def test_what_is_judged_is_what_the_robot_says(share: float) -> None:
    person, whole = RNG.normal(0, 2, (5, 4)), RNG.normal(0, 2, (5, 4))
    fusion = Fusion(ANSWERS.actions, ANSWERS.order, Rule(0, 1, 0, whole=share), seen_in_pairs=("swim", "ski"))
    for said, one, scene in zip(joined(person, whole, share), person, whole, strict=True):
        names = np.full(600, 1 / 600, np.float32)
        answers = [Answer(softmax(view).astype(np.float32), names) for view in (one, scene)]
        robot = fusion.join(np.array([0.5, 0.5], np.float32), *answers)
        np.testing.assert_allclose(said, [*robot.scores, robot.nobody], atol=1e-5)


@pytest.mark.parametrize(("person", "whole", "expected"), [(1, 8, SHARES[1:]), (8, 0, SHARES[:1])])
def test_the_scene_has_a_say_where_it_helps(person: float, whole: float, expected: tuple[float, ...]) -> None:
    people = judged(person, whole)
    careful, share = choose_rule(people, ANSWERS, SHARES)
    assert share in expected
    assert claims(people, ANSWERS, careful, share) <= CLAIMED
    no_more_than_it_takes = claims(people, ANSWERS, careful - 0.5, share) > CLAIMED
    assert no_more_than_it_takes or careful == LEAST_CAREFUL


def test_strangers_are_held_to_the_same_whatever_the_share() -> None:
    people = judged(3, 3)
    for share in SHARES:
        careful, _ = choose_rule(people, ANSWERS, (share,))
        said = people.answers(careful * ANSWERS.caution, share).argmax(axis=1)
        for strangers in (people.strange & people.own, people.strange & ~people.own):
            assert (said[strangers] < 2).mean() <= CLAIMED
