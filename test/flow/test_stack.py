"""Which flow images make a frame's stack, offline and online."""

import numpy as np
import pytest

from amtnet_ros.flow.stack import FlowStack, is_needed, window


def image(value):
    return np.full((8, 8, 3), value, np.uint8)


@pytest.mark.parametrize(
    ("placement", "t", "expected"),
    [
        ("centred", 10, (8, 9, 10, 11, 12)),
        ("causal", 10, (6, 7, 8, 9, 10)),
        ("past", 10, (5, 6, 7, 8, 9)),
        ("centred", 0, (0, 1, 2, 3, 4)),
        ("centred", 1, (0, 1, 2, 3, 4)),
        ("causal", 3, (0, 1, 2, 3, 4)),
        ("past", 4, (0, 1, 2, 3, 4)),
        ("centred", 39, (35, 36, 37, 38, 39)),
        ("centred", 38, (35, 36, 37, 38, 39)),
        ("centred", 37, (35, 36, 37, 38, 39)),
        ("past", 39, (34, 35, 36, 37, 38)),
    ],
)
def test_window_is_shifted_inside_the_video(placement, t, expected):
    assert window(t, 40, placement) == expected


def test_short_video_repeats_its_last_flow():
    assert window(1, 3) == (0, 1, 2, 2, 2)


@pytest.mark.parametrize("placement", ["centred", "causal", "past"])
@pytest.mark.parametrize("first", [0, 17])
def test_online_stacks_equal_offline_windows(placement, first):
    n_frames = 12
    stack = FlowStack(placement, size=None)
    done = {}
    pending = list(range(first, first + n_frames))
    for frame in range(first + 1, first + n_frames):
        stack.push(frame - 1, image(frame - 1))
        while pending and stack.ready(pending[0]):
            t = pending.pop(0)
            done[t] = stack.stack(t)
    stack.flush()
    for t in pending:
        done[t] = stack.stack(t)
    for t in range(first, first + n_frames):
        # The last frame's flow repeats the one before it.
        values = [min(i, first + n_frames - 2) for i in window(t, n_frames, placement, first=first)]
        assert done[t].shape == (8, 8, 15)
        assert done[t][0, 0].tolist() == [v for v in values for _ in range(3)]


@pytest.mark.parametrize(("placement", "newest_flow_needed"), [("centred", 12), ("causal", 10), ("past", 9)])
def test_stack_is_ready_with_its_last_flow_and_not_before(placement, newest_flow_needed):
    stack = FlowStack(placement, size=None)
    for i in range(newest_flow_needed):
        stack.push(i, image(0))
    assert not stack.ready(10)
    stack.push(newest_flow_needed, image(0))
    assert stack.ready(10)


def test_a_flow_over_lost_frames_stands_for_them():
    stack = FlowStack("causal", size=None)
    stack.push(0, image(0))
    stack.push(1, image(1), until=4)
    stack.push(4, image(4))
    assert stack.stack(4)[0, 0, ::3].tolist() == [0, 1, 1, 1, 4]


def test_ring_resizes_once_and_stays_bounded():
    stack = FlowStack("causal", size=(30, 20), capacity=6)
    for i in range(100):
        stack.push(i, image(i))
    assert stack.stack(99).shape == (20, 30, 15)
    assert not stack.ready(95)


def test_order_is_enforced():
    stack = FlowStack()
    stack.push(3, image(0))
    with pytest.raises(ValueError, match="flow image 3 pushed after 3"):
        stack.push(3, image(0))


def test_a_function_is_called_once_and_only_when_a_stack_needs_it():
    calls = []

    def compute(index):
        def flow_image():
            calls.append(index)
            return image(index)

        return flow_image

    stack = FlowStack("causal", size=(6, 4))
    for i in range(20):
        stack.push(i, compute(i))
    assert calls == []
    for _ in range(2):
        assert stack.stack(12)[0, 0, ::3].tolist() == [8, 9, 10, 11, 12]
    assert calls == [8, 9, 10, 11, 12]
    stack.flush()
    assert stack.stack(20)[0, 0, ::3].tolist() == [16, 17, 18, 19, 19]


@pytest.mark.parametrize("placement", ["centred", "causal", "past"])
@pytest.mark.parametrize("delta", [1, 3, 5, 8, 16])
def test_needed_are_exactly_the_flows_of_some_stack(placement, delta):
    key, n_flows = 40, 200
    needed = {i for t in range(key, n_flows, delta) for i in window(t, 2 * n_flows, placement)}
    for i in range(key - 10, n_flows - 20):
        assert is_needed(i, key, delta, placement) == (i in needed)


def test_a_single_frame_has_no_stack():
    stack = FlowStack()
    stack.flush()
    assert not stack.ready(0)
    with pytest.raises(ValueError, match="no stack"):
        stack.stack(0)
