"""Whom the actor stream looks at, and when."""

from __future__ import annotations

from collections import Counter
from itertools import pairwise

import pytest

from amtnet_ros.actors.schedule import Schedule

SECOND = 1_000_000_000


def looks(schedule: Schedule, rate: float, persons: list[int], seconds: float, begin: float = 0) -> list[list[int]]:
    """Who is looked at in each step of a camera."""
    return [schedule.due(round((begin + i / rate) * SECOND), persons) for i in range(round(seconds * rate))]


@pytest.mark.parametrize("rate", [10, 12, 15, 24, 25, 29.97, 30, 60])
def test_a_person_is_looked_at_ten_times_a_second_whatever_the_cameras_rate(rate: float) -> None:
    found = looks(Schedule(4), rate, [7], 10)
    assert 99 <= sum(map(len, found)) <= 101


def test_a_camera_of_seven_pictures_a_second_is_looked_at_as_often() -> None:
    assert all(step == [7] for step in looks(Schedule(4), 7.5, [7], 4))


def test_persons_who_came_one_after_another_are_soon_looked_at_together() -> None:
    schedule = Schedule(4)
    looks(schedule, 30, [1], 0.04)
    looks(schedule, 30, [1, 2], 0.04, begin=1 / 30)
    together = [step for step in looks(schedule, 30, [1, 2, 3], 1, begin=0.1) if step]
    assert set(map(tuple, together)) == {(1, 2, 3)}


def test_more_than_fit_into_a_step_are_looked_at_in_the_next_ones() -> None:
    schedule = Schedule(2)
    found = looks(schedule, 30, [1, 2, 3, 4, 5], 5)
    assert max(map(len, found)) == 2
    counts = Counter(i for step in found for i in step)
    assert all(49 <= counts[i] <= 51 for i in (1, 2, 3, 4, 5))
    assert schedule.waiting == 0


def test_fifty_persons_take_turns_and_each_is_seen_often_enough_in_its_own() -> None:
    schedule = Schedule(4)
    persons = list(range(50))
    seen: dict[int, list[float]] = {i: [] for i in persons}
    for step in range(10 * 60):
        due = schedule.due(step * SECOND // 10, persons)
        assert len(due) <= 4
        assert len(schedule.in_turn) == (8 if step else 4)
        for i in due:
            seen[i].append(step / 10)
    assert schedule.waiting == 42
    counts = {i: len(times) for i, times in seen.items()}
    assert min(counts.values()) > 0.6 * max(counts.values()), "nobody is forgotten, nobody preferred"
    for times in seen.values():
        gaps = [b - a for a, b in pairwise(times)]
        assert sum(gap <= 0.3 for gap in gaps) > 0.9 * len(gaps)


def test_who_leaves_makes_room_at_once() -> None:
    schedule = Schedule(1)
    looks(schedule, 10, [1, 2, 3, 4], 0.5)
    assert schedule.waiting == 2
    assert schedule.due(SECOND // 2, [3, 4]) in ([3], [4])
    assert schedule.waiting == 0


@pytest.mark.parametrize(("rate", "slow"), [(1, True), (3, True), (4, False), (5, False)])
def test_a_camera_below_four_pictures_a_second_is_too_slow(rate: float, slow: bool) -> None:
    schedule = Schedule(4)
    found = looks(schedule, rate, [1], 10)
    assert schedule.slow is slow
    assert any(found[5:]) is not slow


def test_a_camera_at_the_border_does_not_change_its_kind_all_the_time() -> None:
    schedule = Schedule(4)
    looks(schedule, 3, [1], 10)
    looks(schedule, 4, [1], 10, begin=10)
    assert schedule.slow
    looks(schedule, 6, [1], 10, begin=20)
    assert not schedule.slow
    looks(schedule, 4, [1], 10, begin=30)
    assert not schedule.slow


def test_one_long_pause_makes_no_slow_camera() -> None:
    schedule = Schedule(4)
    looks(schedule, 30, [1], 2)
    looks(schedule, 30, [1], 0.04, begin=60)
    assert not schedule.slow
