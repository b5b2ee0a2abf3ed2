"""Overlaps of boxes, against numbers worked out by hand and against torchvision."""

import numpy as np
import pytest

from amtnet_ros.boxes import area, clip, intersection, iou, nms, overlaps, ranges

BOX = [10.0, 10.0, 20.0, 20.0]


def columns(*boxes, dtype=np.float32):
    return np.array(boxes, dtype).reshape(-1, 4).T


def random_boxes(count, seed, dtype=np.float32):
    """Whole numbers on a small canvas, so that many overlap and some touch."""
    rng = np.random.default_rng(seed)
    corner = rng.integers(0, 60, (count, 2))
    return np.concatenate([corner, corner + rng.integers(1, 40, (count, 2))], axis=1).astype(dtype)


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize(
    ("other", "common", "expected"),
    [
        ([10, 10, 20, 20], 100, 1.0),
        ([15, 10, 25, 20], 50, 50 / 150),
        ([20, 10, 30, 20], 0, 0.0),
        ([12, 12, 14, 14], 4, 4 / 100),
        ([40, 40, 50, 50], 0, 0.0),
    ],
)
def test_iou_counts_pixels_with_exclusive_maximum(other, common, expected, dtype):
    one, two = columns(BOX, dtype=dtype), columns(other, dtype=dtype)
    assert intersection(one, two).tolist() == [common]
    overlap = iou(one, two)
    assert overlap.dtype == dtype
    assert overlap[0] == pytest.approx(expected)


def test_boxes_without_area_overlap_nothing():
    empty = columns([5, 5, 5, 9])
    assert area(empty).tolist() == [0]
    assert iou(empty, empty).tolist() == [0]
    assert iou(empty, columns(BOX)).tolist() == [0]


def test_pairs_and_each_with_each_are_those_of_torchvision():
    torch = pytest.importorskip("torch", reason="the reference is torchvision's")
    ops = pytest.importorskip("torchvision", reason="the reference is torchvision's").ops
    a, b = random_boxes(30, 0), random_boxes(30, 1)
    expected = ops.box_iou(torch.from_numpy(a), torch.from_numpy(b)).numpy()
    assert 100 < np.count_nonzero(expected) < 800
    np.testing.assert_allclose(iou(a.T, b.T), expected.diagonal(), rtol=1e-6)
    np.testing.assert_allclose(iou(a.T[:, :, None], b.T[:, None]), expected, rtol=1e-6)
    first, second, overlap = overlaps(a.T, b.T)
    assert (np.diff(first * len(b) + second) > 0).all()
    found = np.zeros_like(expected)
    found[first, second] = overlap
    np.testing.assert_allclose(found, expected, rtol=1e-6)


@pytest.mark.parametrize("threshold", [0.0, 0.3, 0.7, 1.0])
def test_suppression_in_groups_is_torchvisions_in_each(threshold):
    torch = pytest.importorskip("torch", reason="the reference is torchvision's")
    ops = pytest.importorskip("torchvision", reason="the reference is torchvision's").ops
    sizes = [12, 0, 1, 20]
    boxes = random_boxes(sum(sizes), 2)
    ends = np.cumsum(sizes)
    kept = nms(boxes.T, np.repeat(ends, sizes), threshold)
    falling = torch.arange(len(boxes), 0, -1, dtype=torch.float32)
    for start, end in zip(ends - sizes, ends, strict=True):
        expected = np.sort(ops.nms(torch.from_numpy(boxes[start:end]), falling[start:end], threshold).numpy())
        assert np.flatnonzero(kept[start:end]).tolist() == expected.tolist()
        alone = nms(boxes[start:end].T, np.full(end - start, end - start), threshold)
        assert np.flatnonzero(alone).tolist() == expected.tolist()


def test_clipping_keeps_what_lies_in_the_image():
    boxes = columns([-5, 2, 700, 30], [630, 470, 650, 490], [-9, -9, -1, -1])
    assert clip(boxes, 640, 480).T.tolist() == [[0, 2, 640, 30], [630, 470, 640, 480], [0, 0, 0, 0]]
    pairs = np.stack([boxes, boxes + 1], axis=1)
    assert clip(pairs, 640, 480).shape == (4, 2, 3)
    assert clip(pairs, 640, 480)[:, 1, 0].tolist() == [0, 3, 640, 31]


def test_ranges_list_every_pair_once():
    first, second = ranges(np.array([3, 7, 9, 5]), np.array([5, 7, 12, 4]))
    assert first.tolist() == [0, 0, 2, 2, 2]
    assert second.tolist() == [3, 4, 9, 10, 11]
