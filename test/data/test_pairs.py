"""Which pairs of frames can be learnt from."""

from itertools import product

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from amtnet_ros.data.annotations import ActionInstance, AnnotatedVideo, micro_tubes_at, pair_starts


def instance(frames, label=0):
    frames = np.array(frames, dtype=np.int64)
    boxes = np.stack([frames, frames + 1, frames + 10, frames + 20], axis=1).astype(np.float32) + 100 * label
    return ActionInstance(label, frames, boxes)


def video(n_frames, *instances):
    return AnnotatedVideo("v", (320, 240), n_frames, instances, None)


def test_a_pair_of_one_dense_tube_holds_its_two_boxes():
    boxes, labels = micro_tubes_at(video(10, instance(range(10), label=2)), 3, 4)
    assert labels.tolist() == [2]
    assert boxes.tolist() == [[[203, 204, 213, 223], [207, 208, 217, 227]]]
    assert pair_starts(video(10, instance(range(10))), 4).tolist() == [0, 1, 2, 3, 4, 5]


@pytest.mark.parametrize("delta", [10, 11, 100])
def test_a_video_shorter_than_the_pair_has_none(delta):
    assert pair_starts(video(10, instance(range(10))), delta).tolist() == []


def test_single_frames_are_pairs_of_distance_0():
    assert pair_starts(video(4, instance([1, 2])), 0).tolist() == [1, 2]


def test_a_pair_that_covers_one_box_of_some_tube_is_rejected():
    both = video(10, instance(range(10)), instance(range(5, 10), label=1))
    assert pair_starts(both, 2).tolist() == [0, 1, 2, 5, 6, 7]
    assert micro_tubes_at(both, 4, 2) is None
    assert micro_tubes_at(both, 2, 2)[1].tolist() == [0]


def test_several_actors_are_kept_in_their_order():
    boxes, labels = micro_tubes_at(video(10, instance(range(10)), instance(range(10), label=1)), 0, 1)
    assert labels.tolist() == [0, 1]
    assert boxes[:, 0, 0].tolist() == [0, 100]


def test_of_sparse_annotations_only_pairs_of_annotated_frames_are_used():
    assert pair_starts(video(30, instance([5, 10, 15])), 5).tolist() == [5, 10]
    assert pair_starts(video(30, instance([5, 10, 15])), 1).tolist() == []


def test_an_actor_that_goes_on_without_a_box_spoils_the_pair():
    """Frame 7 shows the second actor too, but nobody boxed it there: it must not be taught as background."""
    assert 7 not in pair_starts(video(30, instance(range(30)), instance([5, 10], label=1)), 1)
    assert 12 in pair_starts(video(30, instance(range(30)), instance([5, 10], label=1)), 1)


@settings(deadline=None)
@given(
    st.lists(st.sets(st.integers(0, 11), min_size=1), min_size=0, max_size=3),
    st.integers(0, 13),
)
def test_starts_are_those_a_search_finds(tubes, delta):
    subject = video(12, *(instance(sorted(frames)) for frames in tubes))
    expected = []
    for t in range(12 - delta):
        states = {
            "box" if f in frames else "on" if min(frames) < f < max(frames) else "off": None
            for f, frames in product((t, t + delta), tubes)
        }
        by_tube = [tuple(f in frames for f in (t, t + delta)) for frames in tubes]
        if "on" not in states and (True, True) in by_tube and all(a == b for a, b in by_tube):
            expected.append(t)
    assert pair_starts(subject, delta).tolist() == expected
    assert [t for t in range(12 - delta) if micro_tubes_at(subject, t, delta) is not None] == expected
