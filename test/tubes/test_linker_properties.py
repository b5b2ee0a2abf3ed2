"""What holds for any stream, and against the plain linker, torchvision and brute force."""

import itertools
from dataclasses import replace

import numpy as np
import pytest
import torch
import torchvision
from hypothesis import given, settings
from hypothesis import strategies as st
from tube_streams import SIZE, chains, hostile_streams, micro_tubes, permuted, same_update

from amtnet_ros.bench.plain_linker import PlainLinker
from amtnet_ros.contracts import TubeState
from amtnet_ros.tubes import PAPER, LinkerOptions, TubeAssembler, TubeLinker
from amtnet_ros.tubes.live import LiveTubes
from amtnet_ros.tubes.matching import match
from amtnet_ros.tubes.selection import Candidates, select

OPTIONS = st.builds(
    LinkerOptions,
    mode=st.sampled_from(["per_class", "actor"]),
    match=st.sampled_from(["score", "iou", "similarity", "both"]),
    assignment=st.sampled_from(["greedy", "best", "optimal"]),
    class_weight=st.sampled_from([0.0, 0.5, 1.0]),
    motion=st.sampled_from([0.0, 0.5]),
    start_overlap=st.sampled_from([0.2, 1.0]),
    nms_iou=st.sampled_from([0.3, 0.6]),
    shared_box=st.sampled_from(["old", "new", "mean"]),
    revise=st.booleans(),
    interpolated_score=st.sampled_from(["linear", "next", "lower", "zero"]),
    score_window=st.sampled_from([0, 1, 3, 8]),
    class_memory=st.sampled_from([0.0, 0.1, 1.0]),
    label_margin=st.sampled_from([0.0, 0.2]),
    confirm_after=st.integers(1, 4),
    confirm_score=st.sampled_from([0.0, 0.2]),
    confirm_time=st.sampled_from([0.0, 0.2]),
    max_misses=st.integers(1, 4),
    min_coasting=st.sampled_from([0.0, 0.5]),
    lost_iou_threshold=st.sampled_from([0.0, 0.1, 0.5]),
    max_tubes=st.sampled_from([1, 3, 1000]),
    history_limit=st.sampled_from([1, 5, 256]),
    start_score=st.sampled_from([0.0, 0.15]),
)
# what may follow each state; a tube's first report is TENTATIVE or ACTIVE (or ENDED where there are too many)
LEGAL = {
    TubeState.TENTATIVE: {TubeState.TENTATIVE, TubeState.ACTIVE, TubeState.ENDED},
    TubeState.ACTIVE: {TubeState.ACTIVE, TubeState.COASTING, TubeState.ENDED},
    TubeState.COASTING: {TubeState.ACTIVE, TubeState.COASTING, TubeState.ENDED},
    TubeState.ENDED: set(),
}


def with_distinct_scores(micro):
    """Among equals, references may decide otherwise. Those given are multiples of 1/48."""
    scores = micro.scores / 2 + 1 / 64 + np.random.default_rng(len(micro)).permutation(len(micro)) / 8192
    return replace(micro, scores=scores.astype(np.float32))


@given(hostile_streams(), OPTIONS)
@settings(max_examples=150, deadline=None)
def test_whatever_comes_the_updates_are_sound(stream, options):
    linker = TubeLinker(3, options)
    states, newest, sizes, highest_id = {}, {}, {}, 0
    updates = [linker.update(one, delta) for one, delta in stream] + [linker.end()]
    for update in updates:
        ids = [tube.id for tube in update.tubes]
        assert ids == sorted(set(ids))
        alive = [tube for tube in update.tubes if tube.state != TubeState.ENDED]
        assert len(alive) <= options.max_tubes
        assert {i for i, state in states.items() if state != TubeState.ENDED} <= set(ids), "a tube was lost"
        for tube in update.tubes:
            if tube.id in states:
                assert tube.state in LEGAL[states[tube.id]]
            else:
                assert tube.id > highest_id
                assert tube.state in (TubeState.TENTATIVE, TubeState.ACTIVE)
                assert tube.start_stamp <= tube.last_stamp
                sizes[tube.id] = update.image_size
            states[tube.id] = tube.state
            n = len(tube.frames)
            assert n <= options.history_limit
            assert [len(c) for c in (tube.stamps, tube.boxes, tube.scores, tube.interpolated)] == [n] * 4
            if n:
                assert (np.diff(tube.frames) > 0).all()
                assert (np.diff(tube.stamps) >= 0).all()
                assert not tube.interpolated[-1]
                assert tube.stamps[-1] == tube.last_stamp
                before = newest.get(tube.id, tube.frames[0] - 1)
                assert tube.frames[0] > before or (options.revise and tube.frames[0] == before)
                newest[tube.id] = tube.frames[-1]
                width, height = sizes[tube.id]
                assert (tube.boxes >= 0).all()
                assert (tube.boxes <= [width, height, width, height]).all()
                assert (tube.boxes[:, 2:] > tube.boxes[:, :2]).all()
                assert ((tube.scores >= 0) & (tube.scores <= 1)).all()
            assert 0 <= tube.score <= 1
            assert tube.score == tube.class_scores[tube.label]
        highest_id = max([highest_id, *ids])
    assert set(states.values()) <= {TubeState.ENDED}
    assert linker.counters.started == linker.counters.ended == highest_id


@given(hostile_streams(), OPTIONS, st.randoms(use_true_random=False))
@settings(max_examples=100, deadline=None)
def test_the_order_of_the_micro_tubes_does_not_matter(stream, options, random):
    one, other = TubeLinker(3, options), TubeLinker(3, options)
    for micro, delta in stream:
        order = list(range(len(micro)))
        random.shuffle(order)
        assert same_update(one.update(micro, delta), other.update(permuted(micro, order), delta))


@given(hostile_streams(length=20))
@settings(max_examples=50, deadline=None)
def test_memory_holds_one_row_a_live_tube(stream):
    linker = TubeLinker(3, LinkerOptions(max_tubes=4, max_misses=1000, max_frame_gap=60.0))
    for micro, delta in stream:
        linker.update(micro, delta)
        kept = {name: getattr(linker._live, name) for name in LiveTubes.__dataclass_fields__}
        assert max(len(column) for column in kept.values()) <= 4
        assert all(column.base is None for column in kept.values()), "a view keeps a larger array alive"
        assert linker._ended == []


@given(chains())
@settings(max_examples=100, deadline=None)
def test_it_links_like_the_plain_linker(chain):
    stream, delta = chain
    options = replace(PAPER, top_scores=3)
    linker, plain, assembler = TubeLinker(3, options), PlainLinker(3, options), TubeAssembler()
    for one in map(with_distinct_scores, stream):
        assembler.add(linker.update(one, delta))
        plain.update(one)
    expected = sorted(
        (tube.label, tube.first_frame, np.round(tube.boxes, 3).tolist(), np.round(tube.scores, 5).tolist())
        for tube in plain.over + list(itertools.chain(*plain.live))
    )
    found = sorted(
        (tube.label, int(tube.frames[0]), np.round(tube.boxes, 3).tolist(), np.round(tube.scores, 5).tolist())
        for tube in assembler.tubes()
    )
    assert [tube[:2] for tube in found] == [tube[:2] for tube in expected]
    for (_, _, boxes, scores), (_, _, plain_boxes, plain_scores) in zip(found, expected, strict=True):
        np.testing.assert_allclose(boxes, plain_boxes, atol=2e-3)
        np.testing.assert_allclose(scores, plain_scores, atol=2e-5)


@given(micro_tubes((0, 1), most=40), st.sampled_from([0.0, 0.31, 0.47, 1.0]))
@settings(max_examples=100, deadline=None)
def test_suppression_is_that_of_torchvision(micro, threshold):
    micro = with_distinct_scores(micro)
    options = LinkerOptions(mode="per_class", nms_iou=threshold, per_class_limit=1000)
    found, refused = select(micro, options)
    assert refused == 0
    keep = torchvision.ops.batched_nms(
        torch.from_numpy(micro.boxes[:, 0]), torch.from_numpy(micro.scores), torch.from_numpy(micro.labels), threshold
    ).numpy()
    expected = keep[np.lexsort((-micro.scores[keep], micro.labels[keep]))]
    np.testing.assert_array_equal(found.scores, micro.scores[expected])
    np.testing.assert_array_equal(found.boxes, micro.boxes[expected])


@given(micro_tubes((0, 1), most=40), st.sampled_from([0.0, 0.31, 0.47]))
@settings(max_examples=100, deadline=None)
def test_suppression_across_classes_is_that_of_torchvision(micro, threshold):
    leading = with_distinct_scores(micro).scores
    class_scores = np.array([[score, score / 2, 0] for score in leading.tolist()], np.float32).reshape(-1, 3)
    micro = replace(micro, class_scores=class_scores)
    found, _ = select(micro, LinkerOptions(mode="actor", nms_iou=threshold, actor_limit=1000))
    keep = torchvision.ops.nms(torch.from_numpy(micro.boxes[:, 0]), torch.from_numpy(leading), threshold).numpy()
    np.testing.assert_array_equal(found.scores, leading[keep])
    np.testing.assert_array_equal(found.boxes, micro.boxes[keep])


@given(
    micro_tubes((0, 1), most=5), micro_tubes((0, 1), most=5), st.sampled_from(["score", "iou", "similarity", "both"])
)
@settings(max_examples=100, deadline=None)
def test_no_assignment_is_better_than_the_optimal_one(tubes, micro, rule):
    options = LinkerOptions(mode="actor", match=rule, assignment="optimal", class_weight=0.0)
    live = LiveTubes.blank(len(tubes), 3, options)
    live.box, live.score, live.frame = tubes.boxes[:, 1], tubes.scores, np.ones(len(tubes), np.int64)
    candidates = Candidates(micro.boxes, micro.labels, micro.scores, micro.class_scores)
    rows, chosen = match(live, 1, candidates, options)
    overlap = torchvision.ops.box_iou(torch.from_numpy(live.box), torch.from_numpy(micro.boxes[:, 0])).numpy()
    value = {
        "score": np.broadcast_to(micro.scores, overlap.shape),
        "iou": overlap,
        "similarity": 1 - np.abs(live.score[:, None] - micro.scores),
        "both": micro.scores * overlap,
    }[rule]
    assert (overlap[rows, chosen] >= options.iou_threshold - 1e-6).all()
    value = np.where(overlap >= options.iou_threshold, value, 0)
    # every way to give each tube one of the micro-tubes or none
    ways = itertools.permutations([*range(len(micro)), *[-1] * len(tubes)], len(tubes))
    best = max(sum(value[t, c] for t, c in enumerate(way) if c >= 0) for way in ways)
    assert value[rows, chosen].sum() == pytest.approx(best, abs=1e-4)


@given(chains())
@settings(max_examples=50, deadline=None)
def test_increments_put_together_have_a_box_for_every_frame(chain):
    stream, delta = chain
    linker, assembler = TubeLinker(3), TubeAssembler()
    starts = {}
    for one in stream:
        update = linker.update(one, delta)
        assembler.add(update)
        starts.update({tube.id: tube.frames[0] for tube in update.tubes if tube.id not in starts})
    for tube in assembler.tubes():
        assert tube.frames.tolist() == list(range(starts[tube.id], tube.frames[-1] + 1))
        assert set(tube.frames[~tube.interpolated].tolist()) <= set(range(0, 1000, delta))
        assert (tube.boxes >= 0).all()
        assert (tube.boxes <= [*SIZE, *SIZE]).all()
