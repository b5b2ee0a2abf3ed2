"""A change of action: how it is spliced, and what is said of it, on real clips of people."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from amtnet_ros.bench.switch import SECOND, Clip, Switch, judged, read_clip, stream, strongest, summary, watch
from amtnet_ros.contracts import MicroTubes
from amtnet_ros.data.jhmdb21 import read_jhmdb21
from amtnet_ros.inference.factory import make_engine
from amtnet_ros.pipeline import Pipeline, PipelineOptions
from amtnet_ros.tubes import LinkerOptions

WHERE = np.array([[10, 50, 50, 130]], np.float32)


def pair(x: float, i: int) -> MicroTubes:
    boxes = np.array([[[x, 50, x + 40, 130], [x + 4, 50, x + 44, 130]]], np.float32)
    scores = np.array([[0.8, 0.1]], np.float32)
    frames, stamps = (4 * i, 4 * i + 4), (i * SECOND, (i + 1) * SECOND)
    return MicroTubes(boxes, np.array([0]), scores[:, 0], scores, frames, stamps, (320, 240))


@pytest.fixture(scope="module")
def clips(data_root: Path) -> list[Clip]:
    """Somebody who swings a golf club, and somebody who does pull-ups."""
    dataset = read_jhmdb21(data_root / "jhmdb21", 1)
    pipeline = Pipeline(make_engine("light", "cpu", precision="int8"), PipelineOptions(delta=4, score_threshold=0.01))
    found = []
    for action in ("golf", "pullup"):
        label = dataset.classes.index(action)
        names = [name for name in dataset.train if dataset.videos[name].instances[0].label == label]
        found.append(read_clip(pipeline, next(v for n in names if (v := dataset.videos[n]).n_frames >= 36), 4))
    pipeline.close()
    return found


def test_a_clip_goes_on_there_and_back_without_a_jump() -> None:
    clip = Clip((pair(10, 0), pair(14, 1)), WHERE, 0)
    made = stream(clip, 5.0, None, None)
    assert [one.boxes[0, :, 0].tolist() for one in made] == [[10, 14], [14, 18], [18, 14], [14, 10], [10, 14]]
    assert [one.frames for one in made] == [(0, 4), (4, 8), (8, 12), (12, 16), (16, 20)]
    assert [one.stamps[1] / SECOND for one in made] == [1, 2, 3, 4, 5]


def test_the_next_clip_begins_where_the_person_stands() -> None:
    clip = Clip((pair(10, 0),), WHERE, 0)
    before = stream(clip, 1.0, None, None)[-1]
    (after,) = stream(clip, 1.0, before, np.array([100, 0, 120, 40], np.float32))
    assert after.boxes[0].tolist() == [[100, 0, 120, 40], [102, 0, 122, 40]]
    assert (after.frames, after.stamps) == ((4, 8), (SECOND, 2 * SECOND))


def test_the_delay_ends_when_the_new_action_is_named_for_good() -> None:
    said = [(8, 1, 0), (9, 1, 0), (11, 1, 0), (12, 1, 3), (13, 1, 0), (14, 1, 3), (15, 1, 3)]
    seconds = [(stamp * SECOND, i, label) for stamp, i, label in said]
    assert judged(seconds, 10 * SECOND, 3) == Switch(delay=4.0, switches=3, ids=1)
    assert judged(seconds[:3], 10 * SECOND, 3) == Switch(delay=None, switches=0, ids=1)


def test_the_summary_counts_what_was_never_named() -> None:
    found = summary([Switch(1.0, 1, 1), Switch(0.5, 2, 1), Switch(None, 0, 2)])
    assert (found["changes"], found["named"], found["longest_delay"], found["exactly_one_switch"]) == (3, 2, 1.0, 1)
    assert found["new_ids"] == 1


@pytest.mark.parametrize("seconds", [2.0, 5.0, 20.0])
def test_another_action_is_named_within_little_more_than_a_second_with_one_switch(
    clips: list[Clip], seconds: float
) -> None:
    for one, other in (clips, clips[::-1]):
        said = watch(one, other, seconds, LinkerOptions())
        assert said.delay is not None
        assert said.delay <= 1.2
        assert (said.switches, said.ids) == (1, 1)


def test_a_mean_over_the_whole_tube_names_it_too_late_if_ever(clips: list[Clip]) -> None:
    said = watch(*clips, 20.0, LinkerOptions(class_memory=0.0))
    assert (said.delay, said.switches) == (None, 0)


def test_the_person_is_where_the_likeliest_micro_tube_is() -> None:
    assert strongest(pair(10, 0)).tolist() == [14, 50, 54, 130]
