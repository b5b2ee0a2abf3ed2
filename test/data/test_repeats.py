"""Near-repeated frames: found, and the motion after them shared out."""

import numpy as np
import pytest

from amtnet_ros.data.jhmdb21 import read_jhmdb21
from amtnet_ros.data.repeats import interval_of, near_repeats, repaired_flow
from amtnet_ros.flow.encoding import encode_flow
from amtnet_ros.media.video import open_source

HELD = [0, 1, 1, 2, 3, 3, 3, 4, 5, 6]  # which source frame each frame shows
REPEATS = [False, False, True, False, False, True, True, False, False, False]


def test_frames_held_twice_are_found():
    rng = np.random.default_rng(0)
    source = rng.integers(0, 256, (7, 48, 64, 3)).astype(np.uint8)
    noise = rng.integers(0, 3, (len(HELD), 48, 64, 3)).astype(np.uint8)
    frames = np.clip(source[HELD].astype(int) + noise, 0, 255).astype(np.uint8)
    assert near_repeats(frames).tolist() == REPEATS


@pytest.mark.parametrize("n_frames", [0, 1])
def test_a_video_of_one_frame_has_no_repeats(n_frames):
    assert near_repeats(np.zeros((n_frames, 8, 8, 3), np.uint8)).tolist() == [False] * n_frames


def test_repaired_flow_moves_evenly_and_as_far():
    """A source moving by (2, -1) pixels a source frame: none while a frame is held, all of it after."""
    moved = np.diff([*HELD, 7])
    flows = np.stack([encode_flow(np.full((6, 8, 2), (2.0, -1.0), np.float32) * step) for step in moved])
    repeats = np.array(REPEATS)
    shares = {0: 1, 1: 1 / 2, 2: 1 / 2, 3: 1, 4: 1 / 3, 5: 1 / 3, 6: 1 / 3, 7: 1}
    for t, share in shares.items():
        expected = encode_flow(np.full((6, 8, 2), (2.0, -1.0), np.float32) * share)
        assert np.abs(repaired_flow(flows, repeats, t).astype(int) - expected).max() <= 1, t
    assert interval_of(repeats, 5) == range(4, 7)


def test_the_share_of_repeats_in_the_data_is_about_what_its_description_says(data_root):
    """12 % over all clips; here every 60th."""
    repeats = []
    for video in list(read_jhmdb21(data_root, 1).videos.values())[::60]:
        repeats += near_repeats(np.stack(list(open_source(str(video.path)))))[1:].tolist()
    assert 0.06 < np.mean(repeats) < 0.2
