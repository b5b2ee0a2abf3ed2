"""Two people are put into one picture, beside each other or crossing, and the one behind is not seen."""

from __future__ import annotations

import numpy as np
import pytest

from amtnet_ros.bench.people import SIZE, compose
from amtnet_ros.bench.switch import SECOND, Clip
from amtnet_ros.contracts import MicroTubes

STEP = SECOND // 10


def person(label: int, x: float) -> Clip:
    """Ten pairs of somebody who stands, 40 by 80 pixels."""
    where = np.array([x, 60, x + 40, 140], np.float32)
    scores = np.zeros((1, 3), np.float32)
    scores[0, label] = 0.8
    pairs = [
        MicroTubes(
            np.tile(where, (1, 2, 1)),
            np.array([label]),
            scores[0, [label]],
            scores,
            (4 * i, 4 * i + 4),
            (i * STEP, (i + 1) * STEP),
            (320, 240),
        )
        for i in range(10)
    ]
    return Clip(tuple(pairs), np.tile(where, (11, 1)), label)


@pytest.mark.parametrize("layout", ["beside", "crossing"])
def test_micro_tubes_lie_where_the_people_are(layout: str) -> None:
    scene = compose("s", (person(0, 10), person(2, 200)), layout, 3.0)
    assert len(scene.pairs) == 30
    assert [instance.label for instance in scene.video.instances] == [0, 2]
    for i, pair in enumerate(scene.pairs):
        assert pair.image_size == SIZE == scene.video.size
        for row, label in enumerate(pair.labels.tolist()):
            actor = scene.video.instances[0 if label == 0 else 1]
            assert actor.frames[[i, i + 1]].tolist() == list(pair.frames)
            np.testing.assert_allclose(pair.boxes[row], actor.boxes[[i, i + 1]], atol=1e-3)


def test_people_beside_each_other_are_always_seen() -> None:
    scene = compose("s", (person(0, 10), person(2, 200)), "beside", 3.0)
    assert all(len(pair) == 2 for pair in scene.pairs)
    left, right = (instance.boxes[0] for instance in scene.video.instances)
    assert left[0] < right[0] < left[2]


def test_who_passes_behind_is_not_seen_while_he_is_covered() -> None:
    scene = compose("s", (person(0, 10), person(2, 200)), "crossing", 3.0)
    seen = [sorted(pair.labels.tolist()) for pair in scene.pairs]
    assert seen[0] == seen[-1] == [0, 2]
    hidden = [i for i, labels in enumerate(seen) if labels == [0]]
    assert hidden == list(range(hidden[0], hidden[-1] + 1))
    assert 2 <= len(hidden) <= 15
    front, behind = (instance.boxes for instance in scene.video.instances)
    assert front[0, 0] < behind[0, 0]
    assert front[-1, 0] > behind[-1, 0]
