"""Cuts and flashes."""

import numpy as np
from flow_scenes import brightened, pair, texture

from amtnet_ros.flow.factory import is_disrupted


def test_motion_and_noise_are_no_disruption():
    previous, current = pair(8, -5)
    assert not is_disrupted(previous, current)
    noise = np.random.default_rng(0).normal(0, 5, current.shape)
    assert not is_disrupted(previous, np.clip(current + noise, 0, 255).astype(np.uint8))
    assert not is_disrupted(previous, brightened(previous, 10))


def test_cut_and_flash_are():
    assert is_disrupted(texture(1), texture(2))
    assert is_disrupted(texture(1), brightened(texture(1), 60))


def test_images_without_contrast_are_continuous():
    grey = np.full((30, 40, 3), 90, np.uint8)
    assert not is_disrupted(grey, grey)
