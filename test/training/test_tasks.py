"""Learning to name close-ups: the loss against float64, mixup, and a detector that starts from what was learnt."""

import json
from dataclasses import replace

import numpy as np
import pytest

torch = pytest.importorskip("torch", reason="training needs torch")

import plain_trunk  # noqa: E402, F401  (registers the trunk)

from amtnet_ros.data.augmentation import AugmentationOptions  # noqa: E402
from amtnet_ros.data.cache import VideoCache  # noqa: E402
from amtnet_ros.data.custom import read_custom  # noqa: E402
from amtnet_ros.data.samples import PairOptions  # noqa: E402
from amtnet_ros.errors import UserError  # noqa: E402
from amtnet_ros.model.amtnet import ActorClassifier, AMTnet  # noqa: E402
from amtnet_ros.model.checkpoint import load_checkpoint, load_network  # noqa: E402
from amtnet_ros.model.streams import NetworkOptions  # noqa: E402
from amtnet_ros.training.batches import Batch  # noqa: E402
from amtnet_ros.training.config import InitialConfig, LossConfig  # noqa: E402
from amtnet_ros.training.initial import initialise  # noqa: E402
from amtnet_ros.training.tasks import ClassifyActors, draw_mixture, mixed  # noqa: E402
from amtnet_ros.training.trainer import Trainer  # noqa: E402
from amtnet_ros.training.validation import HeldOut, validate_classifier  # noqa: E402


@pytest.fixture
def network():
    torch.manual_seed(0)
    return ActorClassifier(NetworkOptions(3, "plain", ("rgb",), image_size=64))


def batch_of(labels, seed=0):
    generator = torch.Generator().manual_seed(seed)
    images = torch.randint(0, 256, (len(labels), 1, 3, 64, 64), generator=generator, dtype=torch.uint8)
    boxes = [torch.zeros(1, 2, 4)] * len(labels)
    names = [str(i) for i in range(len(labels))]
    return Batch(images, None, boxes, [torch.tensor([y]) for y in labels], names, [True] * len(labels))


def cross_entropy(logits, labels, smoothing=0.0):
    """In float64, from the definition: the target is one-hot, of which a share is spread over all classes."""
    shifted = logits - logits.max(1, keepdims=True)
    log_p = shifted - np.log(np.exp(shifted).sum(1, keepdims=True))
    target = np.full(logits.shape, smoothing / logits.shape[1])
    target[np.arange(len(labels)), labels] += 1 - smoothing
    return float(-(target * log_p).sum(1).mean())


def test_the_loss_is_the_smoothed_cross_entropy_of_the_actors_class(network):
    batch = batch_of([2, 0, 1, 1])
    task = ClassifyActors(LossConfig(label_smoothing=0.1))
    with torch.no_grad():
        logits = network(batch.rgb.float(), None).double().numpy()
    loss = task.loss(network, network, batch)
    assert loss.total.item() == pytest.approx(cross_entropy(logits, [2, 0, 1, 1], 0.1), rel=1e-5)
    assert loss.parts.keys() == {"classification"}
    assert loss.divisor.item() == 4


def test_mixup_mixes_pictures_and_losses_in_the_same_shares(network):
    labels = [2, 0, 1, 1]
    batch = batch_of(labels)
    torch.manual_seed(5)
    order, share = draw_mixture(4, 0.4)
    images = batch.rgb.double().numpy()
    blend = share * images + (1 - share) * images[order.numpy()]
    with torch.no_grad():
        logits = network(torch.from_numpy(blend).float(), None).double().numpy()
    partners = [labels[k] for k in order]
    expected = share * cross_entropy(logits, labels) + (1 - share) * cross_entropy(logits, partners)
    torch.manual_seed(5)
    found = ClassifyActors(LossConfig(mixup=0.4)).loss(network, network, batch).total.item()
    assert found == pytest.approx(expected, rel=1e-4)


def test_a_sample_keeps_the_greater_share_of_itself():
    torch.manual_seed(0)
    drawn = [draw_mixture(6, 0.2) for _ in range(300)]
    shares = np.array([share for _, share in drawn])
    assert shares.min() >= 0.5
    assert all(sorted(order.tolist()) == list(range(6)) for order, _ in drawn)
    reference = np.random.default_rng(0).beta(0.2, 0.2, 100_000)
    assert shares.mean() == pytest.approx(np.maximum(reference, 1 - reference).mean(), abs=0.03)
    order, share = draw_mixture(6, 0.0)
    assert (order.tolist(), share) == (list(range(6)), 1.0)
    images = torch.rand(6, 3)
    assert torch.equal(mixed(images, order, share), images)


def closeups(experiment, **sections):
    given = {
        "task": "classify",
        "network": {"trunk": "plain", "streams": ["flow"], "image_size": 64},
        "data": {"deltas": [0]},
        "augmentation": {"crop": "actor"},
    }
    return experiment(**{**given, **sections})


def test_a_detector_starts_from_the_trunk_of_a_classifier(experiment, cache_folder, tmp_path):
    config = closeups(experiment, run={"validate_every": 2})
    assert Trainer(config, tmp_path / "closeups", tmp_path).run(cache_folder)
    content = load_checkpoint(tmp_path / "closeups" / "checkpoint.pt")
    detector = AMTnet(NetworkOptions(2, "plain", ("flow",), image_size=128))
    initialise(detector, InitialConfig(flow=str(tmp_path / "closeups" / "checkpoint.pt")))
    learnt = {name: x for name, x in content["network"].items() if name.startswith("trunks.flow.")}
    assert learnt
    for name, value in learnt.items():
        assert torch.equal(detector.state_dict()[name], value), name
    records = [json.loads(line) for line in (tmp_path / "closeups" / "log.jsonl").read_text().splitlines()]
    looks = [record for record in records if "named" in record]
    assert [look["step"] for look in looks] == [2, 4]
    assert all(0 <= look["named"] <= 1 and look["clips_named"] in (0, 0.5, 1) for look in looks)
    assert (tmp_path / "closeups" / "curves.png").stat().st_size > 0


def test_clips_without_an_actor_in_the_frames_looked_at_do_not_count(actions, cache_folder, network):
    dataset = read_custom(actions)
    video = dataset.videos[dataset.test[0]]
    nobody = replace(video, instances=())
    dataset = replace(dataset, videos={**dataset.videos, video.name: nobody})
    cache = VideoCache(cache_folder, "dis:ultrafast")
    cache.fill(list(dataset.videos.values()))
    close_ups = AugmentationOptions(crop="actor")
    options = PairOptions(deltas=(0,), streams=("rgb",), image_size=64, augmentation=close_ups)
    held_out = HeldOut(dataset, dataset.test, cache, options, frames=3)
    assert validate_classifier(network.eval(), held_out, torch.device("cpu")).clips_named in (0.0, 1.0)


def test_a_classifier_is_not_taken_for_a_detector(experiment, cache_folder, tmp_path):
    Trainer(closeups(experiment, optimiser={"iterations": 1}), tmp_path / "run", tmp_path).run(cache_folder)
    with pytest.raises(UserError, match=r"checkpoint\.pt: a classifier of close-ups, which finds nobody"):
        load_network(tmp_path / "run" / "checkpoint.pt")
    detector = AMTnet(NetworkOptions(2, "plain", ("flow",), image_size=128))
    with pytest.raises(UserError, match="has no heads"):
        initialise(detector, InitialConfig(flow=None, heads=str(tmp_path / "run" / "checkpoint.pt")))
