"""Clips for the actor stream: what is drawn how often, what they show, and views of people."""

from collections import Counter
from itertools import pairwise

import actor_data
import cv2
import numpy as np
import pytest

from amtnet_ros.actors.crops import View
from amtnet_ros.data.actor_clips import ActorClips, ClipOptions, draw_colours, plain_clip, shaken, smoothed, wandering
from amtnet_ros.data.actor_tracks import read_tracks
from amtnet_ros.data.empty_places import Stretch, draw_empty_square
from amtnet_ros.data.jpeg_store import JpegStore
from amtnet_ros.errors import UserError

SHARES = (("jhmdb21", 0.4), ("nobody", 0.1), ("still", 0.15), ("ucf101_24", 0.15), ("ucf101_people", 0.2))


@pytest.fixture(scope="module")
def tracks(tmp_path_factory):
    return read_tracks(actor_data.make_data(tmp_path_factory.mktemp("data")), 1, 0.0, seed=0)


@pytest.fixture(scope="module")
def store(tracks, tmp_path_factory):
    store = JpegStore(tmp_path_factory.mktemp("jpeg"), tracks.videos)
    store.fill()
    return store


@pytest.fixture(scope="module")
def clips(tracks, store):
    track = tracks.learnt[0]
    empty = [Stretch(track.video, 0, np.float32([[0, 0, 60, 120]]))]
    options = ClipOptions(size=64, shares=SHARES)
    return ActorClips(tracks, store, empty, options, seed=1)


def test_sources_are_drawn_in_their_shares(clips):
    names = [clips.clip(number).name for number in range(500)]
    kinds = Counter(
        "nobody" if "nobody" in name else "still" if "still" in name else name.split("/")[0] for name in names
    )
    for kind, share in SHARES:
        assert abs(kinds[kind] / 500 - share) < 4 * (share * (1 - share) / 500) ** 0.5, kind


def test_what_is_right_follows_from_what_is_shown(clips):
    assert clips.answers == ("jump", "walk", "wave", "other", "nobody")
    for number in range(60):
        clip = clips.clip(number)
        right = {answer for answer, is_right in zip(clips.answers, clip.right, strict=True) if is_right}
        assert clip.pictures.shape == (8, 64, 64, 3)
        if clip.name.startswith("nobody"):
            assert right == {"nobody"}
        elif clip.name.startswith("still") or "Punch" in clip.name:
            assert right == {"other"}
        elif "WalkingWithDog" in clip.name:
            assert right == {"walk"}
        else:
            assert right == {clip.name.split("_")[1]}


def test_a_clip_follows_from_its_number_alone(clips):
    first = [clips.clip(number) for number in (5, 9)]
    again = [clips.clip(number) for number in (9, 5)]
    assert (first[0].pictures == again[1].pictures).all()
    assert (first[1].pictures == again[0].pictures).all()
    assert first[0].pictures.tobytes() != first[1].pictures.tobytes()


def test_people_who_do_not_move_are_shown_by_one_picture(tracks, store):
    clips = ActorClips(tracks, store, [], ClipOptions(size=64, shares=(("still", 1.0),)), seed=3)
    for number in range(12):
        pictures = clips.clip(number).pictures.astype(np.float32)
        shifts = [cv2.phaseCorrelate(*(p.mean(-1) for p in pair))[0] for pair in pairwise(pictures)]
        assert np.abs(shifts).max() < 4


def test_a_whole_clip_is_seen_ten_times_a_second_up_to_its_last_frame(tracks, store):
    track = next(track for track in tracks.learnt if track.video.startswith("jhmdb21"))
    whole = plain_clip(track, store, 64, "whole")
    assert len(whole) == 11  # of 33 frames
    last = cv2.resize(store.frame(track.video, 32), (64, 64), interpolation=cv2.INTER_AREA)
    assert np.abs(whole[-1] - last.astype(float)).mean() < 2
    still = plain_clip(track, store, 64, "still")
    assert len(still) == 10
    assert (still == still[0]).all()


# --- views ----------------------------------------------------------------------------------------------------------


def test_boxes_are_smoothed_over_half_a_second():
    boxes = np.random.default_rng(1).uniform(0, 100, (40, 4)).astype(np.float32)
    found = smoothed(boxes)
    np.testing.assert_allclose(found[30], boxes[16:31].mean(0), rtol=1e-5)
    np.testing.assert_allclose(found[3], boxes[:4].mean(0), rtol=1e-5)


def test_shaken_boxes_overlap_the_true_ones_as_a_detectors_do():
    rng = np.random.default_rng(2)
    true = [View(100, 100, 160, 160)] * 8
    overlaps = []
    for _ in range(300):
        for view in shaken(rng, true, 1.6):
            side = view.width / 1.6
            low, high = (
                np.maximum([view.x - side / 2, view.y - side / 2], 50),
                np.minimum([view.x + side / 2, view.y + side / 2], 150),
            )
            overlap = np.prod(np.maximum(high - low, 0))
            overlaps.append(overlap / (100**2 + side**2 - overlap))
    assert 0.65 < np.mean(overlaps) < 0.85


def test_views_wander_slowly_or_stand():
    rng = np.random.default_rng(4)
    drawn = [wandering(rng, View(80, 60, 50, 50), 8, 0.012) for _ in range(100)]
    standing = sum(len(set(views)) == 1 for views in drawn)
    assert 15 < standing < 55
    steps = [abs(b.x - a.x) / 50 for views in drawn for a, b in pairwise(views)]
    assert max(steps) < 0.04


def test_windows_without_anybody_touch_no_person():
    rng = np.random.default_rng(5)
    people = np.float32([[0, 0, 100, 240], [250, 50, 320, 240]])
    for _ in range(50):
        view = draw_empty_square(rng, people, (320, 240), (60, 140))
        assert view.x - view.width / 2 >= 100
        assert view.x + view.width / 2 <= 250 or view.y + view.width / 2 <= 50
    assert draw_empty_square(rng, np.float32([[0, 0, 320, 240]]), (320, 240), (60, 240)) is None


def test_colours_change_without_a_new_picture_being_made():
    grey = np.full((1, 1, 3), 128, np.uint8)
    seen = [cv2.transform(grey, draw_colours(np.random.default_rng(seed)))[0, 0] for seed in range(50)]
    assert np.std(seen) > 10
    assert 60 < np.mean(seen) < 200


# --- frames ---------------------------------------------------------------------------------------------------------


def test_frames_come_back_by_number_from_the_disk(tracks, store, tmp_path):
    video = tracks.learnt[0].video
    from amtnet_ros.media.video import open_source

    images = list(open_source(str(tracks.videos[video])))
    assert store.length(video) == len(images) == 33
    for number in (0, 17, 32):
        difference = np.abs(store.frame(video, number).astype(int) - images[number])
        assert difference.mean() < 4


def test_a_damaged_or_missing_store_is_said_in_one_line(tracks, tmp_path):
    video = tracks.learnt[0].video
    store = JpegStore(tmp_path, {video: tracks.videos[video]})
    with pytest.raises(UserError, match="must be filled"):
        store.frame(video, 0)
    store.fill()
    [file] = tmp_path.glob("*.npz")
    file.write_bytes(file.read_bytes()[:100])
    with pytest.raises(UserError, match=r"damaged.*made anew"):
        JpegStore(tmp_path, {video: tracks.videos[video]}).frame(video, 0)
