"""Frames that nearly repeat the one before them are found."""

import numpy as np
import pytest

from amtnet_ros.data.cache import near_repeats
from amtnet_ros.data.jhmdb21 import read_jhmdb21
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


def test_the_share_of_repeats_in_the_data_is_about_what_its_description_says(data_root):
    """12 % over all clips; here every 60th."""
    repeats = []
    for video in list(read_jhmdb21(data_root, 1).videos.values())[::60]:
        repeats += near_repeats(np.stack(list(open_source(str(video.path)))))[1:].tolist()
    assert 0.06 < np.mean(repeats) < 0.2
