"""The running labelling against textbook dynamic programming and brute force."""

import itertools

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tube_streams import box, pair

from amtnet_ros.contracts import Tube, TubeState
from amtnet_ros.tubes import LinkerOptions, RunningLabeller, TubeLabeller, TubeLinker, label_frames, trim
from amtnet_ros.tubes.labelling import best_mean

# multiples of 1/64 add up exactly, so that equal sums are equal
SCORES = st.lists(st.integers(0, 64).map(lambda n: n / 64), min_size=1, max_size=60)
COSTS = st.sampled_from([0.0, 0.25, 1.0, 3.0, 5.0])


def viterbi(scores, cost):
    """Textbook two-state dynamic programming; of equal choices: stay, and at the end, outside."""
    gain = np.array([1 - np.array(scores), scores])
    total, back = gain[:, 0].copy(), np.zeros(gain.shape, int)
    for t in range(1, len(scores)):
        stay, switch = total, total[::-1] - cost
        back[:, t] = np.where(switch > stay, [1, 0], [0, 1])
        total = np.maximum(stay, switch) + gain[:, t]
    state = int(total[1] > total[0])
    path = [state]
    for t in range(len(scores) - 1, 0, -1):
        state = back[state, t]
        path.append(state)
    return np.array(path[::-1], bool)


def worth(labels, scores, cost):
    labels, scores = np.array(labels, bool), np.array(scores)
    return np.where(labels, scores, 1 - scores).sum() - cost * (labels[1:] != labels[:-1]).sum()


@given(SCORES, COSTS)
@settings(max_examples=300, deadline=None)
def test_the_running_labelling_is_the_offline_one_at_every_frame(scores, cost):
    labeller = RunningLabeller(cost, look_back=len(scores))
    for t, score in enumerate(scores):
        assert len(labeller.add([score])) == 0
        expected = viterbi(scores[: t + 1], cost)
        np.testing.assert_array_equal(labeller.labels(), expected)
        assert labeller.in_action == expected[-1]
    np.testing.assert_array_equal(label_frames(np.array(scores, np.float32), cost), expected)


@given(SCORES.filter(lambda s: len(s) <= 10), COSTS)
@settings(max_examples=100, deadline=None)
def test_no_labelling_is_worth_more(scores, cost):
    best = max(worth(labels, scores, cost) for labels in itertools.product([0, 1], repeat=len(scores)))
    assert worth(label_frames(np.array(scores, np.float32), cost), scores, cost) == best


@given(SCORES, COSTS, st.integers(1, 20))
@settings(max_examples=200, deadline=None)
def test_a_short_look_back_settles_each_label_as_it_was_believed_then(scores, cost, look_back):
    labeller = RunningLabeller(cost, look_back)
    final = labeller.add(scores).tolist()
    assert len(final) == max(len(scores) - look_back, 0)
    assert len(labeller.labels()) == min(len(scores), look_back)
    for t, label in enumerate(final):
        assert label == viterbi(scores[: t + look_back + 1], cost)[t]
    np.testing.assert_array_equal(labeller.labels(), viterbi(scores, cost)[-look_back:])


def test_memory_and_lead_stay_bounded_on_a_long_stream():
    labeller = RunningLabeller(3.0, look_back=16)
    labeller.add(np.full(100_000, 0.9))
    assert max(labeller._paths).bit_length() <= 16
    assert abs(labeller._lead) <= 4
    labeller.add(np.zeros(8))
    assert not labeller.in_action


def whole_tube(scores):
    n = len(scores)
    frames = np.arange(n) + 100
    boxes = np.tile(np.array(box(10), np.float32), (n, 1)) + frames[:, None].astype(np.float32)
    return Tube(
        7, TubeState.ENDED, 1, 0.5, np.array([0, 0.5], np.float32), 100, 99 + n, frames, frames * 10, boxes,
        np.array(scores, np.float32), frames % 2 == 0,
    )  # fmt: skip


def test_trimming_cuts_a_tube_to_its_action():
    scores = [0.0] * 20 + [0.9] * 20 + [0.1] * 20 + [1.0] * 6 + [0.0] * 10 + [0.8] * 50
    first, second = trim(whole_tube(scores), switch_cost=2.0)
    assert (first.frames[0], first.frames[-1], first.start_stamp, first.last_stamp) == (120, 139, 1200, 1390)
    assert first.score == pytest.approx(0.9)
    assert (second.frames[0], second.frames[-1]) == (176, 225)
    for part in (first, second):
        assert len(part.frames) == len(part.boxes) == len(part.scores) == len(part.interpolated) == len(part.stamps)
        assert (part.id, part.label) == (7, 1)
    assert [len(part.frames) for part in trim(whole_tube(scores), switch_cost=2.0, min_frames=6)] == [20, 6, 50]
    assert trim(whole_tube([0.0] * 30)) == []


def test_the_score_of_a_part_is_the_mean_of_its_40_best():
    assert best_mean(np.array([0.5] * 40 + [0.1] * 60, np.float32)) == 0.5
    assert best_mean(np.array([0.25, 0.75], np.float32)) == 0.5


def test_live_tubes_are_labelled_while_they_grow():
    linker, labeller = TubeLinker(3, LinkerOptions(revise=True)), TubeLabeller(switch_cost=1.0, look_back=8)
    seen = []
    for i, score in enumerate([0.9] * 4 + [0.1] * 4):
        seen.append(labeller.add(linker.update(pair([(0, score, box(10), None)], (i, i + 1)), 1)))
    assert seen[0] == {1: True}
    assert seen[-1] == {1: False}
    assert labeller.add(linker.end()) == {1: False}
    assert labeller._tubes == {}


@pytest.mark.parametrize(("cost", "look_back"), [(-1.0, 5), (float("nan"), 5), (3.0, 0)])
def test_senseless_settings_are_refused(cost, look_back):
    with pytest.raises(ValueError, match="at least"):
        RunningLabeller(cost, look_back)
