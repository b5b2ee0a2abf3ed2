"""Copy-paste: an actor keeps its pixels, flow and box, wherever it is pasted; and nobody is hidden."""

from functools import partial

import numpy as np
import pytest

from amtnet_ros.data.augmentation import AugmentationOptions
from amtnet_ros.data.cache import VideoCache
from amtnet_ros.data.jhmdb21 import read_jhmdb21, read_masks
from amtnet_ros.data.samples import PairOptions, PairSamples
from amtnet_ros.data.scene import Donor, PastedScene, moved, paste

PASTING = AugmentationOptions(photometric=False, expand=1, crop="none", mirror=False, copy_paste=1.0)


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
    scene = PastedScene(Still(10, 100), Still(200, 150), square_masks(), lag=2, shift=(10, -3))
    inside, outside = (slice(3, 11), slice(14, 22)), (0, 0)
    assert (scene.frame(1)[inside] == 203).all()
    assert (scene.flow(1)[inside] == 153).all()
    assert (scene.frame(1)[outside], scene.flow(1)[outside]) == (pytest.approx(11), pytest.approx(101))
    assert (scene.frame(1) == 203).sum() == 8 * 8 * 3
    assert (scene.flow(8)[inside] == 158).all(), "after the donor's end its last frame stays"


@pytest.mark.parametrize("shift", [(3, 2), (-3, 2), (0, -5), (0, 0)])
def test_moving_a_picture_is_moving_its_pixels(shift):
    image = np.random.default_rng(0).integers(1, 255, (10, 12)).astype(np.uint8)
    result = moved(image, shift)
    for y, x in np.ndindex(10, 12):
        source = (y - shift[1], x - shift[0])
        inside = 0 <= source[0] < 10 and 0 <= source[1] < 12
        assert result[y, x] == (image[source] if inside else 0)


NOBODY = np.zeros((0, 2, 4), np.float32)


def pasted_alone(seeds=300):
    """A square of 8 pixels, pasted where nobody is: boxes (n, 4) in the first frame, and the frames they are in."""
    donor = Donor(
        Still(200, 150), square_masks(x=12, y=8), 3, np.array([[[12, 8, 20, 16]] * 2], np.float32), np.array([5])
    )
    found = []
    for seed in range(seeds):
        rng = np.random.default_rng(seed)
        scene, boxes, labels = paste(rng, Still(10, 100), (1, 3), NOBODY, np.zeros(0, np.int64), donor)
        if len(labels):
            found.append((boxes[0, 0], scene.frame(1)[..., 0]))
    return found


def test_boxes_are_tight_around_what_is_seen_of_a_pasted_actor():
    found = pasted_alone()
    assert len(found) > 200
    for box, frame in found:
        y, x = np.nonzero(frame == 203)
        assert (x.min(), y.min(), x.max() + 1, y.max() + 1) == tuple(box)
    whole = np.array([box for box, _ in found if (box > 1).all() and (box < (31, 23, 31, 23)).all()])
    assert len(whole) > 50
    assert (whole[:, 2:] - whole[:, :2] == 8).all(), "nobody grows or shrinks"


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
        rng = np.random.default_rng(seed)
        scene, boxes, labels = paste(rng, base, (0, 1), hidden, np.array([0]), giant)
        if len(labels) == 2:
            assert (scene.frame(0)[8:12, 10:14] == 200).all(axis=-1).mean() <= 0.5
        else:
            assert scene is base
            assert np.array_equal(boxes, hidden)


def test_copy_paste_from_real_masks_is_pure_and_boxes_stay_tight(data_root, tmp_path):
    dataset = read_jhmdb21(data_root, 1)
    names = dataset.train[::220]
    cache = VideoCache(tmp_path, "dis:ultrafast")
    cache.fill([dataset.videos[name] for name in names])
    options = PairOptions(deltas=(1,), image_size=240, augmentation=PASTING)
    samples = PairSamples(dataset, names, cache, options, seed=0, masks=partial(read_masks, data_root))
    pasted = [sample for sample in map(samples.sample, range(6)) if " with " in sample.name]
    assert len(pasted) >= 3
    for sample in pasted:
        assert sample.boxes.shape == (2, 2, 4)
        name, t = sample.name.split(" with ")[1].split(" frames ")
        assert sample.labels[1] == dataset.videos[name].instances[0].label
        full = dataset.videos[name].instances[0].boxes[int(t.split(",")[0])]
        sizes = (sample.boxes[1, 0, 2:] - sample.boxes[1, 0, :2]) * (320, 240)
        assert (sizes <= full[2:] - full[:2] + 1e-3).all()
    once, again = samples.sample(3), samples.sample(3)
    assert np.array_equal(once.rgb, again.rgb)
    assert np.array_equal(once.flow, again.flow)
    assert np.array_equal(once.boxes, again.boxes)
