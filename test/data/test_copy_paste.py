"""Copy-paste: an actor keeps its pixels, flow and box, whatever its place and size; and nobody is hidden."""

from dataclasses import replace
from functools import partial

import numpy as np
import pytest

from amtnet_ros.data.augmentation import AugmentationOptions
from amtnet_ros.data.cache import VideoCache
from amtnet_ros.data.copy_paste import Donor, paste
from amtnet_ros.data.jhmdb21 import read_jhmdb21, read_masks
from amtnet_ros.data.samples import PairOptions, PairSamples
from amtnet_ros.data.scene import PastedScene, Place, moved
from amtnet_ros.flow.encoding import ZERO

PLAIN = AugmentationOptions(photometric=False, expand=1, crop="none", mirror=False)


class Still:
    """A scene of one colour, its flow of another."""

    n_frames, size = 9, (32, 24)

    def __init__(self, colour, flow):
        self.colour, self.motion = colour, flow

    def frame(self, t):
        return np.full((24, 32, 3), self.colour + t, np.uint8)

    def flow(self, t):
        return np.full((24, 32, 3), self.motion + t, np.uint8)


def square_masks(x=4, y=6, side=8):
    masks = np.zeros((9, 24, 32), np.uint8)
    masks[:, y : y + side, x : x + side] = 1
    return masks


def test_a_pasted_actor_brings_its_own_pixels_and_flow():
    scene = PastedScene(Still(10, 100), Still(200, 150), square_masks(), lag=2, place=Place(10, -3))
    inside, outside = (slice(3, 11), slice(14, 22)), (0, 0)
    assert (scene.frame(1)[inside] == 203).all()
    assert (scene.flow(1)[inside] == 153).all()
    assert (scene.frame(1)[outside], scene.flow(1)[outside]) == (pytest.approx(11), pytest.approx(101))
    assert (scene.frame(1) == 203).sum() == 8 * 8 * 3
    assert (scene.flow(8)[inside] == 158).all(), "after the donor's end its last frame stays"


@pytest.mark.parametrize("shift", [(3, 2), (-3, 2), (0, -5), (0, 0)])
def test_moving_a_picture_is_moving_its_pixels(shift):
    image = np.random.default_rng(0).integers(1, 255, (10, 12)).astype(np.uint8)
    result = moved(image, Place(*shift))
    for y, x in np.ndindex(10, 12):
        source = (y - shift[1], x - shift[0])
        inside = 0 <= source[0] < 10 and 0 <= source[1] < 12
        assert result[y, x] == (image[source] if inside else 0)


@pytest.mark.parametrize(("x", "y", "scale"), [(2, -6, 2.0), (-5, -4, 1.6), (6, 4, 0.5)])
def test_a_scaled_picture_lies_where_its_corners_say(x, y, scale):
    image = np.zeros((24, 32), np.uint8)
    image[6:14, 4:12] = 200
    result = moved(image, Place(x, y, scale)).astype(float)
    rows, columns = np.indices(result.shape)
    total = result.sum()
    assert total == pytest.approx(200 * (8 * scale) ** 2, rel=0.02)
    assert (columns * result).sum() / total + 0.5 == pytest.approx(x + 8 * scale, abs=0.1)
    assert (rows * result).sum() / total + 0.5 == pytest.approx(y + 10 * scale, abs=0.1)


def test_an_actor_twice_as_large_moves_twice_as_fast():
    faster = PastedScene(Still(10, ZERO), Still(200, ZERO + 20), square_masks(), lag=0, place=Place(2, -6, 2.0))
    inside = (slice(9, 19), slice(13, 23))
    assert (faster.frame(0)[inside] == 200).all()
    assert (faster.flow(0)[inside] == ZERO + 40).all()
    assert (faster.flow(0)[23, 0] == ZERO).all()


def test_the_edge_of_a_scaled_actor_is_neither_his_nor_the_scenes():
    frame = PastedScene(Still(10, 100), Still(200, 150), square_masks(), lag=0, place=Place(2, -6, 2.0)).frame(0)
    row = frame[14, :, 0].astype(float)
    mixed = (row > 10) & (row < 200)
    assert 0 < mixed.sum() <= 4
    assert (row - 10).sum() == pytest.approx(190 * 16, rel=0.02)


@pytest.mark.parametrize("growth", [1.0, 1.6])
def test_pasted_actors_come_in_all_sizes_up_to_the_growth(growth):
    nobody = np.zeros((0, 2, 4), np.float32)
    masks = square_masks(x=12, y=8)
    donor = Donor(Still(200, 150), masks, 3, np.array([[[12, 8, 20, 16]] * 2], np.float32), np.array([5]))
    sides = []
    for seed in range(300):
        rng = np.random.default_rng(seed)
        scene, boxes, labels = paste(rng, Still(10, 100), (1, 3), nobody, np.zeros(0, np.int64), donor, growth)
        x1, y1, x2, y2 = boxes[0, 0]
        if len(labels) and x1 > 1 and y1 > 1 and x2 < 31 and y2 < 23:
            sides += [x2 - x1]
            solid = (scene.frame(1)[..., 0] - 10) > 95
            assert solid.any(0).sum() == pytest.approx(x2 - x1, abs=1.01)
            assert solid.any(1).sum() == pytest.approx(y2 - y1, abs=1.01)
    assert len(sides) > 50
    assert min(sides) == pytest.approx(8 / growth, rel=0.05)
    assert max(sides) == pytest.approx(8 * growth, rel=0.05)


def test_pasting_adds_the_actors_box_and_covers_nobody():
    boxes = np.array([[[0, 0, 16, 24]] * 2], np.float32)
    donor = Donor(Still(200, 150), square_masks(), 3, np.array([[[4, 6, 12, 14]] * 2], np.float32), np.array([5]))
    placed = 0
    for seed in range(40):
        scene, both, labels = paste(np.random.default_rng(seed), Still(10, 100), (1, 3), boxes, np.array([2]), donor)
        if len(labels) == 1:
            continue
        placed += 1
        assert labels.tolist() == [2, 5]
        for k, t in enumerate((1, 3)):
            y, x = np.nonzero((scene.frame(t) == 200 + t + 2).all(axis=2))
            assert both[1, k].tolist() == [x.min(), y.min(), x.max() + 1, y.max() + 1]
            assert len(y) >= 32, "at least half of the actor must be in the picture"
            assert ((x < 16).sum() / (16 * 24)) <= 0.5
    assert placed > 30


def test_an_actor_who_would_hide_the_other_is_not_pasted():
    hidden = np.array([[[10, 8, 14, 12]] * 2], np.float32)
    giant = Donor(
        Still(200, 150), np.ones((9, 24, 32), np.uint8), 0, np.array([[[0, 0, 32, 24]] * 2], np.float32), np.array([1])
    )
    base = Still(10, 100)
    for seed in range(20):
        scene, boxes, labels = paste(np.random.default_rng(seed), base, (0, 1), hidden, np.array([0]), giant)
        if len(labels) == 2:
            assert (scene.frame(0)[8:12, 10:14] == 200).all(axis=-1).mean() <= 0.5
        else:
            assert scene is base
            assert np.array_equal(boxes, hidden)


@pytest.mark.parametrize("growth", [1.0, 1.6])
def test_copy_paste_from_real_masks_is_pure_and_boxes_stay_tight(data_root, tmp_path, growth):
    dataset = read_jhmdb21(data_root, 1)
    names = dataset.train[::220]
    cache = VideoCache(tmp_path, "dis:ultrafast")
    cache.fill([dataset.videos[name] for name in names])
    options = PairOptions(deltas=(1,), image_size=240, augmentation=replace(PLAIN, copy_paste=1.0, paste_growth=growth))
    samples = PairSamples(dataset, names, cache, options, seed=0, masks=partial(read_masks, data_root))
    pasted = [sample for sample in map(samples.sample, range(6)) if " with " in sample.name]
    assert len(pasted) >= 3
    for sample in pasted:
        assert sample.boxes.shape == (2, 2, 4)
        name, t = sample.name.split(" with ")[1].split(" frames ")
        assert sample.labels[1] == dataset.videos[name].instances[0].label
        mask = read_masks(data_root, name)[int(t.split(",")[0])]
        full = dataset.videos[name].instances[0].boxes[int(t.split(",")[0])]
        sizes = (sample.boxes[1, 0, 2:] - sample.boxes[1, 0, :2]) * (320, 240)
        assert (sizes <= growth * (full[2:] - full[:2]) + 1e-3).all()
        assert mask.any()
    once, again = samples.sample(3), samples.sample(3)
    assert np.array_equal(once.rgb, again.rgb)
    assert np.array_equal(once.flow, again.flow)
    assert np.array_equal(once.boxes, again.boxes)
