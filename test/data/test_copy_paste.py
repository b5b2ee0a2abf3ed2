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
from amtnet_ros.data.scene import PastedScene, Place, carried, moved
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


def test_a_turned_actor_moves_where_it_is_turned_to():
    masks = square_masks(x=12, y=8)
    # Motion to the right by 20 grey levels, turned by a quarter clockwise, goes down.
    right = np.full((24, 32, 3), (ZERO + 20, ZERO, ZERO + 20), np.uint8)
    place = Place(28, -4, turn=np.pi / 2)
    assert (carried(right, place) == (ZERO, ZERO + 20, ZERO + 20)).all()
    scene = PastedScene(Still(10, ZERO), Still(200, ZERO), masks, lag=0, place=place)
    y, x = np.nonzero(scene.frame(0)[..., 0] == 200)
    # (12..20, 8..16) goes to x = 28 - (8..16), y = (12..20) - 4.
    assert (x.min(), x.max() + 1, y.min(), y.max() + 1) == (12, 20, 8, 16)


@pytest.mark.parametrize("place", [Place(0, 0, 1.3, 1.2, 0.4), Place(0, 0, 0.7, 0.9, -1.0), Place(0, 0, 1.0, 1.1, 0.0)])
def test_carried_vectors_are_those_of_float64(place):
    rng = np.random.default_rng(0)
    flow = rng.integers(ZERO - 40, ZERO + 41, (6, 7, 3)).astype(np.uint8)
    result = carried(flow, place)
    sine, cosine = np.sin(place.turn), np.cos(place.turn)
    for y, x in np.ndindex(6, 7):
        u, v, magnitude = flow[y, x].astype(float) - ZERO
        u, v = u * place.scale * place.stretch, v * place.scale / place.stretch
        expected = (cosine * u - sine * v, sine * u + cosine * v, place.scale * magnitude)
        assert result[y, x] == pytest.approx(np.array(expected) + ZERO, abs=0.6)


NOBODY = np.zeros((0, 2, 4), np.float32)


def pasted_alone(options, seeds=300):
    """A square of 8 pixels, pasted where nobody is: boxes (n, 4) in the first frame, and the frames they are in."""
    donor = Donor(
        Still(200, 150), square_masks(x=12, y=8), 3, np.array([[[12, 8, 20, 16]] * 2], np.float32), np.array([5])
    )
    found = []
    for seed in range(seeds):
        rng = np.random.default_rng(seed)
        scene, boxes, labels = paste(rng, Still(10, 100), (1, 3), NOBODY, np.zeros(0, np.int64), donor, options)
        if len(labels):
            found.append((boxes[0, 0], scene.frame(1)[..., 0]))
    return found


ALL_SHAPES = replace(PLAIN, paste_growth=1.6, paste_stretch=1.2, paste_turn=25)


@pytest.mark.parametrize("options", [AugmentationOptions(), ALL_SHAPES])
def test_boxes_are_tight_around_what_is_seen_of_a_pasted_actor(options):
    found = pasted_alone(options)
    assert len(found) > 200
    for (x1, y1, x2, y2), frame in found:
        y, x = np.nonzero(frame > (10 + 203) / 2)  # more than half the actor's
        assert (x.min(), y.min(), x.max() + 1, y.max() + 1) == pytest.approx((x1, y1, x2, y2), abs=1)


@pytest.mark.parametrize(
    ("options", "least", "most"),
    [
        (AugmentationOptions(), 8, 8),
        (AugmentationOptions(paste_growth=1.6), 8 / 1.6, 8 * 1.6),
        (AugmentationOptions(paste_stretch=1.5), 8 / 1.5, 8 * 1.5),
        (AugmentationOptions(paste_turn=45), 8, 8 * np.sqrt(2)),
    ],
)
def test_pasted_actors_come_in_all_shapes_that_were_asked_for(options, least, most):
    boxes = np.array([box for box, _ in pasted_alone(options)])
    whole = boxes[((boxes > 1) & (boxes < (31, 23, 31, 23))).all(1)]
    assert len(whole) > 50
    widths, heights = whole[:, 2] - whole[:, 0], whole[:, 3] - whole[:, 1]
    for sides in (widths, heights):
        assert sides.min() == pytest.approx(least, abs=1)
        assert sides.max() == pytest.approx(most, abs=1)
    if options.paste_stretch > 1:
        assert widths * heights == pytest.approx(64, rel=0.35)
        assert np.corrcoef(widths, heights)[0, 1] < -0.8
    elif least < most:
        assert np.corrcoef(widths, heights)[0, 1] > 0.8


def test_pasting_adds_the_actors_box_and_covers_nobody():
    boxes = np.array([[[0, 0, 16, 24]] * 2], np.float32)
    donor = Donor(Still(200, 150), square_masks(), 3, np.array([[[4, 6, 12, 14]] * 2], np.float32), np.array([5]))
    placed = 0
    for seed in range(40):
        scene, both, labels = paste(
            np.random.default_rng(seed), Still(10, 100), (1, 3), boxes, np.array([2]), donor, PLAIN
        )
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
        scene, boxes, labels = paste(rng, base, (0, 1), hidden, np.array([0]), giant, PLAIN)
        if len(labels) == 2:
            assert (scene.frame(0)[8:12, 10:14] == 200).all(axis=-1).mean() <= 0.5
        else:
            assert scene is base
            assert np.array_equal(boxes, hidden)


@pytest.mark.parametrize("shapes", [PLAIN, ALL_SHAPES])
def test_copy_paste_from_real_masks_is_pure_and_boxes_stay_tight(data_root, tmp_path, shapes):
    dataset = read_jhmdb21(data_root, 1)
    names = dataset.train[::220]
    cache = VideoCache(tmp_path, "dis:ultrafast")
    cache.fill([dataset.videos[name] for name in names])
    options = PairOptions(deltas=(1,), image_size=240, augmentation=replace(shapes, copy_paste=1.0))
    samples = PairSamples(dataset, names, cache, options, seed=0, masks=partial(read_masks, data_root))
    pasted = [sample for sample in map(samples.sample, range(6)) if " with " in sample.name]
    assert len(pasted) >= 3
    for sample in pasted:
        assert sample.boxes.shape == (2, 2, 4)
        name, t = sample.name.split(" with ")[1].split(" frames ")
        assert sample.labels[1] == dataset.videos[name].instances[0].label
        full = dataset.videos[name].instances[0].boxes[int(t.split(",")[0])]
        sizes = (sample.boxes[1, 0, 2:] - sample.boxes[1, 0, :2]) * (320, 240)
        if shapes is PLAIN:
            assert (sizes <= full[2:] - full[:2] + 1e-3).all()
        else:
            assert np.prod(sizes) <= (1.6 * 1.2) ** 2 * np.square(full[2:] - full[:2]).sum()
    once, again = samples.sample(3), samples.sample(3)
    assert np.array_equal(once.rgb, again.rgb)
    assert np.array_equal(once.flow, again.flow)
    assert np.array_equal(once.boxes, again.boxes)
