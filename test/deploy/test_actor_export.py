"""A model gets the actor stream of a checkpoint: both forms, the card, and the same answers as torch's."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import numpy as np
import pytest
import torch
from lively import lively
from test_actor_graph import moving_pictures
from tiny import LABELS

from amtnet_ros.deploy.actor_export import TrainedActor, add_actor, read_rule, read_trained_actor
from amtnet_ros.errors import UserError
from amtnet_ros.inference.card import ActorRule, ModelCard, read_card
from amtnet_ros.inference.contract import ActorEngine
from amtnet_ros.inference.factory import make_actor_engine
from amtnet_ros.inference.reading import written
from amtnet_ros.model.checkpoint import save_checkpoint
from amtnet_ros.model.movinet import MoViNet

RULE = ActorRule(w_light=0.3, w_taught=0.5, w_names=0.2, temperature=1.1, other=0.2)
EXPERIMENT = {"name": "small", "task": "actor", "data": {"split": 1}}
TEACHERS = {"teachers": "/home/me/teachers"}


@pytest.fixture(scope="module")
def checkpoint(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Of a network with random weights, whose average is another network."""
    path = tmp_path_factory.mktemp("run") / "checkpoint.pt"
    networks = {name: lively(MoViNet(5), seed).state_dict() for seed, name in enumerate(("network", "average"))}
    experiment = json.dumps({**EXPERIMENT, "data": {"split": 1, **TEACHERS}})
    save_checkpoint(path, {"labels": list(LABELS), "experiment": experiment, "step": 7, **networks})
    return path


@pytest.fixture(scope="module")
def trained(checkpoint: Path) -> TrainedActor:
    return read_trained_actor(checkpoint)


@pytest.fixture
def folder(tiny_folder: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(tiny_folder, tmp_path / "model"))


def add(folder: Path, trained: TrainedActor) -> ModelCard:
    return add_actor(folder, trained, RULE, [moving_pictures(seed) for seed in range(3)], "waves")


def test_the_averaged_weights_of_a_checkpoint_are_read_and_nothing_else_is(
    checkpoint: Path, trained: TrainedActor, tmp_path: Path
) -> None:
    assert trained.answers == (*LABELS, "other", "nobody")
    assert (trained.experiment, trained.iterations) == (EXPERIMENT, 7), "a folder of the machine is nobody's business"
    assert torch.equal(trained.network.stem.weight, lively(MoViNet(5), seed=1).stem.weight)
    save_checkpoint(tmp_path / "other.pt", {"experiment": json.dumps({"task": "detect"})})
    with pytest.raises(UserError, match=r"other\.pt: is not of an actor stream"):
        read_trained_actor(tmp_path / "other.pt")


def test_both_forms_lie_in_the_folder_and_say_what_torch_says(folder: Path, trained: TrainedActor) -> None:
    assert add(folder, trained) == read_card(folder)
    actor = read_card(folder).actor
    assert actor is not None
    assert (actor.answers, actor.rule, actor.int8 and actor.int8.calibration) == (trained.answers, RULE, "waves")
    assert (folder / "actor.int8.onnx").stat().st_size < (folder / "actor.onnx").stat().st_size < 6e6
    clip = moving_pictures(9)
    with torch.no_grad():
        pictures = torch.from_numpy(clip).permute(0, 3, 1, 2)[None].float() / 255
        said = trained.network.say(trained.network.features(pictures)[:, -10:].mean(1))
    expected = said.answers.softmax(-1)[0].numpy()
    by_engine = {
        name: last_answers(make_actor_engine(folder, "cpu", **options), clip)
        for name, options in (
            ("exact", {"precision": "fp32"}),
            ("int8", {"precision": "int8"}),
            ("torch", {"engine": "torch"}),
        )
    }
    np.testing.assert_allclose(by_engine["exact"], expected, atol=0.01)
    np.testing.assert_allclose(by_engine["torch"], expected, atol=0.01)
    assert 0 < np.abs(by_engine["int8"] - expected).max() < 0.2


def last_answers(engine: ActorEngine, clip: np.ndarray) -> np.ndarray:
    """After the last picture of one person's clip."""
    memories, features = [None], np.zeros((0, engine.n_features), np.float32)
    for picture in clip:
        earlier = features[-9:]
        look = engine.look(picture[None], memories, earlier.sum(0, keepdims=True), np.float32([len(earlier)]))
        memories, features = look.memories, np.concatenate([features, look.features])
    engine.close()
    return look.answers[0]


def test_a_model_of_other_actions_is_left_as_it_was(folder: Path) -> None:
    other = TrainedActor(MoViNet(4), ("jump", "run", "other", "nobody"), EXPERIMENT, 1)
    before = {path.name: path.read_bytes() for path in folder.iterdir()}
    with pytest.raises(UserError, match="has other actions than the actor stream"):
        add(folder, other)
    assert {path.name: path.read_bytes() for path in folder.iterdir()} == before


def test_the_rule_may_come_from_a_file(tmp_path: Path) -> None:
    file = tmp_path / "rule.json"
    with pytest.raises(UserError, match=r"rule\.json: cannot be read"):
        read_rule(file)
    file.write_text('{"w_light": 1}')
    with pytest.raises(UserError, match=r"rule\.json: not the numbers of a rule"):
        read_rule(file)
    file.write_text(json.dumps(written(RULE)))
    assert read_rule(file) == RULE
