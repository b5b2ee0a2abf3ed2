"""The quick look: its four figures for networks that are right and wrong in known places."""

import pytest

torch = pytest.importorskip("torch", reason="training needs torch")

import plain_trunk  # noqa: E402, F401  (registers the trunk)
from torch import nn  # noqa: E402

from amtnet_ros.data.cache import VideoCache  # noqa: E402
from amtnet_ros.data.custom import read_custom  # noqa: E402
from amtnet_ros.data.samples import PairOptions  # noqa: E402
from amtnet_ros.training.validation import HeldOut, validate  # noqa: E402

CPU = torch.device("cpu")


@pytest.fixture(scope="module")
def held_out(actions, cache_folder):
    dataset = read_custom(actions)
    cache = VideoCache(cache_folder, "dis:ultrafast")
    cache.fill(list(dataset.videos.values()))
    return HeldOut(dataset, tuple(dataset.videos), cache, PairOptions(deltas=(2, 1), image_size=128), frames=3)


class Answers(nn.Module):
    """A network that knows the truth, clip by clip in the order of validation, and is made to err."""

    def __init__(self, held_out, wrong_class=(), wrong_place=(), doubled=()):
        super().__init__()
        self.clips = [samples for _, _, samples in held_out.clips()]
        self.errors = {"class": wrong_class, "place": wrong_place, "twice": doubled}
        self.asked = 0

    def forward(self, rgb, flow):
        assert rgb.shape[2:] == (3, 128, 128)
        assert flow.shape[2:] == (15, 128, 128)
        self.asked += 1
        return torch.zeros(len(rgb)), torch.zeros(len(rgb))

    def decode(self, logits, offsets):
        clip = self.asked - 1
        scores, boxes = torch.zeros(len(logits), 3, 2), torch.zeros(len(logits), 3, 2, 4)
        for i, sample in enumerate(self.clips[clip]):
            right = int(sample.labels[0])
            scores[i, 0, 1 - right if clip in self.errors["class"] else right] = 0.9
            boxes[i, 0] = torch.from_numpy(sample.boxes[0])
            if clip in self.errors["place"]:
                scores[i] *= 0.5
                boxes[i, 0, :, ::2] = torch.tensor([0.0, 0.02])
            if clip in self.errors["twice"]:  # lower, and suppressed
                scores[i, 1, right], boxes[i, 1] = 0.8, boxes[i, 0] + 0.01
        return scores, boxes


def test_pairs_are_spread_over_each_clip_at_the_smallest_delta(held_out):
    for video, starts, samples in held_out.clips():
        assert starts.tolist() == [0, 5, 10]
        assert [s.name for s in samples] == [f"{video.name} frames {t}, {t + 1}" for t in (0, 5, 10)]


def test_a_network_that_is_always_right_gets_everything(held_out):
    result = validate(Answers(held_out), held_out, CPU)
    assert (result.located, result.named, result.clips_named, result.frame_map) == (1, 1, 1, 1)


def test_errors_are_counted_where_they_belong(held_out):
    """Six clips, three of each action; the first of "go_left" is called "go_right"."""
    result = validate(Answers(held_out, wrong_class=(0,)), held_out, CPU)
    assert result.located == 1
    assert result.named == result.clips_named == pytest.approx(5 / 6)
    misplaced = validate(Answers(held_out, wrong_place=(0, 1)), held_out, CPU)
    assert (misplaced.located, misplaced.named) == (pytest.approx(4 / 6), 1)
    # go_left: the best 3 detections find 3 of 9 boxes, the other 6 none: precision 1 up to recall 1/3. go_right: all.
    assert misplaced.frame_map == pytest.approx((1 / 3 + 1) / 2)


def test_overlapping_detections_of_a_class_are_suppressed(held_out):
    assert validate(Answers(held_out, doubled=range(6)), held_out, CPU).frame_map == 1


def test_the_network_goes_on_as_it_was(held_out):
    network = Answers(held_out)
    for training in (True, False):
        network.asked = 0
        network.train(training)
        validate(network, held_out, CPU)
        assert network.training is training
