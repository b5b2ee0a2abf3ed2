"""The 8732 priors, against a computation written from SSD's definition in plain loops."""

import math

import numpy as np
import pytest

torch = pytest.importorskip("torch", reason="the network needs torch")

from amtnet_ros.model.amtnet import AMTnet  # noqa: E402
from amtnet_ros.model.priors import make_priors  # noqa: E402
from amtnet_ros.model.streams import NetworkOptions  # noqa: E402


def ssd300_priors() -> list[list[float]]:
    """Liu et al.'s SSD300 boxes, one number at a time in double precision."""
    boxes = []
    for cells, step, smallest, largest, ratios in (
        (38, 8, 30, 60, [2]),
        (19, 16, 60, 111, [2, 3]),
        (10, 32, 111, 162, [2, 3]),
        (5, 64, 162, 213, [2, 3]),
        (3, 100, 213, 264, [2]),
        (1, 300, 264, 315, [2]),
    ):
        for row in range(cells):
            for column in range(cells):
                x, y = (column + 0.5) / (300 / step), (row + 0.5) / (300 / step)
                s, between = smallest / 300, math.sqrt(smallest / 300 * largest / 300)
                shapes = [(s, s), (between, between)]
                for ratio in ratios:
                    shapes.append((s * math.sqrt(ratio), s / math.sqrt(ratio)))
                    shapes.append((s / math.sqrt(ratio), s * math.sqrt(ratio)))
                boxes += [[min(max(value, 0.0), 1.0) for value in (x, y, w, h)] for w, h in shapes]
    return boxes


def test_priors_equal_those_of_ssd300_in_number_order_and_value():
    expected = np.array(ssd300_priors())
    priors = make_priors(300, (38, 19, 10, 5, 3, 1))
    assert priors.shape == expected.shape == (8732, 4)
    np.testing.assert_allclose(priors, expected, atol=1e-6)


@pytest.mark.parametrize("trunk", ["efficientnet_lite0", "vgg16"])
def test_every_trunk_has_the_same_priors_at_300(trunk):
    network = AMTnet(NetworkOptions(2, trunk=trunk, streams=("rgb",)))
    assert network.trunk("rgb").cells(300) == (38, 19, 10, 5, 3, 1)
    assert network.priors.shape == (8732, 4)


@pytest.mark.parametrize("size", [160, 224, 300])
def test_there_is_one_output_row_for_each_prior_at_any_input_size(size):
    network = AMTnet(NetworkOptions(2, streams=("rgb",), image_size=size)).eval()
    with torch.no_grad():
        first, second = network.encode(torch.zeros(1, 3, size, size), None)
    assert first.shape == second.shape == (1, len(network.priors), 2 + 1 + 8)
