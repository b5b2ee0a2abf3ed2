"""One step and many: the loss falls, what is frozen stays, and what goes wrong is named."""

import pytest

torch = pytest.importorskip("torch", reason="training needs torch")

import numpy as np  # noqa: E402
import plain_trunk  # noqa: E402, F401  (registers the trunk)

from amtnet_ros.data.samples import PairSample  # noqa: E402
from amtnet_ros.errors import UserError  # noqa: E402
from amtnet_ros.model.checkpoint import save_checkpoint  # noqa: E402
from amtnet_ros.model.loss import make_targets, multibox_loss  # noqa: E402
from amtnet_ros.training.batches import Plan, batches, collate  # noqa: E402
from amtnet_ros.training.config import Experiment  # noqa: E402
from amtnet_ros.training.distributed import Processes  # noqa: E402
from amtnet_ros.training.environment import memory_advice  # noqa: E402
from amtnet_ros.training.learner import Learner, choose_precision  # noqa: E402
from amtnet_ros.training.sources import open_dataset  # noqa: E402
from amtnet_ros.training.trainer import make_network  # noqa: E402

CPU = Processes(0, 1, torch.device("cpu"))


@pytest.fixture
def make_learner(experiment, tmp_path):
    def make(**sections):
        config = experiment(**{"network": {"trunk": "plain", "image_size": 128}, **sections})
        torch.manual_seed(0)
        return Learner(make_network(config, open_dataset(config.data, tmp_path)), config, CPU)

    return make


def sample(seed=0, boxes=((0.2, 0.3, 0.6, 0.8), (0.25, 0.3, 0.65, 0.8)), label=1, name=None):
    rng = np.random.default_rng(seed)
    rgb, flow = (rng.integers(0, 256, (2, channels, 128, 128)).astype(np.uint8) for channels in (3, 15))
    tube = np.array([boxes], np.float32)
    return PairSample(rgb, flow, tube, np.array([label]), name or f"clip{seed} frames 1, 2")


def test_the_loss_falls_on_a_batch_seen_again_and_again(make_learner):
    learner = make_learner(network={"image_size": 128}, optimiser={"learning_rate": 3e-3, "iterations": 12})
    batch = collate([sample(0), sample(1, label=0)])
    course = [learner.learn(batch) for _ in range(12)]
    first, last = (sum(c["classification"] + c["localisation"] for c in part) for part in (course[:3], course[-3:]))
    assert last < 0.5 * first


def test_what_is_reported_is_the_loss_of_the_batch(make_learner):
    learner = make_learner(loss={"label_smoothing": 0.1})
    batch = collate([sample(0), sample(1)])
    with torch.no_grad():
        logits, offsets = learner.network(batch.rgb.float(), batch.flow.float())
        expected = multibox_loss(logits, offsets, make_targets(batch.boxes, batch.labels, learner.network.priors), 0.1)
    reported = learner.learn(batch)
    assert reported["classification"] == pytest.approx(expected.classification.item(), rel=1e-5)
    assert reported["localisation"] == pytest.approx(expected.localisation.item(), rel=1e-5)
    assert reported["rate"] == 1e-3


def test_a_large_gradient_is_cut_to_the_limit(make_learner):
    learner = make_learner(optimiser={"name": "sgd", "momentum": 0, "weight_decay": 0, "learning_rate": 1.0,
                                      "clip_gradient": 0.01, "trunk_factor": 1.0, "bias_factor": 1.0})  # fmt: skip
    before = torch.cat([p.detach().flatten().clone() for p in learner.network.parameters()])
    norm = learner.learn(collate([sample()]))["gradient"]
    after = torch.cat([p.detach().flatten() for p in learner.network.parameters()])
    assert norm > 1
    assert (after - before).norm().item() == pytest.approx(0.01, rel=1e-3)


def test_a_sample_whose_loss_is_not_finite_is_named_and_only_it(make_learner):
    learner = make_learner()
    flat = sample(2, boxes=((0.2, 0.3, 0.2, 0.8), (0.2, 0.3, 0.6, 0.8)), name="bad_clip frames 7, 8")
    weights = {name: value.clone() for name, value in learner.network.state_dict().items()}
    with pytest.raises(UserError, match=r"the loss is (inf|nan) at step 0; its cause: bad_clip frames 7, 8;") as raised:
        learner.learn(collate([sample(0), flat, sample(1)]))
    assert "clip0" not in str(raised.value)
    assert all(torch.equal(value, weights[name]) for name, value in learner.network.state_dict().items())


def test_weights_that_diverged_are_called_so(make_learner):
    learner = make_learner(optimiser={"name": "sgd", "learning_rate": 1e30, "clip_gradient": 1e30})
    batch = collate([sample(0), sample(1)])
    learner.learn(batch)
    with pytest.raises(UserError, match=r"at step 1; all samples alike, .* lower optimiser\.learning_rate"):
        learner.learn(batch)


def test_frozen_blocks_keep_weights_and_statistics(make_learner):
    learner = make_learner(
        network={"trunk": "efficientnet_lite0", "image_size": 128},
        optimiser={"freeze_blocks": {"rgb": 5}, "freeze_batch_norm": ["rgb"], "ema": 0.9},
    )
    before = {name: value.clone() for name, value in learner.network.state_dict().items()}
    learner.learn(collate([sample(0)]))
    changed = {name for name, value in learner.network.state_dict().items() if not torch.equal(value, before[name])}
    rgb = {name for name in changed if name.startswith("trunks.rgb.")}
    lowest = ("trunks.rgb._conv_stem", "trunks.rgb._bn0", *(f"trunks.rgb._blocks.{k}." for k in range(5)))
    assert not any(name.startswith(lowest) for name in rgb)
    pyramid = ("lateral", "reduce", "pyramid_norms", "coarser")
    running = {name for name in rgb if "running" in name}
    assert running
    assert all(any(part in name for part in pyramid) for name in running)
    assert "trunks.rgb._blocks.5._depthwise_conv.weight" in changed
    assert "trunks.flow._conv_stem.weight" in changed


def test_frozen_heads_stay_as_they_are_while_the_trunks_learn(make_learner, tmp_path):
    trained = make_learner()
    labels = tuple(f"class {k}" for k in range(trained.network.options.n_classes))
    save_checkpoint(tmp_path / "trained.pt", {**trained.state(), "labels": labels})
    initial = {"rgb": None, "flow": None, "heads": str(tmp_path / "trained.pt")}
    learner = make_learner(initial=initial, optimiser={"freeze_heads": True})
    before = {name: value.clone() for name, value in learner.network.state_dict().items()}
    learner.learn(collate([sample(0)]))
    changed = {name for name, value in learner.network.state_dict().items() if not torch.equal(value, before[name])}
    assert {name.split(".")[0] for name in changed} == {"trunks"}


def test_freezing_needs_a_trunk_with_blocks(make_learner):
    with pytest.raises(UserError, match="PlainTrunk has no blocks to freeze"):
        make_learner(optimiser={"freeze_blocks": {"rgb": 2}})


@pytest.mark.parametrize("precision", ["bfloat16", "float16"])
def test_reduced_precision_takes_nearly_the_same_step(make_learner, precision):
    """On the CPU, which knows both types; the loss of the second step shows the first one's update."""
    batch = collate([sample(0), sample(1)])
    courses = []
    for name in ("float32", precision):
        learner = make_learner(optimiser={"precision": name, "learning_rate": 1e-4})
        courses.append([learner.learn(batch)["classification"] for _ in range(2)])
    assert courses[1] == pytest.approx(courses[0], rel=0.03)
    assert courses[0][1] < courses[0][0]


def test_precision_is_chosen_by_the_device():
    assert choose_precision("auto", torch.device("cpu")) is torch.float32
    assert choose_precision("float16", torch.device("cpu")) is torch.float16


def test_running_out_of_memory_says_what_to_lower():
    experiment = Experiment(name="a")
    advice = memory_advice(experiment)
    with (
        pytest.raises(UserError, match=r"^memory is full: lower optimiser\.batch_size \(now 8\) or run\.workers"),
        advice,
    ):
        torch.empty(1 << 50, dtype=torch.uint8)
    advice = memory_advice(experiment)
    with pytest.raises(UserError, match=r"GPU's memory is full: .* network\.image_size \(now 300\)"), advice:
        raise torch.OutOfMemoryError("CUDA out of memory")
    with pytest.raises(RuntimeError, match="shapes"), memory_advice(experiment):
        raise RuntimeError("shapes do not match")


def test_a_device_that_is_not_there_is_named():
    with pytest.raises(UserError, match="'toaster' is not known"):
        Processes.of_environment("toaster")
    with pytest.raises(UserError, match="'meta' is not known"):
        Processes.of_environment("meta")
    if not torch.cuda.is_available():
        with pytest.raises(UserError, match="cuda:1 is not there: torch finds 0 GPUs"):
            Processes.of_environment("cuda:1")


class Numbers:
    """Stands for samples that are numbers."""

    def __init__(self, broken=()):
        self.broken = broken

    def sample(self, number, streams):
        if number in self.broken:
            raise UserError(f"sample {number} is broken")
        empty = (np.zeros((0, 2, 4), np.float32), np.zeros(0, np.int64))
        image = np.full((1, 3, 2, 2), number, np.uint8)
        return PairSample(image, None, *empty, f"{number} {'+'.join(streams)}")


def test_the_plan_covers_every_number_once_over_all_processes_and_steps():
    feed = (("flow",), ("rgb", "flow"))
    plans = [Plan(3, feed, rank, 2) for rank in range(2)]
    numbers = [n for step in range(5) for plan in plans for n, _ in plan.items(step)]
    assert sorted(numbers) == list(range(30))
    assert [plans[0].items(step)[0][1] for step in range(3)] == [feed[0], feed[1], feed[0]]


def test_workers_prepare_the_same_batches_in_the_same_order_and_report_errors_in_one_line():
    plan = Plan(2, (("rgb",),))
    alone, helped = ([batch.names for batch in batches(Numbers(), plan, range(3, 7), workers)] for workers in (0, 2))
    assert alone == helped == [[f"{2 * k} rgb", f"{2 * k + 1} rgb"] for k in range(3, 7)]
    with pytest.raises(UserError, match=r"^sample 9 is broken$"):
        list(batches(Numbers(broken=(9,)), plan, range(3, 7), 1))
