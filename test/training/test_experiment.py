"""Experiments: every mistake is named with its key; the configurations that come with the package are whole."""

import json
import logging
from pathlib import Path

import pytest
import yaml

from amtnet_ros.cli.train import train
from amtnet_ros.errors import UserError
from amtnet_ros.training.actor_config import ActorExperiment
from amtnet_ros.training.config import (
    Experiment,
    first_difference,
    make_experiment,
    read_content,
    read_experiment,
    stored_experiment,
)

FOLDER = Path(__file__).parents[2] / "config" / "train"
BASES = ["light"]  # what recipes inherit, no recipes themselves
ACTOR = FOLDER / "actor.yaml"  # trains the other network, by keys of its own
CONFIGURATIONS = sorted(path for path in FOLDER.glob("*.yaml") if path.stem not in BASES and path != ACTOR)


@pytest.fixture
def write(tmp_path):
    def write(text):
        path = tmp_path / "experiment.yaml"
        path.write_text(text)
        return path

    return write


@pytest.mark.parametrize("path", CONFIGURATIONS, ids=lambda path: path.stem)
def test_the_configurations_are_valid_and_named_as_their_files(path):
    assert read_experiment(path).name == path.stem


def test_the_actor_streams_configuration_is_valid_and_named_as_its_file():
    assert make_experiment(ActorExperiment, read_content(ACTOR), ACTOR).name == "actor"


def test_what_recipes_inherit_is_inherited_and_no_recipe():
    parents = {yaml.safe_load(path.read_text()).get("inherits") for path in CONFIGURATIONS}
    for name in BASES:
        assert f"{name}.yaml" in parents
        with pytest.raises(UserError, match="name: "):
            read_experiment(FOLDER / f"{name}.yaml")


def test_a_recipe_takes_from_its_parents_what_it_does_not_say_itself(tmp_path):
    (tmp_path / "first.yaml").write_text(
        "name: first\ndata: {deltas: [1, 2], split: 3}\noptimiser: {batch_size: 4, freeze_blocks: {rgb: 2, flow: 2}}\n"
    )
    (tmp_path / "second.yaml").write_text("inherits: first.yaml\nname: second\ndata: {deltas: [8]}\n")
    (tmp_path / "third.yaml").write_text(
        "inherits: second.yaml\nname: third\nrun: {seed: 5}\noptimiser: {freeze_blocks: {rgb: 1}}\n"
    )
    found = read_experiment(tmp_path / "third.yaml", ["optimiser.batch_size=2"])
    assert found == Experiment(
        name="third",
        data={"deltas": [8], "split": 3},
        optimiser={"batch_size": 2, "freeze_blocks": {"rgb": 1}},
        run={"seed": 5},
    )
    assert read_experiment(tmp_path / "first.yaml").data.deltas == (1, 2)


@pytest.mark.parametrize(
    ("parent", "message"),
    [
        ("none.yaml", r"none\.yaml: cannot be read"),
        ("experiment.yaml", r"inherits: experiment\.yaml inherits from this file itself"),
        ("loop.yaml", r"loop\.yaml: inherits: experiment\.yaml inherits from this file itself"),
        ("[a.yaml]", r"experiment\.yaml: inherits: must be the name of a file"),
    ],
)
def test_a_parent_that_cannot_be_is_named(write, tmp_path, parent, message):
    (tmp_path / "loop.yaml").write_text("inherits: experiment.yaml\n")
    path = write(f"inherits: {parent}\nname: a\n")
    with pytest.raises(UserError, match=message):
        read_experiment(path)


def test_retired_keys_of_older_checkpoints_are_ignored_with_one_line(caplog):
    stored = json.loads(Experiment(name="a", optimiser={"batch_size": 3}).model_dump_json())
    stored["network"]["motion_trunk"] = None
    stored["augmentation"] |= {"paste_growth": 1.6, "paste_turn": 25.0}
    with caplog.at_level(logging.WARNING):
        found = stored_experiment(json.dumps(stored), Path("run/checkpoint.pt"))
    assert found == Experiment(name="a", optimiser={"batch_size": 3})
    (record,) = caplog.records
    assert record.getMessage() == (
        "run/checkpoint.pt: keys that there no longer are, ignored: "
        "network.motion_trunk, augmentation.paste_growth, augmentation.paste_turn"
    )
    with pytest.raises(UserError, match=r"checkpoint\.pt: holds no experiment of this version"):
        stored_experiment(json.dumps({**stored, "zzz": 1}), Path("checkpoint.pt"))


@pytest.mark.parametrize("name", ["light", "light_rgb"])
def test_every_run_that_a_bundled_model_comes_from_is_a_recipe(name):
    training = json.loads((FOLDER.parents[1] / "models" / name / "card.json").read_text())["training"]
    runs = {run["experiment"]["name"] for run in (training, *training["earlier"])}
    assert runs <= {path.stem for path in CONFIGURATIONS}


def test_the_papers_recipe_is_the_papers():
    """Optimisation in the release, and its one-stream networks as the start of the fused one."""
    by_name = {path.stem: read_experiment(path) for path in CONFIGURATIONS}
    for name in ("paper_rgb", "paper_flow", "paper_sum"):
        optimiser = by_name[name].optimiser
        assert (optimiser.name, optimiser.momentum, optimiser.weight_decay) == ("sgd", 0.9, 1e-4)
        assert (optimiser.learning_rate, optimiser.trunk_factor, optimiser.bias_factor) == (5e-4, 0.5, 2.0)
        assert (optimiser.batch_size, optimiser.iterations) == (8, 70_000)
        assert (optimiser.schedule, optimiser.drops) == ("step", (50_000,))
        assert (by_name[name].network.trunk, by_name[name].network.image_size) == ("vgg16", 300)
        assert by_name[name].data.placement == "centred"
        assert by_name[name].augmentation.expand == 4
    initial = by_name["paper_sum"].initial
    assert (initial.rgb, initial.flow) == ("runs/paper_rgb/checkpoint.pt", "runs/paper_flow/checkpoint.pt")


def test_overrides_change_single_keys(write):
    path = write("name: a\noptimiser: {batch_size: 4, iterations: 9}\n")
    changed = read_experiment(path, ["optimiser.batch_size=2", "data.deltas=[1, 3]", "optimiser.learning_rate=1e-3"])
    assert (changed.optimiser.batch_size, changed.optimiser.iterations) == (2, 9)
    assert (changed.data.deltas, changed.optimiser.learning_rate) == ((1, 3), 1e-3)


@pytest.mark.parametrize(
    ("text", "overrides", "message"),
    [
        (
            "name: a\noptimiser: {learning_rat: 1}\n",
            [],
            r"optimiser\.learning_rat: no such key; did you mean learning_rate",
        ),
        ("name: a\nzzz: 1\n", [], r"zzz: no such key; there are name, task, data, network"),
        ("optimiser: {}\n", [], r"name: "),
        ("name: a\ndata: {deltas: []}\n", [], r"data\.deltas: "),
        ("name: a\ndata: {deltas: [1, -2]}\n", [], r"data\.deltas\.1: "),
        ("name: a\ndata: {feed: []}\n", [], r"data\.feed: "),
        ("name: a\ndata: {dataset: kinetics}\n", [], r"data\.dataset: "),
        ("name: a\ndata: {dataset: custom}\n", [], r"data: dataset custom needs root"),
        (
            "name: a\ndata: {feed: [rgb]}\nnetwork: {streams: [flow]}\n",
            [],
            r"data\.feed: the network has no stream rgb",
        ),
        ("name: a\ndata: {dataset: ucf101_24}\naugmentation: {copy_paste: 0.5}\n", [], r"augmentation\.copy_paste: "),
        ("name: a\naugmentation: {copy_paste: 2}\n", [], r"augmentation\.copy_paste: "),
        (
            "name: a\ninitial: {rgb: null}\nnetwork: {streams: [flow]}\noptimiser: {freeze_blocks: {rgb: 3}}\n",
            [],
            r"optimiser\.freeze_blocks: the network has no stream rgb",
        ),
        ("name: a\ndata: {deltas: [0]}\noptimiser: {batch_size: 1}\n", [], r"optimiser\.batch_size: "),
        ("name: a\noptimiser: {batch_size: eight}\n", [], r"optimiser\.batch_size: "),
        ("name: a\ntask: classify\n", [], r"augmentation\.crop: actor \(close-ups\) goes with task classify"),
        ("name: a\naugmentation: {crop: actor}\n", [], r"augmentation\.crop: actor"),
        ("name: a\nloss: {mixup: 0.2}\n", [], r"loss\.mixup: boxes cannot be mixed"),
        ("name: a\nnetwork: {image_size: 96}\n", [], r"network\.image_size: to detect, at least 128"),
        (
            "name: a\ntask: classify\naugmentation: {crop: actor}\ninitial: {heads: a.pt}\n",
            [],
            r"initial\.heads: a network that classifies has no such heads",
        ),
        ("name: a\noptimiser: {freeze_heads: true}\n", [], r"optimiser\.freeze_heads: random heads would stay random"),
        (
            "name: a\nnetwork: {streams: [rgb]}\ninitial: {rgb: a.pt, flow: b.pt, heads: joined}\n",
            [],
            r"initial\.heads: joined needs two streams, and a checkpoint",
        ),
        (
            "name: a\ntask: classify\naugmentation: {crop: actor}\nloss: {overlap_weight: 1}\n",
            [],
            r"loss\.teacher, loss\.overlap_weight and loss\.open_border go with task detect",
        ),
        (
            "name: a\nloss: {teacher: models/nothing-there}\n",
            [],
            r"loss\.teacher: models/nothing-there is no checkpoint \(\.pt\) and no model folder",
        ),
        (
            "name: a\nnetwork: {fusion: concat}\ninitial: {rgb: a.pt, flow: imagenet, heads: joined}\n",
            [],
            r"initial\.heads: joined needs two streams, and a checkpoint",
        ),
        ("name: a\n", ["optimiser.iterations=0"], r"optimiser\.iterations: "),
        ("name: a\n", ["optimiser.iterations"], r"override 'optimiser\.iterations': must look like"),
        ("name: a\n", ["name.x=1"], r"override 'name\.x=1': 'name' is not a section"),
        ("name: a\n", ["data.deltas=[1"], r"override 'data\.deltas=\[1': the value is not YAML"),
        ("name: [\n", [], r"experiment\.yaml: not YAML"),
        ("- a\n", [], r"must hold keys and values"),
        ("1: 2\n", [], r"keys must be words"),
    ],
)
def test_the_first_mistake_is_named_in_one_line(write, text, overrides, message):
    path = write(text)
    with pytest.raises(UserError, match=message) as raised:
        read_experiment(path, overrides)
    assert "\n" not in str(raised.value)


def test_a_file_that_cannot_be_read_is_named(tmp_path):
    with pytest.raises(UserError, match=r"none\.yaml: cannot be read"):
        read_experiment(tmp_path / "none.yaml")
    (tmp_path / "latin.yaml").write_bytes("name: é".encode("latin-1"))
    with pytest.raises(UserError, match=r"latin\.yaml: not a text file"):
        read_experiment(tmp_path / "latin.yaml")


def test_only_what_changes_the_result_makes_another_experiment():
    one = Experiment(name="a")
    same = Experiment(name="b", run={"workers": 5, "checkpoint_every": 3, "validate_every": 7})
    assert first_difference(one, same) is None
    other = Experiment(name="a", optimiser={"iterations": 5})
    assert first_difference(one, other) == "optimiser.iterations was 70000, and is now 5"
    assert first_difference(one, Experiment(name="a", run={"seed": 2})) == "run.seed was 0, and is now 2"
    closeups = Experiment(name="a", task="classify", augmentation={"crop": "actor"})
    assert first_difference(one, closeups) == "task was detect, and is now classify"


def test_the_help_names_every_option():
    from click.testing import CliRunner

    text = CliRunner().invoke(train, ["--help"]).output
    for word in (
        "--config",
        "--out",
        "--cache",
        "--device",
        "--data-root",
        "--allow-changes",
        "torchrun",
        "SECTION.KEY",
    ):
        assert word in text
