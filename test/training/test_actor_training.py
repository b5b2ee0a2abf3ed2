"""How the actor stream learns: its losses, what stays frozen, and runs that break off and go on."""

import json
import subprocess
import sys
import time
from pathlib import Path

import actor_data
import numpy as np
import pytest
import scipy.special

torch = pytest.importorskip("torch", reason="training needs torch")

from click.testing import CliRunner  # noqa: E402
from lively import lively  # noqa: E402

from amtnet_ros.cli.train import train  # noqa: E402
from amtnet_ros.errors import UserError  # noqa: E402
from amtnet_ros.model.checkpoint import load_checkpoint  # noqa: E402
from amtnet_ros.model.movinet import MoViNet  # noqa: E402
from amtnet_ros.training.actor_config import ActorExperiment  # noqa: E402
from amtnet_ros.training.actor_learner import ActorBatch, ActorLearner, answer_loss, forgetting  # noqa: E402  # noqa: E402
from amtnet_ros.training.config import make_experiment, read_content  # noqa: E402

RECIPE = Path(__file__).parents[2] / "config" / "train" / "actor.yaml"
SMALLER = (
    *("data.split=1", "data.held_out=0.3", "data.pictures=3", "optimiser.batch_size=2", "optimiser.iterations=4"),
    *("run.checkpoint_every=1", "run.validate_every=4", "run.workers=0"),
)


def experiment(*overrides):
    return make_experiment(ActorExperiment, read_content(RECIPE, (*SMALLER, *overrides)), RECIPE)


def learner(made):
    return ActorLearner(lively(MoViNet(5, made.network.dropout, made.network.drop_path)), made)


def batch(number):
    generator = torch.Generator().manual_seed(number)
    pictures = torch.randint(0, 256, (2, 3, 172, 172, 3), dtype=torch.uint8, generator=generator)
    return ActorBatch(pictures, torch.rand(2, 5, generator=generator) > 0.5)


# --- losses ---------------------------------------------------------------------------------------------------------


def test_with_one_right_answer_the_loss_is_smoothed_cross_entropy():
    logits, labels = torch.randn(6, 23), torch.arange(6)
    right = torch.nn.functional.one_hot(labels, 23).bool()
    expected = torch.nn.functional.cross_entropy(logits, labels, label_smoothing=0.1, reduction="none")
    torch.testing.assert_close(answer_loss(logits, right, 0.1), expected)


def test_of_several_right_answers_only_the_sum_counts():
    logits = torch.tensor([[2.0, 1.0, 0.0, -1.0]])
    right = torch.tensor([[True, False, True, False]])
    p = scipy.special.softmax(logits.numpy()[0])
    np.testing.assert_allclose(answer_loss(logits, right, 0.0), [-np.log(p[0] + p[2])], rtol=1e-5)
    assert answer_loss(logits, torch.ones(1, 4, dtype=torch.bool), 0.0).abs() < 1e-6


def test_forgetting_is_the_divergence_from_the_untaught_names():
    names, untaught = torch.randn(3, 600), torch.randn(3, 600)
    p, q = scipy.special.softmax(untaught.numpy(), -1), scipy.special.softmax(names.numpy(), -1)
    np.testing.assert_allclose(forgetting(names, untaught), (p * np.log(p / q)).sum(-1).mean(), rtol=1e-4)
    assert forgetting(names, names).abs() < 1e-6


# --- steps ----------------------------------------------------------------------------------------------------------


def test_stem_and_lower_groups_stay_and_the_rest_learns():
    taught = learner(experiment())
    before = {name: value.clone() for name, value in taught.network.state_dict().items()}
    losses = taught.learn(batch(0))
    assert all(np.isfinite(list(losses.values())))
    frozen = ("stem.", "groups.0.", "groups.1.", "groups.2.", "groups.3.")
    for name, value in taught.network.state_dict().items():
        assert torch.equal(value, before[name]) == name.startswith(frozen), name


def test_a_learner_goes_on_from_its_state_to_the_same_weights():
    made = experiment()
    unbroken, first = learner(made), learner(made)
    for step in range(4):
        unbroken.learn(batch(step))
    for step in range(2):
        first.learn(batch(step))
    second = learner(made)
    second.restore(first.state())
    for step in range(2, 4):
        second.learn(batch(step))
    for part in ("network", "average"):
        for name, value in unbroken.state()[part].items():
            assert torch.equal(value, second.state()[part][name]), name


def test_a_checkpoint_of_another_network_is_refused():
    made = experiment()
    other = ActorLearner(MoViNet(4), made)
    with pytest.raises(UserError, match="does not fit the experiment"):
        learner(made).restore(other.state())


# --- the command ----------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def small(tmp_path_factory):
    return actor_data.make_data(tmp_path_factory.mktemp("data"))


@pytest.fixture
def teachers(data_root):
    folder = data_root.parent / "teachers"
    if not (folder / "movinet_a0_stream_weights.npz").is_file():
        pytest.skip(f"no published weights in {folder}")
    return folder


def test_the_command_killed_and_started_again_ends_as_if_unbroken(small, teachers, tmp_path):
    overrides = (*SMALLER, f"data.teachers={teachers}")
    arguments = ["--config", str(RECIPE), "--cache", str(tmp_path / "cache"), "--data-root", str(small)]

    def run(name, *more):
        return CliRunner().invoke(train, [*arguments, "--out", str(tmp_path / name), *overrides, *more])

    unbroken = run("unbroken")
    assert unbroken.exit_code == 0, unbroken.output
    folder = tmp_path / "unbroken"
    for name in ("experiment.json", "environment.json", "curves.png", "samples.png"):
        assert (folder / name).stat().st_size > 100
    records = [json.loads(line) for line in (folder / "log.jsonl").read_text().splitlines()]
    assert [record["step"] for record in records if "classification" in record] == [1, 2, 3, 4]
    assert 0 <= records[-1]["named"] <= 1

    command = [sys.executable, "-m", "amtnet_ros.cli.main", "train", *arguments]
    broken = tmp_path / "broken"
    process = subprocess.Popen([*command, "--out", str(broken), *overrides], stderr=subprocess.DEVNULL)
    while not (broken / "checkpoint.pt").exists() and process.poll() is None:
        time.sleep(0.005)
    process.kill()
    process.wait()
    assert 1 <= load_checkpoint(broken / "checkpoint.pt")["step"] < 4
    refused = run("broken", "data.whole=0.5")
    assert "data.whole was 0.3, and is now 0.5" in str(refused.exception)
    assert run("broken").exit_code == 0
    ends = [load_checkpoint(path / "checkpoint.pt") for path in (folder, broken)]
    for part in ("network", "average"):
        for name, value in ends[0][part].items():
            assert torch.equal(value, ends[1][part][name]), name


def test_with_nobody_held_out_nothing_is_validated(small, teachers, tmp_path):
    overrides = (*SMALLER, f"data.teachers={teachers}", "data.held_out=0", "optimiser.iterations=1")
    arguments = ["--config", str(RECIPE), "--cache", str(tmp_path / "cache"), "--data-root", str(small)]
    result = CliRunner().invoke(train, [*arguments, "--out", str(tmp_path / "run"), *overrides])
    assert result.exit_code == 0, result.output
    (record,) = map(json.loads, (tmp_path / "run" / "log.jsonl").read_text().splitlines())
    assert record["step"] == 1
    assert "named" not in record


def test_mistakes_in_the_recipe_are_named():
    with pytest.raises(UserError, match=r"data\.hold_out: no such key; did you mean held_out\?"):
        experiment("data.hold_out=0.2")
    with pytest.raises(UserError, match="shares: none may be negative"):
        experiment("data.shares.nobody=-1")
    with pytest.raises(UserError, match="least and greatest"):
        experiment("data.strides=[4, 2]")
