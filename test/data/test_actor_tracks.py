"""What the actor stream may learn from, and what it must not."""

import json

import actor_data
import numpy as np
import pytest

from amtnet_ros.data.actor_tracks import (
    NOBODY,
    OTHER,
    PEOPLE_ANSWERS,
    UCF101_24_ANSWERS,
    UNSEEN,
    read_tracks,
)
from amtnet_ros.data.groups import read_field_groups
from amtnet_ros.data.jhmdb21 import read_jhmdb21
from amtnet_ros.errors import UserError


@pytest.fixture(scope="module")
def small(tmp_path_factory):
    return actor_data.make_data(tmp_path_factory.mktemp("data"))


@pytest.fixture(scope="module")
def real(data_root):
    return read_tracks(data_root, 1, 0.12, seed=5)


def test_people_of_three_data_sets_with_their_frames_and_answers(small):
    tracks = read_tracks(small, 1, 0.0, seed=0)
    by_video = {(track.video, track.first): track for track in tracks.learnt}
    assert tracks.held_out == ()
    walker = by_video["ucf101_24/WalkingWithDog/v_WalkingWithDog_g01_c01", 20]
    assert (walker.answers, walker.group, len(walker.boxes)) == (("walk",), "ucf101/WalkingWithDog/1", 40)
    assert (walker.boxes[0, 2:] - walker.boxes[0, :2]).tolist() == [40, 50]
    boxer = by_video["ucf101_people/Punch", 24 + 2]  # of the second segment
    assert (boxer.answers, boxer.group, len(boxer.boxes)) == ((OTHER,), "ucf101/Punch/2", 22)
    actor = by_video["jhmdb21/film0_walk_u_nm_np1_fr_goo_1", 0]
    assert (actor.answers, actor.group, len(actor.boxes)) == (("walk",), "jhmdb21/film0", 33)
    assert all(path.is_file() for path in tracks.videos.values())


def test_test_clips_kept_out_groups_and_missing_videos_are_left_out(small):
    tracks = read_tracks(small, 1, 0.0, seed=0)
    everybody = (*tracks.learnt, *tracks.unseen)
    groups = {track.group for track in everybody}
    assert "ucf101/WalkingWithDog/2" not in groups  # of the field clips
    assert "ucf101/Punch/3" not in groups
    assert not any("Fencing" in group or "film3" in group for group in groups)
    assert {track.group for track in tracks.unseen} == {"ucf101/Surfing/1", "ucf101/Drumming/2"}


def test_nothing_of_the_test_clips_or_of_the_field_clips_is_drawn(real, data_root):
    field = read_field_groups(data_root / "field" / "field_groups.txt")
    assert len(field) > 100
    everybody = (*real.learnt, *real.held_out, *real.unseen)
    assert len(everybody) > 2500
    for track in everybody:
        if track.group.startswith("ucf101/"):
            _, name, number = track.group.split("/")
            assert (name, int(number)) not in field
            assert (name, int(number)) not in {("PullUps", 16), ("PullUps", 18), ("Archery", 2)}
    tests = {f"jhmdb21/{name}" for name in read_jhmdb21(data_root, 1).test}
    assert not tests & {track.video for track in everybody}


def test_kept_out_segments_are_not_touched_by_any_track(real, data_root):
    with np.load(data_root / "ucf101_people" / "segments.npz") as file:
        kept_out = set(zip(file["seg_file"][file["kept_out"]], file["seg_pos"][file["kept_out"]], strict=True))
    names = json.loads((data_root / "ucf101_people" / "names.json").read_text())["classes"]
    for track in (*real.learnt, *real.held_out, *real.unseen):
        if track.source[0] == "ucf101_people":
            last = track.first + len(track.boxes) - 1
            assert track.first // 24 == last // 24
            assert (names.index(track.source[1]), track.first // 24) not in kept_out


def test_what_the_field_clips_ask_for_unseen_is_never_taught(real):
    assert not {track.source[1] for track in (*real.learnt, *real.held_out)} & set(UNSEEN)
    assert {track.source[1] for track in real.unseen} == set(UNSEEN)


def test_held_out_groups_are_whole_and_a_share_of_every_class(real):
    assert not {track.group for track in real.learnt} & {track.group for track in real.held_out}
    for label in real.classes:
        learnt, held = (
            sum(track.source == ("jhmdb21", label) for track in part) for part in (real.learnt, real.held_out)
        )
        assert 0.05 < held / (held + learnt) < 0.35, label
    share = len(real.held_out) / (len(real.held_out) + len(real.learnt))
    assert 0.1 < share < 0.16


def test_another_seed_holds_out_other_groups(small):
    drawn = [{track.group for track in read_tracks(small, 1, 0.4, seed).held_out} for seed in range(6)]
    assert all(drawn)
    assert len({frozenset(groups) for groups in drawn}) > 1
    assert drawn[0] == {track.group for track in read_tracks(small, 1, 0.4, 0).held_out}


def test_every_answer_is_one_that_can_be_given(real):
    known = {*real.classes, OTHER, NOBODY}
    answers = {answer for table in (UCF101_24_ANSWERS, PEOPLE_ANSWERS) for given in table.values() for answer in given}
    assert answers <= known
    assert {answer for track in real.learnt for answer in track.answers} == known - {NOBODY}


def test_a_missing_or_wrong_list_of_groups_is_said_in_one_line(tmp_path):
    with pytest.raises(UserError, match=r"groups\.txt: the list of groups not to learn from cannot be read"):
        read_field_groups(tmp_path / "groups.txt")
    (tmp_path / "groups.txt").write_text("Archery one\n")
    with pytest.raises(UserError, match=r"groups\.txt: expected a class and a number"):
        read_field_groups(tmp_path / "groups.txt")
