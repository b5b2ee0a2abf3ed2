"""The timeline's points: who did what, how surely, in the last minute."""

from __future__ import annotations

from uuid import UUID

import numpy as np

from amtnet_ros.contracts import Tube, TubeState, TubeUpdate
from amtnet_ros.media.timeline import SECONDS, Timeline

T, A, C, E = TubeState.TENTATIVE, TubeState.ACTIVE, TubeState.COASTING, TubeState.ENDED
LABELS = ("walk", "wave", "other")
FIRST, SECOND = UUID(int=1), UUID(int=2)
NONE, BOXES = np.zeros(0, np.int64), np.zeros((0, 4), np.float32)


def step(timeline: Timeline, seconds: float, *tubes: tuple[int, TubeState, int, float], session: UUID = FIRST) -> None:
    made = tuple(
        Tube(i, state, label, score, BOXES[:0, 0], 0, 0, NONE, NONE, BOXES, BOXES[:, 0], np.zeros(0, np.bool_))
        for i, state, label, score in tubes
    )
    timeline.add(TubeUpdate(0, round(seconds * 1e9), (64, 48), 1, made), session, LABELS)


def test_changes_of_class_and_state_are_points_and_what_goes_on_is_thinned_out() -> None:
    timeline = Timeline()
    for tenth in range(30):  # three hundred steps a second would be as many points
        step(timeline, 5 + tenth / 30, (3, T if tenth < 10 else A, 1 if tenth < 20 else 0, 0.5))
    step(timeline, 6.0, (3, E, 0, 0.4))
    points = timeline.after(-1)
    found = [(round(each.stamp / 1e9 - 5, 3), each.name, each.state) for each in points]
    assert found[0] == (0.0, "wave", T)
    assert (0.333, "wave", A) in found
    assert (0.667, "walk", A) in found
    assert found[-1] == (1.0, "walk", E)
    assert 10 <= len(found) <= 13
    assert timeline.origin == 5_000_000_000


def test_each_point_is_told_once() -> None:
    timeline = Timeline()
    for tenth in range(20):
        step(timeline, tenth / 5, (1, A, 0, 0.5))
    all_of_them = timeline.after(-1)
    assert timeline.after(all_of_them[6].number) == all_of_them[7:]
    assert timeline.after(all_of_them[-1].number) == []


def test_a_number_that_begins_anew_is_another_person() -> None:
    timeline = Timeline()
    step(timeline, 1, (1, A, 0, 0.5))
    step(timeline, 2, (1, E, 0, 0.5))
    step(timeline, 3, (1, A, 1, 0.5), session=SECOND)
    step(timeline, 4, session=SECOND)  # its end was in a message that was lost
    step(timeline, 5, (1, A, 1, 0.5), session=SECOND)
    assert [(each.row, each.id) for each in timeline.after(-1)] == [(0, 1), (0, 1), (1, 1), (2, 1)]


def test_it_remembers_a_minute_and_forgets_all_where_stamps_fall_back() -> None:
    timeline = Timeline()
    for second in range(3 * SECONDS):
        step(timeline, second, (1, A, 0, 0.5))
    assert [each.stamp // 10**9 for each in timeline.after(-1)] == list(range(2 * SECONDS - 1, 3 * SECONDS))
    era = timeline.era
    step(timeline, 0.5, (2, A, 0, 0.5))
    assert timeline.era == era + 1
    assert [each.id for each in timeline.after(-1)] == [2]
