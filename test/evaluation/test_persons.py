"""What persons are called, and what that does to the scores of tubes."""

from __future__ import annotations

import numpy as np

from amtnet_ros.evaluation.persons import WatchedPerson, reliability_of, rescored, says
from amtnet_ros.evaluation.tubes import ScoredTube

LABELS = ("clap", "wave", "other")


def person(scores: list[float], x: float = 0.0, frames: int = 4) -> WatchedPerson:
    box = np.array([x, 0, x + 10, 20], np.float32)
    return WatchedPerson(np.array(scores, np.float32), dict.fromkeys(range(frames), box))


def test_who_is_followed_longest_is_called_by_the_likeliest_label() -> None:
    persons = [person([0.2, 0.3, 0.5]), person([0.9, 0.1, 0.0], frames=2)]
    assert says(persons, LABELS, with_other=True) == "other"
    assert says(persons, LABELS, with_other=False) == "wave"
    assert says([], LABELS, with_other=True) is None


def test_a_score_is_held_against_what_the_person_really_did() -> None:
    clips = [
        ([person([0.65, 0.2, 0.1])], "clap"),
        ([person([0.62, 0.3, 0.1])], "wave"),
        ([person([0.1, 0.95, 0.0]), person([0.9, 0.1, 0.0], frames=2)], "wave"),
        ([person([0.1, 0.2, 0.7])], "wave"),  # called `other`
        ([], "clap"),
    ]
    found = reliability_of(clips, LABELS)
    np.testing.assert_allclose(found.said, [0.635, 0.95], atol=1e-6)
    assert (found.right.tolist(), found.moments.tolist()) == ([0.5, 1.0], [2, 1])


def test_a_tube_takes_the_score_of_the_person_it_overlaps() -> None:
    tube = ScoredTube("v", 1, 0.8, 0, np.array([[30, 0, 40, 20]] * 4, np.float64))
    (found,) = rescored([tube], [person([0.1, 0.09, 0.8]), person([0.2, 0.64, 0.1], x=31)], power=0.5)
    assert abs(found.score - 0.8 * 0.8) < 1e-6
    (alone,) = rescored([tube], [person([0.1, 0.09, 0.8])], power=0.5)
    assert abs(alone.score - 0.8 * 0.3) < 1e-6
