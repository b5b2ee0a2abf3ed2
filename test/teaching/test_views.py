"""How the whole picture is looked at beside a person."""

from __future__ import annotations

import numpy as np
import pytest

from amtnet_ros.actors.crops import View
from amtnet_ros.teaching.views import SHOWN, ways_of, whole_ways_of

SIZE = (320, 240)


def test_the_whole_picture_is_seen_when_the_person_is() -> None:
    """In the robot's way: then the last second of both is the same one."""
    boxes = np.tile(np.array([[10, 10, 50, 90]], np.float32), (200, 1))
    (person,) = ways_of(7, boxes, 30.0, 1, np.random.default_rng(0))
    whole = whole_ways_of(7, 200, SIZE, 30.0, 3, np.random.default_rng(0))[0]
    assert whole.frames == person.frames
    assert set(whole.views) == {View(160, 120, 320, 240)}


@pytest.mark.parametrize("seed", range(5))
def test_other_ways_show_most_of_it_and_nothing_beyond(seed: int) -> None:
    ways = whole_ways_of(0, 60, SIZE, 25.0, 4, np.random.default_rng(seed))
    assert [way.mirrored for way in ways] == [False, True, False, True]
    for way in ways[1:]:
        view = way.views[0]
        assert SHOWN * 320 <= view.width <= 320
        assert view.width / view.height == pytest.approx(4 / 3)
        assert view.width / 2 <= view.x <= 320 - view.width / 2
        assert view.height / 2 <= view.y <= 240 - view.height / 2
        assert 0 <= way.frames[0] <= way.frames[-1] < 60
