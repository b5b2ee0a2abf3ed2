"""The synthetic set's truth: warping by it must give back the image."""

import cv2
import numpy as np
import pytest
from flow_scenes import texture

from amtnet_ros.bench.synthetic_flow import KINDS, samples


@pytest.mark.parametrize("kind", KINDS)
def test_true_flow_explains_the_images(kind):
    for sample in samples([texture(1, 120, 160), texture(2, 120, 160)], per_kind=2, noise=0, seed=3):
        if sample.kind != kind:
            continue
        y, x = np.mgrid[0:120, 0:160].astype(np.float32)
        warped = cv2.remap(sample.current, x + sample.flow[..., 0], y + sample.flow[..., 1], cv2.INTER_CUBIC)
        difference = np.abs(warped.astype(float) - sample.previous).mean(axis=-1)
        moved = np.abs(sample.current.astype(float) - sample.previous).mean(axis=-1)
        assert difference[sample.visible].mean() < moved[sample.visible].mean() / 4
        assert np.linalg.norm(sample.flow, axis=-1).max() < 20


def test_layers_hide_what_they_cover():
    layers = [s for s in samples([texture(1, 120, 160)], per_kind=4, seed=1) if s.kind == "layers"]
    assert any((s.valid & ~s.visible).any() for s in layers)


def test_seed_makes_the_set():
    a, b, c = (samples([texture(1, 60, 80)], per_kind=1, seed=s) for s in (0, 0, 1))
    assert all(np.array_equal(x.current, y.current) for x, y in zip(a, b, strict=True))
    assert not np.array_equal(a[0].current, c[0].current)
