"""Lines when actions begin and end."""

from __future__ import annotations

import numpy as np

from amtnet_ros.contracts import Tube, TubeState, TubeUpdate
from amtnet_ros.media.events import ActionEvents

SECOND = 10**9
T, A, C, E = TubeState.TENTATIVE, TubeState.ACTIVE, TubeState.COASTING, TubeState.ENDED


def lines(*steps: tuple[float, list[tuple[int, TubeState, int, float]]]) -> list[str]:
    events = ActionEvents(("walk", "wave", "other"))
    none, boxes = np.zeros(0, np.int64), np.zeros((0, 4), np.float32)
    found = []
    for stamp, tubes in steps:
        made = tuple(
            Tube(i, state, label, score, boxes[:0, 0], 0, 0, none, none, boxes, boxes[:, 0], np.zeros(0, np.bool_))
            for i, state, label, score in tubes
        )
        found += events.add(TubeUpdate(0, round(stamp * SECOND), (64, 48), 1, made))
    return [event.line(origin=SECOND) for event in found]


def test_an_action_begins_when_it_is_confirmed_and_ends_with_its_tube() -> None:
    assert lines(
        (1.0, [(3, T, 1, 0.9)]),
        (2.0, [(3, A, 1, 0.61)]),
        (3.0, [(3, C, 1, 0.5), (4, A, 0, 0.3)]),
        (4.5, [(3, E, 1, 0.5), (4, A, 0, 0.3)]),
    ) == [
        "   1.0 s  #3 wave begins 0.61",
        "   2.0 s  #4 walk begins 0.30",
        "   3.5 s  #3 wave ends after 2.5 s",
    ]


def test_a_change_of_class_ends_one_and_begins_another_and_none_of_them_is_no_action() -> None:
    assert lines(
        (1.0, [(1, A, 2, 0.9)]),
        (2.0, [(1, A, 0, 0.4)]),
        (3.0, [(1, A, 1, 0.5)]),
        (4.0, [(1, A, 2, 0.5)]),
        (5.0, [(1, A, 1, 0.5)]),
        (6.0, []),  # its end was in a message that was lost
    ) == [
        "   1.0 s  #1 walk begins 0.40",
        "   2.0 s  #1 walk ends after 1.0 s",
        "   2.0 s  #1 wave begins 0.50",
        "   3.0 s  #1 wave ends after 1.0 s",
        "   4.0 s  #1 wave begins 0.50",
        "   5.0 s  #1 wave ends after 1.0 s",
    ]
