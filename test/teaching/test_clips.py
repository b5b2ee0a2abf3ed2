"""Which clips there are, which belong together, and which are for tests."""

from __future__ import annotations

from pathlib import Path

import pytest

from amtnet_ros.errors import UserError
from amtnet_ros.teaching.clips import Clip, draw_split, find_clips, source_of


def make(folder: Path, *names: str) -> Path:
    for name in names:
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).touch()
    return folder


def test_clips_are_named_by_their_folder_and_grouped_by_the_source_in_their_names(tmp_path: Path) -> None:
    clips, remarks = find_clips(make(tmp_path, "wave/anna_1.mp4", "wave/anna_2.mp4", "wave/ben.mov", "none/x.mp4"))
    assert remarks == []
    assert [(clip.name, clip.label, clip.group) for clip in clips] == [
        ("none/x", "none", "x"),
        ("wave/anna_1", "wave", "anna"),
        ("wave/anna_2", "wave", "anna"),
        ("wave/ben", "wave", "ben"),
    ]


def test_names_that_differ_by_numbers_alone_tell_no_source(tmp_path: Path) -> None:
    clips, _ = find_clips(make(tmp_path, "wave/clip1.mp4", "wave/clip2.mp4"))
    assert [clip.group for clip in clips] == ["clip1", "clip2"]


@pytest.mark.parametrize(
    ("name", "line"),
    [
        ("other/a.mp4", "other: 'other' is an answer of its own"),
        ("nobody/a.mp4", "nobody: 'nobody' is an answer of its own"),
        ("_x!/a.mp4", "_x!: no name of an action"),
        ("sit/a.txt", "sit: holds no clips"),
        ("a.mp4", "a.mp4: lies in no action's folder"),
    ],
)
def test_what_is_no_clip_of_an_action_is_named(tmp_path: Path, name: str, line: str) -> None:
    clips, (remark,) = find_clips(make(tmp_path, "wave/a.mp4", name))
    assert [clip.name for clip in clips] == ["wave/a"]
    assert line in remark


def test_two_clips_of_one_name_are_both_taken(tmp_path: Path) -> None:
    clips, (remark,) = find_clips(make(tmp_path, "wave/a.mp4", "wave/a.avi", "wave/b.mp4"))
    assert [clip.name for clip in clips] == ["wave/a.avi", "wave/a.mp4", "wave/b"]
    assert "two clips of one name" in remark


def test_a_folder_without_clips_is_refused(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="no clips found"):
        find_clips(make(tmp_path, "readme.txt"))
    with pytest.raises(UserError, match="no such folder"):
        find_clips(tmp_path / "absent")


@pytest.mark.parametrize(
    ("stem", "source"), [("anna_kitchen_02", "anna_kitchen"), ("v_Drumming_g01_c02", "v_Drumming_g01"), ("007", "007")]
)
def test_the_source_is_the_name_without_its_last_number(stem: str, source: str) -> None:
    assert source_of(stem) == source


def clips_of(groups: int, of_each: int = 2) -> list[Clip]:
    return [Clip(f"wave/{g}_{i}", "wave", Path(f"{g}_{i}.mp4"), f"g{g}") for g in range(groups) for i in range(of_each)]


def test_a_fifth_of_the_sources_is_for_tests_and_sources_stay_together() -> None:
    clips = clips_of(10)
    splits = draw_split(clips, {}, seed=1)
    tested = {clip.group for clip in clips if splits[clip.name] == "test"}
    assert len(tested) == 2
    assert all(splits[clip.name] == "test" for clip in clips if clip.group in tested)
    assert splits == draw_split(clips[::-1], {}, seed=1)
    assert splits != draw_split(clips, {}, seed=2)


def test_few_sources_are_all_learnt_from_and_splits_that_are_there_stay() -> None:
    assert set(draw_split(clips_of(5), {}, seed=0).values()) == {"train"}
    before = draw_split(clips_of(10), {}, seed=0)
    after = draw_split(clips_of(12), before, seed=0)
    assert {name: after[name] for name in before} == before
