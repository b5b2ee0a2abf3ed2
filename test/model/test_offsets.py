"""Offsets of micro-tubes, and IoU."""

import numpy as np
import pytest

torch = pytest.importorskip("torch", reason="the network needs torch")

from hypothesis import given, settings  # noqa: E402
from hypothesis import strategies as st  # noqa: E402

from amtnet_ros.model.priors import decode_micro_tubes, encode_micro_tubes, pairwise_iou  # noqa: E402


def random_corners(rng: np.random.Generator, *shape: int) -> np.ndarray:
    low = rng.uniform(0, 0.8, (*shape, 2))
    return np.concatenate([low, low + rng.uniform(0.02, 0.2, (*shape, 2))], axis=-1)


@settings(max_examples=30, deadline=None)
@given(st.integers(0, 2**32 - 1))
def test_decoding_inverts_encoding(seed):
    rng = np.random.default_rng(seed)
    tubes = torch.from_numpy(random_corners(rng, 50, 2))
    priors = torch.from_numpy(np.concatenate([rng.uniform(0, 1, (50, 2)), rng.uniform(0.05, 1, (50, 2))], axis=1))
    torch.testing.assert_close(decode_micro_tubes(encode_micro_tubes(tubes, priors), priors), tubes, atol=1e-12, rtol=0)
    single = encode_micro_tubes(tubes.float(), priors.float())
    torch.testing.assert_close(decode_micro_tubes(single, priors.float()), tubes.float(), atol=2e-6, rtol=0)


def test_offsets_are_shifts_over_a_tenth_and_log_growth_over_a_fifth_of_the_prior():
    prior = torch.tensor([[0.5, 0.5, 0.2, 0.4]], dtype=torch.float64)
    first, second = [0.4, 0.3, 0.6, 0.7], [0.42, 0.26, 0.62, 1.06]  # the prior itself; moved, and twice as tall
    offsets = encode_micro_tubes(torch.tensor([[first, second]], dtype=torch.float64), prior)
    expected = [0, 0, 0, 0, 0.02 / 0.2 / 0.1, 0.16 / 0.4 / 0.1, 0, np.log(2) / 0.2]
    np.testing.assert_allclose(offsets[0].numpy(), expected, atol=1e-9)


def test_iou_equals_counting_cells_of_a_grid():
    rng = np.random.default_rng(0)
    boxes = np.sort(rng.integers(0, 24, (2, 40, 2, 2)), axis=2).reshape(2, 40, 4)

    def cells(box: np.ndarray) -> set[tuple[int, int]]:
        return {(x, y) for x in range(box[0], box[2]) for y in range(box[1], box[3])}

    found = pairwise_iou(torch.from_numpy(boxes[0]).double(), torch.from_numpy(boxes[1]).double()).numpy()
    for i, a in enumerate(boxes[0]):
        for j, b in enumerate(boxes[1]):
            union = cells(a) | cells(b)
            assert found[i, j] == pytest.approx(len(cells(a) & cells(b)) / len(union) if union else 0.0)
