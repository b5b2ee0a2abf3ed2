"""The study of how many clips it takes: who is held out, and how boxes are compared."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from amtnet_ros.bench.teach import StudyClip, draw_clips, in_rounds, overlap_with, study_clips
from amtnet_ros.data.annotations import ActionInstance
from amtnet_ros.data.groups import read_field_groups
from amtnet_ros.teaching.people import PersonTube


def clips(*of_groups: int) -> list[StudyClip]:
    return [StudyClip("Punch", g, Path("a.mp4"), i, 24, None) for g, n in enumerate(of_groups) for i in range(n)]


def test_clips_come_from_as_many_groups_as_there_are() -> None:
    found = in_rounds(clips(2, 1, 3), [2, 0, 1])
    assert [(clip.group, clip.first) for clip in found] == [(2, 0), (0, 0), (1, 0), (2, 1), (0, 1), (2, 2)]


@pytest.mark.parametrize("count", [1, 3, 20])
def test_what_is_asked_is_of_other_groups_than_what_is_learnt(count: int) -> None:
    learnt, held_out = draw_clips(clips(*[3] * 8), count, np.random.default_rng(0))
    assert len(learnt) == min(count, 18)
    assert held_out
    assert not {clip.group for clip in learnt} & {clip.group for clip in held_out}


def test_boxes_are_compared_in_the_frames_that_both_have() -> None:
    boxes = np.array([[0, 0, 10, 10], [0, 0, 10, 10], [0, 0, 10, 20]], np.float32)
    clip = StudyClip("Biking", 1, Path("a.mp4"), 100, 50, ActionInstance(0, np.array([102, 103, 104]), boxes))
    person = PersonTube(1, np.array([[0, 0, 10, 10]] * 4, np.float32))  # frames 101 … 104
    assert overlap_with(person, clip) == pytest.approx((1 + 1 + 0.5) / 3)


def test_no_group_of_the_field_test_is_studied(data_root: Path) -> None:
    by_class = study_clips(data_root, 20, seed=0)
    assert len(by_class) == 34
    kept_out = read_field_groups(data_root / "field" / "field_groups.txt")
    assert not kept_out & {(clip.label, clip.group) for found in by_class.values() for clip in found}
    assert all(15 <= len(found) <= 20 for found in by_class.values())
