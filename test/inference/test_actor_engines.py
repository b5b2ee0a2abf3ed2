"""Every engine of the actor stream gives the same answers, whoever is looked at together."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
from actor_models import TINY_FEATURES, TINY_SIDE, to_answers, with_actor, write_real_actor, write_tiny_actor
from tiny import LABELS

from amtnet_ros.deploy.answer_layer import with_answers
from amtnet_ros.errors import UserError
from amtnet_ros.inference.card import read_card
from amtnet_ros.inference.contract import ActorEngine
from amtnet_ros.inference.factory import make_actor_engine
from amtnet_ros.inference.graph_file import file_hash

ENGINES = ("onnxruntime", "torch")


@pytest.fixture(scope="module")
def graphs(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("graphs")
    write_real_actor(folder / "real.onnx", len(LABELS) + 2)
    write_tiny_actor(folder / "tiny.onnx", len(LABELS) + 2)
    rng, n = np.random.default_rng(0), len(LABELS) + 2
    weight, bias = rng.normal(0, 0.01, (n, 2048)).astype(np.float32), rng.normal(size=n).astype(np.float32)
    direction, middle = rng.normal(size=(n, 2048)).astype(np.float32), rng.random(2048).astype(np.float32)
    onnx.save(with_answers(onnx.load(folder / "real.onnx"), weight, bias, direction, middle), folder / "taught.onnx")
    return folder


@pytest.fixture
def real(tiny_folder: Path, graphs: Path, tmp_path: Path) -> Path:
    return with_actor(tiny_folder, tmp_path / "real", graphs / "real.onnx")


@pytest.fixture
def tiny(tiny_folder: Path, graphs: Path, tmp_path: Path) -> Path:
    return with_actor(tiny_folder, tmp_path / "tiny", graphs / "tiny.onnx", picture_size=TINY_SIDE)


class Followed:
    """One person's pictures, shown one after another."""

    def __init__(self, engine: ActorEngine, seed: int, side: int) -> None:
        self._rng, self._side = np.random.default_rng(seed), side
        self._coarse = self._rng.integers(0, 256, (4, 4, 3), dtype=np.uint8)
        self.memory: Any = None
        self.earlier, self.count = np.zeros(engine.n_features, np.float32), 0

    def picture(self) -> np.ndarray:
        """Blocks that change a little from picture to picture."""
        self._coarse = self._coarse + self._rng.integers(0, 30, self._coarse.shape, dtype=np.uint8)
        reach = -(-self._side // 4)
        return self._coarse.repeat(reach, 0).repeat(reach, 1)[: self._side, : self._side]


def show(engine: ActorEngine, persons: list[Followed]) -> tuple[np.ndarray, np.ndarray]:
    """The next picture of each → what is said of them."""
    look = engine.look(
        np.stack([person.picture() for person in persons]),
        [person.memory for person in persons],
        np.stack([person.earlier for person in persons]),
        np.array([person.count for person in persons], np.float32),
    )
    for person, features, memory in zip(persons, look.features, look.memories, strict=True):
        person.memory, person.count = memory, person.count + 1
        person.earlier = person.earlier + features
    return look.answers, look.names


@pytest.mark.parametrize("graph", ["real", "taught"])
def test_both_engines_say_the_same_of_a_real_network(
    graph: str, tiny_folder: Path, graphs: Path, tmp_path: Path
) -> None:
    folder, said = with_actor(tiny_folder, tmp_path / graph, graphs / f"{graph}.onnx"), []
    for name in ENGINES:
        engine = make_actor_engine(folder, "cpu", engine=name, threads=1)
        persons = [Followed(engine, seed, engine.picture_size) for seed in range(3)]
        said.append([show(engine, persons) for _ in range(6)])
        engine.close()
    for (answers, names), (expected_answers, expected_names) in zip(*said, strict=True):
        np.testing.assert_allclose(answers, expected_answers, atol=1e-4)
        np.testing.assert_allclose(names, expected_names, atol=1e-4)
    first, last = said[0][0][0], said[0][-1][0]
    assert np.abs(first - last).max() > 0.01, "nothing is compared: it says the same whatever it sees"
    assert np.abs(last[0] - last[1]).max() > 0.01


@pytest.mark.parametrize("engine_name", ENGINES)
def test_who_comes_and_goes_changes_nothing_for_the_others(real: Path, engine_name: Any) -> None:
    engine = make_actor_engine(real, "cpu", engine=engine_name, threads=1)
    alone = []
    for seed in range(3):
        person = Followed(engine, seed, engine.picture_size)
        alone.append([show(engine, [person])[0][0] for _ in range(4)])
    a, b, c = (Followed(engine, seed, engine.picture_size) for seed in range(3))
    for group in ([a, b], [a, b], [b], [c, a, b], [a, c], [c]):
        seen = [person.count for person in group]
        answers, _ = show(engine, group)
        for person, count, answer in zip(group, seen, answers, strict=True):
            np.testing.assert_allclose(answer, alone[[a, b, c].index(person)][count], atol=1e-4)
    engine.close()


def test_the_graphs_memory_is_carried_from_look_to_look(tiny: Path) -> None:
    engine = make_actor_engine(tiny, "cpu", threads=1, at_once=2)
    assert (engine.picture_size, engine.n_features) == (TINY_SIDE, TINY_FEATURES)
    person, before, total = Followed(engine, 0, TINY_SIDE), 0.0, np.zeros(2)
    for n in range(5):
        brightness = Followed(engine, 0, TINY_SIDE)
        pictures = [brightness.picture() for _ in range(n + 1)]
        bright = pictures[-1].mean() / 255
        answers, names = show(engine, [person])
        total += (bright, abs(bright - before))
        before = bright
        logits = total / (n + 1) @ to_answers(len(LABELS) + 2)
        np.testing.assert_allclose(answers[0], np.exp(logits) / np.exp(logits).sum(), atol=1e-5)
        assert names.shape == (1, 600)
    engine.close()


def complaint(folder: Path, **options: Any) -> str:
    with pytest.raises(UserError) as caught:
        make_actor_engine(folder, "cpu", **options)
    assert "\n" not in str(caught.value)
    return str(caught.value)


def rewrite(folder: Path, **changes: Any) -> None:
    card = json.loads((folder / "card.json").read_text())
    card["actor"].update(changes)
    card["files"]["actor.onnx"] = file_hash(folder / "actor.onnx")
    (folder / "card.json").write_text(json.dumps(card))


@pytest.mark.parametrize("engine_name", ENGINES)
def test_a_model_without_the_stream_that_is_asked_for(tiny_folder: Path, engine_name: str) -> None:
    assert "has no actor stream; set actor_stream to false" in complaint(tiny_folder, engine=engine_name)


def test_a_missing_graph(tiny: Path) -> None:
    (tiny / "actor.onnx").unlink()
    assert "'actor.onnx' is missing" in complaint(tiny)


def test_a_damaged_graph(tiny: Path) -> None:
    content = bytearray((tiny / "actor.onnx").read_bytes())
    content[len(content) // 2] ^= 1
    (tiny / "actor.onnx").write_bytes(content)
    assert "actor.onnx: damaged or changed" in complaint(tiny)


def test_a_graph_of_another_kind(tiny: Path) -> None:
    shutil.copyfile(tiny / "detect.onnx", tiny / "actor.onnx")
    rewrite(tiny)
    assert "not a graph of this package's actor stream" in complaint(tiny)


def test_a_graph_of_other_pictures(tiny: Path) -> None:
    rewrite(tiny, picture_size=172)
    assert "'pictures' is [8, 8, 3]" in complaint(tiny)


def test_a_graph_of_other_names(tiny: Path) -> None:
    rewrite(tiny, n_names=400)
    assert "'names' is [600]" in complaint(tiny)


def test_weights_of_another_network(tiny: Path) -> None:
    assert "the graph holds no weight 'network.stem.weight'" in complaint(tiny, engine="torch")


def test_the_stream_runs_in_8_bits_only_where_it_has_such_a_form(tiny: Path) -> None:
    engine = make_actor_engine(tiny, "cpu", precision="int8", threads=1)
    assert engine.precision == "fp32"
    shutil.copyfile(tiny / "actor.onnx", tiny / "actor.int8.onnx")
    card = json.loads((tiny / "card.json").read_text())
    card["actor"]["int8"] = {"calibration": "jhmdb21:1"}
    card["files"]["actor.int8.onnx"] = file_hash(tiny / "actor.int8.onnx")
    (tiny / "card.json").write_text(json.dumps(card))
    assert make_actor_engine(tiny, "cpu", precision="int8", threads=1).precision == "int8"
    assert make_actor_engine(tiny, "cpu", precision="fp32", threads=1).precision == "fp32"


def test_with_the_stream_tubes_may_be_called_other(tiny: Path, tiny_folder: Path) -> None:
    card = read_card(tiny)
    assert (card.actions, card.labels) == (LABELS, (*LABELS, "other"))
    without = read_card(tiny_folder)
    assert (without.actions, without.labels) == (LABELS, LABELS)


@pytest.mark.parametrize(
    ("changes", "says"),
    [
        ({"answers": [*LABELS, "other"]}, "actor.answers: must be the actions"),
        ({"answers": [*LABELS, "other", "nobody", "swim"]}, "actor.answers: must be the actions"),
        ({"rule": {"w_light": 0.5, "w_taught": 0.5, "w_names": 0.5, "temperature": 1, "other": 0}}, "must sum to 1"),
        ({"rule": {"w_light": 0.5, "w_taught": 0.3, "w_names": 0.2, "temperature": 0, "other": 0}}, "temperature"),
        ({"colour": "red"}, "actor.colour"),
    ],
)
def test_a_card_with_a_wrong_field_is_named_with_it(tiny: Path, changes: Any, says: str) -> None:
    rewrite(tiny, **changes)
    with pytest.raises(UserError, match=says):
        read_card(tiny)


def test_a_card_that_does_not_name_the_graph(tiny: Path) -> None:
    card = json.loads((tiny / "card.json").read_text())
    del card["files"]["actor.onnx"]
    (tiny / "card.json").write_text(json.dumps(card))
    with pytest.raises(UserError, match=r"'actor.onnx' is missing"):
        read_card(tiny)
