"""Runs that break off: the weights of the end are those of an unbroken run, bit for bit."""

import json
import multiprocessing
import os
import signal
import time
from pathlib import Path

import pytest

torch = pytest.importorskip("torch", reason="training needs torch")

import plain_trunk  # noqa: E402
from click.testing import CliRunner  # noqa: E402

from amtnet_ros.cli.train import train  # noqa: E402
from amtnet_ros.errors import UserError  # noqa: E402
from amtnet_ros.model.checkpoint import load_checkpoint, load_network, save_checkpoint  # noqa: E402
from amtnet_ros.training.config import read_experiment  # noqa: E402
from amtnet_ros.training.trainer import Trainer  # noqa: E402

SMOKE = Path(__file__).parents[2] / "config" / "train" / "smoke.yaml"
STEPS = 9
SMALLER = (
    "data.dataset=custom",
    "network.image_size=128",
    "initial.rgb=null",
    "initial.flow=null",
    "optimiser.batch_size=1",
    f"optimiser.iterations={STEPS}",
    "optimiser.dropout=0.1",
    "run.checkpoint_every=3",
    "run.workers=0",
    "run.threads=1",
)


def same_weights(a, b):
    for part in ("network", "average"):
        assert a[part].keys() == b[part].keys()
        for name, value in a[part].items():
            assert torch.equal(value, b[part][name]), name


def logged(folder):
    path = folder / "log.jsonl"
    return [json.loads(line) for line in path.read_text().splitlines()] if path.exists() else []


def test_smoke_killed_and_resumed_ends_as_if_unbroken(actions, cache_folder, tmp_path):
    """The command, really killed; with dropout, averaging, a schedule and two feeds in turn."""
    overrides = (*SMALLER, f"data.root={actions}", "data.feed=[both, flow]")
    arguments = ["--config", str(SMOKE), "--cache", str(cache_folder), "--device", "cpu"]
    runner = CliRunner()
    unbroken = runner.invoke(train, [*arguments, "--out", str(tmp_path / "unbroken"), *overrides])
    assert unbroken.exit_code == 0, unbroken.output
    steps = [r for r in logged(tmp_path / "unbroken") if "classification" in r]
    losses = [r["classification"] + r["localisation"] for r in steps]
    assert sum(losses[-3:]) < sum(losses[:3]), "the loss must fall"

    broken = tmp_path / "broken"
    content = json.loads(read_experiment(SMOKE, overrides).model_dump_json())
    context = multiprocessing.get_context("forkserver")
    process = context.Process(target=plain_trunk.train, args=(content, str(broken), str(cache_folder)))
    process.start()
    while len(logged(broken)) < 4 and process.is_alive():
        time.sleep(0.005)
    process.kill()
    process.join()
    assert process.exitcode == -signal.SIGKILL
    reached = load_checkpoint(broken / "checkpoint.pt")["step"]
    assert 3 <= reached < STEPS

    resumed = runner.invoke(train, [*arguments, "--out", str(broken), *overrides])
    assert resumed.exit_code == 0, resumed.output
    same_weights(load_checkpoint(tmp_path / "unbroken" / "checkpoint.pt"), load_checkpoint(broken / "checkpoint.pt"))
    again = [r for r in logged(broken) if "classification" in r]
    assert [r["step"] for r in again] == list(range(1, STEPS + 1))
    assert [r["classification"] for r in again] == [r["classification"] for r in steps]


@pytest.fixture
def small(experiment):
    def make(**optimiser):
        return experiment(
            network={"trunk": "plain", "image_size": 128},
            optimiser={"iterations": 6, "ema": 0.9, "schedule": "cosine", **optimiser},
            run={"checkpoint_every": 2},
        )

    return make


def test_a_run_asked_to_stop_saves_and_goes_on_exactly(small, cache_folder, tmp_path):
    Trainer(small(), tmp_path / "unbroken", tmp_path, "cpu").run(cache_folder)
    trainer = Trainer(small(), tmp_path / "stopped", tmp_path, "cpu")
    before = signal.getsignal(signal.SIGTERM)
    learn = trainer.learner.learn

    def learn_and_be_asked(batch):
        if trainer.learner.step == 2:
            os.kill(os.getpid(), signal.SIGTERM)
        return learn(batch)

    trainer.learner.learn = learn_and_be_asked
    assert trainer.run(cache_folder) is False
    assert signal.getsignal(signal.SIGTERM) is before
    assert load_checkpoint(tmp_path / "stopped" / "checkpoint.pt")["step"] == 3
    assert Trainer(small(), tmp_path / "stopped", tmp_path, "cpu").run(cache_folder) is True
    same_weights(*(load_checkpoint(tmp_path / name / "checkpoint.pt") for name in ("unbroken", "stopped")))


def test_another_experiment_does_not_go_on_in_the_same_folder_unless_allowed(small, cache_folder, tmp_path):
    folder = tmp_path / "run"
    Trainer(small(), folder, tmp_path, "cpu").run(cache_folder)
    slower = small(learning_rate=1e-5)
    with pytest.raises(
        UserError, match=r"another run: optimiser\.learning_rate was 0\.001, and is now 1e-05; .*--allow"
    ):
        Trainer(slower, folder, tmp_path, "cpu")
    longer = small(learning_rate=1e-5, iterations=8)
    allowed = Trainer(longer, folder, tmp_path, "cpu", allow_changes=True)
    assert allowed.learner.step == 6
    assert {group["initial_lr"] for group in allowed.learner.optimiser.param_groups} == {1e-5, 5e-6, 2e-5}
    assert allowed.run(cache_folder) is True
    assert load_checkpoint(folder / "checkpoint.pt")["step"] == 8


def test_a_checkpoint_holds_what_is_documented_and_gives_the_averaged_network(small, cache_folder, tmp_path):
    trainer = Trainer(small(), tmp_path, tmp_path, "cpu")
    trainer.run(cache_folder)
    content = load_checkpoint(tmp_path / "checkpoint.pt")
    expected = {"format", "step", "options", "labels", "experiment", "network", "average", "optimiser"}
    assert expected <= content.keys()
    assert content["labels"] == ["go_left", "go_right"]
    network, _ = load_network(tmp_path / "checkpoint.pt")
    assert not network.training
    assert torch.equal(
        network.state_dict()["heads.regress.0.second.bias"], content["average"]["heads.regress.0.second.bias"]
    )


def test_checkpoints_of_before_these_keys_were_added_are_still_read(small, cache_folder, tmp_path):
    Trainer(small(), tmp_path, tmp_path, "cpu").run(cache_folder)
    content = load_checkpoint(tmp_path / "checkpoint.pt")
    older = {key: value for key, value in content.items() if key not in ("scaler", "processes")}
    experiment = json.loads(older["experiment"])
    for section, key in (("data", "repeats"), ("augmentation", "copy_paste"), ("optimiser", "precision")):
        del experiment[section][key]
    save_checkpoint(tmp_path / "checkpoint.pt", {**older, "experiment": json.dumps(experiment)})
    assert Trainer(small(), tmp_path, tmp_path, "cpu").learner.step == 6


def test_checkpoints_of_before_these_keys_were_retired_are_still_read(small, cache_folder, tmp_path):
    path = tmp_path / "checkpoint.pt"
    Trainer(small(), tmp_path, tmp_path, "cpu").run(cache_folder)
    content = load_checkpoint(path)
    experiment = json.loads(content["experiment"])
    experiment["network"]["motion_trunk"] = None
    experiment["augmentation"]["paste_growth"] = 1.0
    older = {**content, "experiment": json.dumps(experiment), "options": {**content["options"], "motion_trunk": None}}
    save_checkpoint(path, older)
    assert Trainer(small(), tmp_path, tmp_path, "cpu").learner.step == 6
    same = load_network(path)[0].state_dict()
    assert all(torch.equal(value, same[name]) for name, value in content["average"].items())
    save_checkpoint(path, {**older, "options": {**older["options"], "motion_trunk": "mobilenet_v2"}})
    with pytest.raises(UserError, match=r"checkpoint\.pt: its streams have two kinds of trunks"):
        load_network(path)


def test_damaged_and_foreign_checkpoints_are_named(small, tmp_path):
    path = tmp_path / "checkpoint.pt"
    path.write_bytes(b"half")
    with pytest.raises(UserError, match=r"checkpoint\.pt: not a readable checkpoint"):
        Trainer(small(), tmp_path, tmp_path, "cpu")
    torch.save({"state_dict": {}}, path)
    with pytest.raises(UserError, match="not a checkpoint of this package"):
        Trainer(small(), tmp_path, tmp_path, "cpu")
    with pytest.raises(UserError, match="no such checkpoint"):
        load_network(tmp_path / "none.pt")


def test_a_checkpoint_that_cannot_be_written_leaves_the_older_one(tmp_path):
    path = tmp_path / "checkpoint.pt"
    save_checkpoint(path, {"step": 1})
    with pytest.raises(UserError, match=r"folder/checkpoint\.pt: cannot be written"):
        save_checkpoint(tmp_path / "folder" / "checkpoint.pt", {"step": 2})
    with pytest.raises(Exception, match=r"pickle|local object"):
        save_checkpoint(path, {"step": lambda: 2})
    assert load_checkpoint(path)["step"] == 1
    assert [p.name for p in tmp_path.iterdir()] == ["checkpoint.pt"]
