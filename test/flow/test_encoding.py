"""Flow fields as images, and the scaling by time."""

import numpy as np
import pytest

from amtnet_ros.errors import UserError
from amtnet_ros.flow.encoding import decode_flow, encode_flow, flow_scale


@pytest.mark.parametrize(
    ("u", "v", "expected"),
    [
        (0, 0, (128, 128, 128)),
        (1, -2, (144, 96, 164)),  # 16 * sqrt(5) = 35.78, rounded up
        (3, 4, (176, 192, 208)),
        (-100, 100, (0, 255, 255)),
        (0.03, -0.03, (128, 128, 129)),  # 0.48 levels are rounded away, the magnitude's 0.68 are not
    ],
)
def test_levels(u, v, expected):
    encoded = encode_flow(np.full((2, 3, 2), (u, v), np.float32))
    assert encoded.dtype == np.uint8
    assert encoded.shape == (2, 3, 3)
    assert (encoded == expected).all()


def test_decoding_returns_the_vectors_to_half_a_level():
    vectors = np.random.default_rng(0).uniform(-7.9, 7.9, (20, 30, 2)).astype(np.float32)
    assert np.abs(decode_flow(encode_flow(vectors)) - vectors).max() <= 1 / 32 + 1e-6


def test_a_field_that_is_not_finite_is_refused():
    vectors = np.zeros((4, 4, 2), np.float32)
    vectors[1, 1, 0] = np.nan
    with pytest.raises(UserError, match="not finite"):
        encode_flow(vectors)


def test_scale_is_nominal_time_over_true_time():
    assert flow_scale(0, 40_000_000, 25.0) == pytest.approx(1.0)
    assert flow_scale(0, 80_000_000, 25.0) == pytest.approx(0.5)
    assert flow_scale(7, 20_000_007, 25.0) == pytest.approx(2.0)
    with pytest.raises(UserError, match="stamps must increase"):
        flow_scale(5, 5, 25.0)
