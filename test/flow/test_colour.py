"""The colour wheel."""

import numpy as np
import pytest

from amtnet_ros.flow.encoding import colour_wheel, flow_to_colour, legend, picture


def test_equals_torchvisions_picture():
    torch = pytest.importorskip("torch", reason="the reference is torchvision")
    utils = pytest.importorskip("torchvision.utils", reason="the reference is torchvision")
    flow = np.random.default_rng(0).normal(0, 3, (40, 50, 2)).astype(np.float32)
    longest = float(np.linalg.norm(flow, axis=-1).max())
    expected = utils.flow_to_image(torch.from_numpy(flow).permute(2, 0, 1)).permute(1, 2, 0).numpy()
    assert np.abs(flow_to_colour(flow, longest * 1.0001).astype(int) - expected).max() <= 1


def test_wheel_has_the_standard_55_colours():
    wheel = colour_wheel()
    assert wheel.shape == (55, 3)
    assert wheel[0].tolist() == [255, 0, 0]
    assert wheel[15].tolist() == [255, 255, 0]


def test_rest_is_white_and_too_long_is_dark():
    assert (flow_to_colour(np.zeros((2, 2, 2), np.float32)) == 255).all()
    assert flow_to_colour(np.full((1, 1, 2), 100, np.float32)).max() < 200


def test_legend_and_picture_have_the_sizes_they_say():
    assert legend(40).shape == (40, 40, 3)
    assert picture(np.zeros((480, 640, 3), np.uint8), np.zeros((240, 320, 2), np.float32)).shape == (240, 640, 3)
