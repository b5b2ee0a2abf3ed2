"""Micro-tubes made from ground truth, and what is measured with them."""

import json
import os
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from tube_streams import same_update

from amtnet_ros.bench.linking_study import Following, follow, link_all, score, variants
from amtnet_ros.bench.noisy_truth import Noise, noisy_pairs, perfect_tubes
from amtnet_ros.bench.tubes import BLOCK, DAY, WINDOW, sampled
from amtnet_ros.contracts import TubeState, TubeUpdate
from amtnet_ros.data.annotations import ActionInstance, AnnotatedVideo, Dataset
from amtnet_ros.tubes import PAPER, PER_CLASS, LinkerOptions, TubeLinker

CLEAN = Noise(miss=0, jitter=0, mislabel=0, duplicates=0, clutter=0, false=0, linger=0)


def video(name="a", n_frames=120, begin=20, end=100, labels=(1, 2)):
    """Actors that walk side by side to the right."""
    frames = np.arange(begin, end)
    x = frames[:, None] * [1.0, 0, 1.0, 0]
    instances = tuple(
        ActionInstance(label, frames, (x + np.array([10, 20 + 100 * i, 50, 100 + 100 * i])).astype(np.float32))
        for i, label in enumerate(labels)
    )
    return AnnotatedVideo(name, (320, 240), n_frames, instances, None)


def dataset(*videos):
    names = tuple(one.name for one in videos)
    return Dataset("made", ("x", "y", "z"), {one.name: one for one in videos}, (), names)


def updates_of(pairs, **options):
    linker = TubeLinker(3, LinkerOptions(**options))
    return [linker.update(pair.micro_tubes, 1) for pair in pairs] + [linker.end()]


def test_equal_arguments_give_equal_pairs():
    one, same, other = (updates_of(noisy_pairs(video(), 3, 2, Noise(), seed)) for seed in (1, 1, 2))
    assert all(same_update(a, b) for a, b in zip(one, same, strict=True))
    assert not all(same_update(a, b) for a, b in zip(one, other, strict=True))


@pytest.mark.parametrize("delta", [1, 4, 16])
def test_pairs_follow_each_other(delta):
    pairs = noisy_pairs(video(), 3, delta, Noise(), 0)
    assert [pair.micro_tubes.frames for pair in pairs] == [(t, t + delta) for t in range(0, 120 - delta, delta)]


def test_without_noise_the_boxes_are_the_true_ones():
    truth = video()
    for pair in noisy_pairs(truth, 3, 4, CLEAN, 0):
        for source, boxes in zip(pair.sources, pair.micro_tubes.boxes, strict=True):
            instance = truth.instances[source]
            for frame, box in zip(pair.micro_tubes.frames, boxes, strict=True):
                nearest = np.abs(instance.frames - frame).argmin()
                np.testing.assert_allclose(box, instance.boxes[nearest], atol=1e-4)


@pytest.mark.parametrize("mode", ["per_class", "actor"])
def test_without_noise_linking_is_perfect(mode):
    made = dataset(video("a"), video("b", begin=0, end=60, labels=(0,)))
    pairs = {name: noisy_pairs(made.videos[name], 3, 1, CLEAN, 0) for name in made.test}
    micro = {name: [pair.micro_tubes for pair in some] for name, some in pairs.items()}
    scores = link_all(made, micro, 1, replace(PER_CLASS, mode=mode))
    assert scores.video_maps["act"].at(0.5) == 1
    assert (scores.identity.switches, scores.identity.fragmentations, scores.missed) == (0, 0, 0)
    assert (scores.following.switches, scores.following.people) == (0, 3)
    # two pairs confirm a tube: (19, 20), (20, 21) find an action that begins at 20 one frame late
    assert scores.delay == 1
    if mode == "actor":
        assert scores.following.tubes_per_person == 1
    perfect = [t for name in made.test for t in perfect_tubes(name, pairs[name], every_class=mode == "actor")]
    assert score(made, perfect)["act"].at(0.5) == 1


def test_perfect_association_leaves_nobody_behind_when_people_swap_places():
    """Where every linker must fail: two of one class in the same place at the same time."""
    frames = np.arange(60)
    x = np.stack([frames * 4.0, 236 - frames * 4.0])
    boxes = [np.stack([at, 50 + 0 * at, at + 40, 130 + 0 * at], axis=1).astype(np.float32) for at in x]
    crossing = AnnotatedVideo("c", (320, 240), 61, tuple(ActionInstance(0, frames, b) for b in boxes), None)
    pairs = noisy_pairs(crossing, 3, 1, CLEAN, 0)
    tubes = [tube for tube in perfect_tubes("c", pairs, every_class=False) if tube.label == 0]
    assert len(tubes) == 2
    for tube, truth in zip(tubes, boxes, strict=True):
        np.testing.assert_allclose(tube.boxes[:60], truth, atol=1e-4)


def test_the_noise_is_as_much_as_asked_for():
    long = video(n_frames=20_000, begin=0, end=20_000, labels=(0,))
    noise = replace(CLEAN, miss=0.2, miss_run=5, jitter=0.1)
    pairs = noisy_pairs(long, 3, 1, noise, 0)
    missed = np.array([len(pair.sources) == 0 for pair in pairs])
    assert missed.mean() == pytest.approx(0.2, abs=0.02)
    runs = np.diff(np.flatnonzero(np.diff(np.concatenate([[False], missed, [False]]).astype(int))))[::2]
    assert runs.mean() == pytest.approx(5, rel=0.1)
    truth = long.instances[0].boxes
    off = np.array(
        [pair.micro_tubes.boxes[0, 0] - truth[pair.micro_tubes.frames[0]] for pair in pairs if len(pair.sources)]
    )
    np.testing.assert_allclose(off.std(axis=0), [4, 8, 4, 8], rtol=0.1)  # a tenth of 40 by 80


def test_following_counts_a_switch_whatever_the_label():
    truth = video(labels=(1,), begin=0, end=3)
    box = truth.instances[0].boxes

    def update(frame, *tubes):
        empty = TubeLinker(3).end().tubes
        template = TubeLinker(3, replace(PER_CLASS, mode="actor", confirm_after=1))
        (tube,) = template.update(noisy_pairs(truth, 3, 1, CLEAN, 0)[0].micro_tubes, 1).tubes
        made = [
            tube._replace(id=i, score=score, label=0, boxes=box[frame : frame + 1], state=TubeState.ACTIVE)
            for i, score in tubes
        ]
        return TubeUpdate(frame, frame, (320, 240), 1, (*empty, *made))

    updates = [update(0, (1, 0.5)), update(1, (1, 0.5), (2, 0.4)), update(2, (1, 0.3), (2, 0.4))]
    assert follow(truth, updates) == Following(people=1, steps=3, covered=3, tubes=5, switches=1)


def test_each_variant_is_named_by_what_it_changes():
    base = replace(PER_CLASS, mode="actor")
    named = dict(variants(base))
    assert named["defaults"] == base
    assert named["match=iou"] == replace(base, match="iou")
    assert named["as in the paper"] == replace(PAPER, mode="actor")
    assert len(set(named.values())) == len(named)


def test_the_benchmark_reports_linking_at_every_delta(data_root):
    command = [sys.executable, "-m", "amtnet_ros.cli.main", "bench", "tubes", "--part", "linking", "--videos", "1"]
    command += ["--option", "none", "--json", "--data-root", str(data_root)]
    done = subprocess.run(
        command, capture_output=True, text=True, check=True, cwd=Path(__file__).parents[2], env={**os.environ}
    )
    linking = json.loads(done.stdout)["linking"]
    assert [(row["delta"], row["mode"]) for row in linking["by_delta"]] == [
        (delta, mode) for delta in (1, 2, 4, 8, 16) for mode in ("per_class", "actor")
    ]
    for row in linking["by_delta"]:
        for maps in (row["video_map_road"], row["perfect_association"]["video_map_act"]):
            assert set(maps) == {"0.2", "0.5", "0.75", "0.5:0.95"}
            assert all(0 <= value <= 100 for value in maps.values())


@pytest.mark.parametrize("updates", [20_000, 60_000, DAY])
def test_a_sampled_day_has_its_beginning_its_end_and_blocks_between(updates):
    made = np.array(sampled(updates))
    assert len(made) == updates
    assert (np.diff(made) > 0).all()
    assert (made[[0, WINDOW - 1, -WINDOW, -1]] == [0, WINDOW - 1, DAY - WINDOW, DAY - 1]).all()
    gaps = np.flatnonzero(np.diff(made) > 1)
    assert (np.diff(gaps) % BLOCK == 0).all()
    assert np.diff(made).max() <= 3 * DAY / (updates // BLOCK) or updates == 2 * WINDOW
