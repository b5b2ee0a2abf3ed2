"""Samples: pure in seed and number, as at test time when nothing is drawn, and true to their annotations."""

import pickle
from dataclasses import replace

import action_clips as clips
import cv2
import numpy as np
import pytest

from amtnet_ros.data.augmentation import FLOW_BORDER, AugmentationOptions, close_up, render
from amtnet_ros.data.cache import VideoCache
from amtnet_ros.data.custom import read_custom
from amtnet_ros.data.samples import PairOptions, PairSamples, plain_sample
from amtnet_ros.errors import UserError
from amtnet_ros.flow.stack import FlowStack, window

ENGINE = "dis:ultrafast"
PLAIN = AugmentationOptions(photometric=False, expand=1, crop="none", mirror=False)


@pytest.fixture(scope="module")
def dataset(tmp_path_factory):
    return read_custom(clips.make_actions(tmp_path_factory.mktemp("clips")))


@pytest.fixture(scope="module")
def cache(dataset, tmp_path_factory):
    cache = VideoCache(tmp_path_factory.mktemp("cache"), ENGINE)
    cache.fill(list(dataset.videos.values()))
    return cache


def same(a, b):
    return (
        a.name == b.name
        and np.array_equal(a.boxes, b.boxes)
        and np.array_equal(a.labels, b.labels)
        and all((x is None and y is None) or np.array_equal(x, y) for x, y in ((a.rgb, b.rgb), (a.flow, b.flow)))
    )


def test_a_sample_depends_on_seed_and_number_alone(dataset, cache):
    options = PairOptions(deltas=(1, 2, 4), image_size=128)
    forwards = PairSamples(dataset, dataset.train, cache, options, seed=3)
    first = [forwards.sample(n) for n in range(8)]
    again = pickle.loads(pickle.dumps(PairSamples(dataset, dataset.train, cache, options, seed=3)))
    for n in reversed(range(8)):
        assert same(again.sample(n), first[n]), n
    other = PairSamples(dataset, dataset.train, cache, options, seed=4)
    assert not any(same(other.sample(n), first[n]) for n in range(8))


def test_an_epoch_holds_every_video_once_in_a_new_order(dataset, cache):
    samples = PairSamples(dataset, dataset.train, cache, PairOptions(image_size=128, augmentation=PLAIN), seed=0)
    epochs = [[samples.sample(4 * e + k).name.split(" ")[0] for k in range(4)] for e in range(6)]
    assert all(sorted(epoch) == sorted(dataset.train) for epoch in epochs)
    assert len({tuple(epoch) for epoch in epochs}) > 1


def test_all_deltas_are_drawn_and_both_frames_lie_in_the_video(dataset, cache):
    samples = PairSamples(dataset, dataset.train, cache, PairOptions(deltas=(1, 3, 7), image_size=128), seed=0)
    gaps = set()
    for n in range(40):
        first, second = (int(x) for x in samples.sample(n, ("rgb",)).name.split(" frames ")[1].split(", "))
        assert 0 <= first < second <= 11
        gaps.add(second - first)
    assert gaps == {1, 3, 7}


def test_shapes_follow_streams_and_deltas(dataset, cache):
    samples = PairSamples(dataset, dataset.train, cache, PairOptions(deltas=(2,), image_size=140), seed=0)
    both = samples.sample(0)
    assert (both.rgb.shape, both.flow.shape) == ((2, 3, 140, 140), (2, 15, 140, 140))
    flow_only = samples.sample(0, ("flow",))
    assert flow_only.rgb is None
    single = PairSamples(dataset, dataset.train, cache, PairOptions(deltas=(0,), image_size=140), seed=0).sample(0)
    assert (single.rgb.shape, single.flow.shape) == ((1, 3, 140, 140), (1, 15, 140, 140))
    assert np.array_equal(single.boxes[:, 0], single.boxes[:, 1])


@pytest.mark.parametrize("placement", ["past", "centred", "causal"])
def test_a_plain_sample_is_what_the_detector_sees(dataset, cache, placement):
    """RGB by the same resize; flow by the ring that the detector fills frame by frame."""
    video = dataset.videos[dataset.train[0]]
    options = PairOptions(image_size=300, placement=placement)
    sample = plain_sample(cache, video, 5, 2, options)
    rim = (slice(2, -2), slice(2, -2))
    ring = FlowStack(placement, (300, 300))
    for t, flow in enumerate(cache.flows(video)):
        ring.push(t, np.asarray(flow))
    for k, t in enumerate((5, 7)):
        rgb = cv2.resize(np.asarray(cache.frames(video)[t]), (300, 300), interpolation=cv2.INTER_LINEAR)
        assert np.abs(sample.rgb[k].transpose(1, 2, 0).astype(int) - rgb)[rim].max() <= 4
        assert np.abs(sample.flow[k].transpose(1, 2, 0).astype(int) - ring.stack(t))[rim].max() <= 4
    truth = video.instances[0].boxes[[5, 7]] / np.array([*clips.SIZE] * 2)
    assert sample.boxes == pytest.approx(truth[None], abs=1e-6)
    assert sample.labels.tolist() == [video.instances[0].label]


def test_boxes_lie_on_the_bright_square_in_every_augmented_sample(dataset, cache):
    options = PairOptions(deltas=(1, 2, 4), image_size=200, augmentation=AugmentationOptions(photometric=False))
    samples = PairSamples(dataset, dataset.train, cache, options, seed=1)
    for n in range(24):
        sample = samples.sample(n, ("rgb",))
        assert len(sample.boxes) == 1
        for image, (x1, y1, x2, y2) in zip(sample.rgb, np.rint(sample.boxes[0] * 200).astype(int), strict=True):
            square = image.mean(axis=0) > 140
            inside = square[y1 + 1 : y2 - 1, x1 + 1 : x2 - 1].mean() if x2 - x1 > 4 and y2 - y1 > 4 else 1
            assert inside > 0.85, sample.name
            ring = square[max(y1 - 4, 0) : y2 + 4, max(x1 - 4, 0) : x2 + 4].sum() - square[y1:y2, x1:x2].sum()
            assert ring <= 0.1 * max((x2 - x1) * (y2 - y1), 1) + 60, sample.name


def test_the_flow_of_a_sample_points_where_its_actor_goes(dataset, cache):
    """Also in mirrored samples, where the action's name stays and its direction turns."""
    options = PairOptions(image_size=200, placement="causal", augmentation=AugmentationOptions(expand=1, crop="none"))
    samples = PairSamples(dataset, dataset.train, cache, options, seed=0)
    directions = set()
    for n in range(16):
        sample = samples.sample(n, ("flow",))
        moved_by = sample.boxes[0, 1, 0] - sample.boxes[0, 0, 0]
        x1, y1, x2, y2 = np.rint(sample.boxes[0, 0] * 200).astype(int)
        u = np.median(sample.flow[0, 12, y1 + 5 : y2 - 5, x1 + 5 : x2 - 5].astype(float)) - 128
        # 3 pixels of 160 are 6 of the working size's 320: 96 grey levels.
        assert u == pytest.approx(96 * np.sign(moved_by), abs=16), sample.name
        directions.add((int(sample.labels[0]), int(np.sign(moved_by))))
    assert len(directions) == 4


def test_close_ups_are_filled_by_one_actor(dataset, cache):
    options = PairOptions(deltas=(0,), image_size=96, augmentation=replace(PLAIN, crop="actor"))
    samples = PairSamples(dataset, dataset.train, cache, options, seed=1)
    for n in range(12):
        found = samples.sample(n)
        assert found.boxes.shape == (1, 2, 4)
        assert (found.boxes[0, 0, 2:] - found.boxes[0, 0, :2]).max() > 0.6
        assert found.rgb.shape == (1, 3, 96, 96)


def test_a_plain_close_up_is_centred_and_leaves_the_motion_as_it_was(dataset, cache):
    options = PairOptions(deltas=(0,), image_size=96, augmentation=replace(PLAIN, crop="actor"))
    video = dataset.videos[dataset.test[0]]
    found = plain_sample(cache, video, 6, 0, options)
    centre = (found.boxes[0, 0, :2] + found.boxes[0, 0, 2:]) / 2
    assert centre == pytest.approx([0.5, 0.5], abs=0.01)
    width, height = cache.frames(video).shape[2:0:-1]
    scale = np.array([width, height] * 2) / np.array([*video.size] * 2)
    view = close_up((width, height), np.stack([video.instances[0].boxes[6] * scale] * 2))
    images = [cache.flows(video)[i] for i in window(6, video.n_frames, "past")]
    expected = [render(np.asarray(image), view, 96, False, FLOW_BORDER) for image in images]
    assert np.array_equal(found.flow[0], np.concatenate(expected, -1).transpose(2, 0, 1))


def test_videos_without_a_usable_pair_are_left_out_and_named(dataset, cache):
    idle = replace(dataset.videos[dataset.train[0]], name="idle", instances=())
    with_idle = replace(dataset, videos={**dataset.videos, "idle": idle})
    samples = PairSamples(with_idle, (*dataset.train, "idle"), cache, PairOptions(), seed=0)
    assert (len(samples), samples.left_out) == (4, ["idle"])
    with pytest.raises(UserError, match=r"none of the 4 training videos has .* 12 or 30 apart \(data\.deltas\)"):
        PairSamples(dataset, dataset.train, cache, PairOptions(deltas=(12, 30)), seed=0)


def test_repeats_are_skipped_when_asked(tmp_path, dataset):
    """A clip whose every other frame repeats the one before it."""
    source = list(clips_frames(dataset))
    folder = tmp_path / "held"
    folder.mkdir()
    for t in range(12):
        cv2.imwrite(str(folder / f"{t:02}.png"), source[t - t % 2][..., ::-1])
    # Frames 5 and 7 are drawn anew, or half of all differences would be nil and so would their median.
    for t in (5, 7):
        cv2.imwrite(str(folder / f"{t:02}.png"), source[t][..., ::-1])
    video = replace(dataset.videos[dataset.train[0]], name="held", path=folder)
    held = replace(dataset, videos={"held": video}, train=("held",))
    cache = VideoCache(tmp_path / "cache", ENGINE)
    cache.fill([video])
    assert np.flatnonzero(cache.repeats(video)).tolist() == [1, 3, 9, 11]
    for repeats, expected in (("skip", {4, 5, 6, 7}), ("keep", set(range(11)))):
        options = PairOptions(deltas=(1,), repeats=repeats, image_size=128, augmentation=PLAIN)
        samples = PairSamples(held, ("held",), cache, options, seed=0)
        drawn = {int(samples.sample(n, ("rgb",)).name.split()[2].rstrip(",")) for n in range(80)}
        assert drawn == expected


def clips_frames(dataset):
    from amtnet_ros.media.video import open_source

    return open_source(str(dataset.videos[dataset.train[0]].path))
