"""Training that starts from a model folder, and training that learns from a teacher."""

import json

import numpy as np
import pytest

torch = pytest.importorskip("torch", reason="training needs torch")

import plain_trunk  # noqa: E402, F401  (registers the trunks)
from torch import nn  # noqa: E402

from amtnet_ros.deploy.export import ExportOptions, Trained, export_model, read_trained  # noqa: E402
from amtnet_ros.errors import UserError  # noqa: E402
from amtnet_ros.model.amtnet import AMTnet  # noqa: E402
from amtnet_ros.model.checkpoint import (  # noqa: E402
    TrainingFacts,
    load_checkpoint,
)
from amtnet_ros.model.loss import cut_at_border, make_targets, multibox_loss, overlap_loss  # noqa: E402
from amtnet_ros.model.streams import NetworkOptions  # noqa: E402
from amtnet_ros.training.batches import Batch  # noqa: E402
from amtnet_ros.training.config import InitialConfig, LossConfig  # noqa: E402
from amtnet_ros.training.initial import initialise, lacks_statistics, read_teacher, take_statistics  # noqa: E402
from amtnet_ros.training.tasks import DetectMicroTubes  # noqa: E402
from amtnet_ros.training.trainer import Trainer  # noqa: E402

LABELS = ("go_left", "go_right")


def normed_network(seed=0, streams=("rgb", "flow"), classes=2):
    """With batch statistics that matter."""
    torch.manual_seed(seed)
    network = AMTnet(NetworkOptions(classes, "normed", streams, image_size=128))
    for norm in norms(network):
        norm.running_mean.uniform_(-1, 1)
        norm.running_var.uniform_(0.3, 2)
        nn.init.uniform_(norm.weight, 0.5, 1.5)
        nn.init.uniform_(norm.bias, -0.3, 0.5)
    return network.eval()


def norms(network):
    return [module for module in network.modules() if isinstance(module, nn.BatchNorm2d)]


def batch_of(seed, n=4):
    generator = torch.Generator().manual_seed(seed)
    rgb, flow = (torch.randint(0, 256, (n, 2, c, 128, 128), generator=generator, dtype=torch.uint8) for c in (3, 15))
    boxes = [torch.tensor([[[0.2, 0.3, 0.6, 0.8], [0.25, 0.3, 0.65, 0.8]]])] * n
    return Batch(rgb, flow, boxes, [torch.tensor([i % 2]) for i in range(n)], [str(i) for i in range(n)], [True] * n)


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """An exported model of the two actions."""
    folder = tmp_path_factory.mktemp("models") / "start"
    facts = TrainingFacts("jhmdb21", 1, 0, (1,), "dis:medium", "past")
    trained = Trained(normed_network(), LABELS, facts, {"name": "start"}, 5)
    export_model([trained], folder, ExportOptions())
    return folder


@torch.no_grad()
def test_a_network_starts_from_a_model_folder(folder):
    network = AMTnet(NetworkOptions(2, "normed", image_size=128)).eval()
    config = InitialConfig(rgb=str(folder), flow=str(folder), heads=str(folder))
    initialise(network, config)
    images = [x.float() for x in (batch_of(0).rgb, batch_of(0).flow)]
    for mine, reference in zip(network(*images), normed_network()(*images), strict=True):
        torch.testing.assert_close(mine, reference, rtol=1e-4, atol=1e-4)
    assert lacks_statistics(config)
    assert not lacks_statistics(InitialConfig(rgb="imagenet", flow="a.pt", heads=str(folder)))


@torch.no_grad()
def test_statistics_are_those_of_what_passes_and_change_nothing(folder):
    network = AMTnet(NetworkOptions(2, "normed", image_size=128)).eval()
    initialise(network, InitialConfig(rgb=str(folder), flow=str(folder), heads=str(folder)))
    seen = [batch_of(1), batch_of(2)]
    images = [x.float() for x in (seen[0].rgb, seen[0].flow)]
    before = network(*images)
    take_statistics(network, seen)
    for mine, reference in zip(network(*images), before, strict=True):
        torch.testing.assert_close(mine, reference, rtol=1e-4, atol=1e-4)
    trunk = network.trunk("rgb")
    pictures = torch.cat([batch.rgb.flatten(0, 1) for batch in seen]).double().numpy()
    blocks = ((pictures - 127) / 128).reshape(16, 3, 8, 16, 8, 16).mean((3, 5))  # what the second map is made of
    weight = trunk.convolutions[1].weight.double().numpy()[:, :, 0, 0]
    values = np.einsum("oc,bchw->bohw", weight, blocks) + trunk.convolutions[1].bias.double().numpy()[:, None, None]
    assert trunk.norms[1].running_mean.numpy() == pytest.approx(values.mean((0, 2, 3)), abs=1e-5)
    assert trunk.norms[1].running_var.numpy() == pytest.approx(values.var((0, 2, 3)), rel=1e-3)
    # So the first step of training, which normalises by the batch, sees nearly the same network.
    both = [torch.cat([x, y]).float() for x, y in ((seen[0].rgb, seen[1].rgb), (seen[0].flow, seen[1].flow))]
    expected, found = network(*both)[0], network.train()(*both)[0]
    torch.testing.assert_close(found, expected, rtol=1e-3, atol=1e-3)


@pytest.mark.parametrize("open_border", [False, True])
def test_the_loss_with_a_teacher_is_made_of_its_parts(open_border):
    network, teacher, batch = normed_network(0), normed_network(1), batch_of(3)
    images = [x.float() for x in (batch.rgb, batch.flow)]
    weights = {"localisation_weight": 2, "overlap_weight": 3, "label_smoothing": 0.1}
    options = LossConfig(negative_iou=0.3, open_border=open_border, **weights)
    with torch.no_grad():
        found = DetectMicroTubes(options, teacher).loss(network, network, batch)
        logits, offsets = network(*images)
        targets = make_targets(batch.boxes, batch.labels, network.priors, 0.3)
        if open_border:
            offsets = cut_at_border(offsets, targets, network.priors)
        losses = multibox_loss(logits, offsets, targets, taught=teacher(*images)[0])
        overlap = overlap_loss(offsets, targets, network.priors)
    assert found.parts.keys() == {"classification", "localisation", "overlap"}
    expected = losses.classification + 2 * losses.localisation + 3 * overlap
    assert found.total.item() == pytest.approx(expected.item(), rel=1e-6)
    assert "overlap" not in DetectMicroTubes(LossConfig()).loss(network, network, batch).parts


def test_a_run_starts_from_a_model_and_learns_from_it_as_teacher(experiment, folder, cache_folder, tmp_path):
    config = experiment(
        network={"trunk": "normed"},
        initial={"rgb": str(folder), "flow": str(folder), "heads": str(folder)},
        loss={"teacher": str(folder), "overlap_weight": 1.0, "negative_iou": 0.3},
        optimiser={"iterations": 2, "learning_rate": 1e-6, "ema": 0.9},
    )
    assert Trainer(config, tmp_path / "run", tmp_path).run(cache_folder)
    content = load_checkpoint(tmp_path / "run" / "checkpoint.pt")
    start = {"experiment": {"name": "start"}, "iterations": 5}
    assert json.loads(content["earlier"]) == [start]
    # Hardly a step was made, so what the run exports still is the model it started from, statistics and all.
    assert content["average"]["trunks.rgb.norms.0.running_var"].max() != 1
    images = [x.float() for x in (batch_of(4).rgb, batch_of(4).flow)]
    with torch.no_grad():
        found, expected = read_trained(tmp_path / "run" / "checkpoint.pt").network(*images), normed_network()(*images)
        torch.testing.assert_close(found[0], expected[0], rtol=0.2, atol=0.2)
    records = [json.loads(line) for line in (tmp_path / "run" / "log.jsonl").read_text().splitlines()]
    assert all(np.isfinite(record["overlap"]) for record in records if "classification" in record)


def test_a_teacher_that_answers_other_questions_is_refused(folder):
    other_trunk = normed_network()
    other_trunk.cells = (16, 8, 4, 2, 1, 2)
    for network, labels, message in (
        (normed_network(), ("go_left", "stay"), r"has other classes than the network: .*go_right.*, not .*stay"),
        (normed_network(streams=("rgb",)), LABELS, r"has other streams than the network: \('rgb', 'flow'\), not"),
        (AMTnet(NetworkOptions(2, "normed", image_size=256)), LABELS, r"has other image size than the network: 128"),
        (other_trunk, LABELS, r"has other cells than the network: .*1, 1\), not .*1, 2\)"),
    ):
        with pytest.raises(UserError, match=message):
            read_teacher(str(folder), network, labels)
    assert not any(p.requires_grad for p in read_teacher(str(folder), normed_network(), LABELS).parameters())


@torch.no_grad()
def test_of_a_model_of_other_classes_boxes_and_classes_of_the_same_name_are_kept(folder):
    """All that the model knew it still says, and of a new class the mean of what it says of its own."""
    network, start = normed_network(seed=8, classes=3), normed_network()
    config = InitialConfig(rgb=str(folder), flow=str(folder), heads=str(folder))
    initialise(network, config, ("go_right", "stay", "go_left"))
    images = [x.float() for x in (batch_of(0).rgb, batch_of(0).flow)]
    (logits, offsets), (known_logits, known_offsets) = network(*images), start(*images)
    torch.testing.assert_close(offsets, known_offsets, rtol=1e-4, atol=1e-4)
    torch.testing.assert_close(logits[..., [0, 3, 1]], known_logits, rtol=1e-4, atol=1e-4)
    torch.testing.assert_close(logits[..., 2], known_logits[..., 1:].mean(-1), rtol=1e-4, atol=1e-4)


def test_heads_over_other_maps_do_not_fit_whatever_their_classes(folder):
    network = AMTnet(NetworkOptions(3, "normed", fusion="concat", image_size=128))
    for labels in (("a", "b", "c"), LABELS):
        with pytest.raises(UserError, match="start: does not fit this network: size mismatch"):
            initialise(network, InitialConfig(rgb=None, flow=None, heads=str(folder)), labels)
