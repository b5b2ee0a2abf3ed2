"""Everything that can be wrong with a model folder gives one clear line."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from amtnet_ros.deploy.folder import record_accuracy
from amtnet_ros.errors import UserError
from amtnet_ros.inference.card import find_model, read_card
from amtnet_ros.inference.factory import make_engine
from amtnet_ros.inference.graph_file import file_hash


@pytest.fixture
def folder(tiny_folder: Path, tmp_path: Path) -> Path:
    """A copy that a test may spoil."""
    return Path(shutil.copytree(tiny_folder, tmp_path / "model"))


def rewrite(folder: Path, change: Callable[[dict[str, Any]], object]) -> None:
    content = json.loads((folder / "card.json").read_text())
    change(content)
    (folder / "card.json").write_text(json.dumps(content))


def complaint(folder: Path, use: Callable[[Path], object] = read_card) -> str:
    with pytest.raises(UserError) as caught:
        use(folder)
    message = str(caught.value)
    assert "\n" not in message
    return message


def test_a_whole_folder_is_read(tiny_folder: Path) -> None:
    card = read_card(tiny_folder)
    assert card.labels == ("jump", "run", "walk")
    assert (card.streams, card.fusion, card.image_size, card.delta, card.opset) == (("rgb", "flow"), "sum", 128, 1, 18)
    assert (card.training.dataset, card.training.split, card.training.seed) == ("jhmdb21", 2, 7)
    assert card.flow is not None
    assert (card.flow.engine, card.flow.placement, card.flow.length) == ("dis:medium", "past", 5)
    assert set(card.files) == {"encode.onnx", "detect.onnx"}


def test_a_retired_key_is_ignored_unless_it_says_something(folder: Path) -> None:
    rewrite(folder, lambda content: content.update(motion_trunk=None))
    assert read_card(folder).trunk == "tiny"
    rewrite(folder, lambda content: content.update(motion_trunk="mobilenet_v2"))
    assert "two kinds of trunks" in complaint(folder)


def test_a_missing_folder(tmp_path: Path) -> None:
    assert str(tmp_path / "nothing") in complaint(tmp_path / "nothing")


def test_a_folder_without_a_card(tmp_path: Path) -> None:
    assert "no card.json" in complaint(tmp_path)


@pytest.mark.parametrize(
    ("content", "says"),
    [("{", "not JSON"), ("[]", "keys and values"), (b"\xff\xfe\x00", "not a text file"), ('{"format": 9}', "format 9")],
)
def test_a_card_that_is_no_card(folder: Path, content: str | bytes, says: str) -> None:
    (folder / "card.json").write_bytes(content if isinstance(content, bytes) else content.encode())
    assert says in complaint(folder)


@pytest.mark.parametrize(
    ("change", "says"),
    [
        (lambda c: c.update(colour="red"), "colour"),
        (lambda c: c.pop("labels"), "labels"),
        (lambda c: c.update(labels=["a", "a", "b"]), "'a' stands there twice"),
        (lambda c: c.update(labels=[]), "at least one"),
        (lambda c: c.update(streams=["flow", "rgb"]), "in this order"),
        (lambda c: c.update(flow=None), "needed with a motion stream"),
        (lambda c: c["flow"].update(placement="future"), "flow.placement"),
        (lambda c: c["flow"].update(working_size=[8, 8]), "at least 16x16"),
        (lambda c: c["normalisation"].pop("rgb"), "normalisation"),
        (lambda c: c.update(delta=0), "delta"),
        (lambda c: c.update(rate=-1), "rate"),
        (lambda c: c["files"].pop("detect.onnx"), "'detect.onnx' is missing"),
        (lambda c: c["files"].update({"../x": "0" * 64}), "not a plain file name"),
    ],
)
def test_a_card_with_a_wrong_field_is_named_with_it(folder: Path, change: Any, says: str) -> None:
    rewrite(folder, change)
    message = complaint(folder)
    assert says in message
    assert str(folder / "card.json") in message


def test_a_missing_graph(folder: Path) -> None:
    (folder / "encode.onnx").unlink()
    assert "'encode.onnx' is missing" in complaint(folder)


def test_a_graph_with_one_bit_flipped(folder: Path) -> None:
    data = bytearray((folder / "encode.onnx").read_bytes())
    data[len(data) // 2] ^= 1
    (folder / "encode.onnx").write_bytes(data)
    assert "damaged or changed" in complaint(folder)


def make(folder: Path) -> object:
    return make_engine(folder, "cpu", threads=1)


def test_a_graph_that_is_no_graph(folder: Path) -> None:
    (folder / "detect.onnx").write_bytes(b"not a graph")
    rewrite(folder, lambda c: c["files"].update({"detect.onnx": file_hash(folder / "detect.onnx")}))
    message = complaint(folder, make)
    assert "detect.onnx" in message
    assert "cannot load" in message


def test_a_graph_of_another_kind(folder: Path) -> None:
    shutil.copyfile(folder / "detect.onnx", folder / "encode.onnx")
    rewrite(folder, lambda c: c["files"].update({"encode.onnx": file_hash(folder / "encode.onnx")}))
    assert "streams" in complaint(folder, make)


@pytest.mark.parametrize(
    ("change", "says"),
    [
        (lambda c: c.update(labels=["a", "b"]), "2 labels"),
        (lambda c: c.update(image_size=160), "[160, 160, 3]"),
        (lambda c: c["flow"].update(length=3), "[128, 128, 9]"),
        (lambda c: (c.update(streams=["rgb"], flow=None), c["normalisation"].pop("flow")), "streams"),
    ],
)
def test_a_card_that_contradicts_its_graph(folder: Path, change: Any, says: str) -> None:
    rewrite(folder, change)
    assert says in complaint(folder, make)


def test_a_graph_of_other_priors(folder: Path, tmp_path: Path) -> None:
    import numpy as np
    import onnx

    from amtnet_ros.deploy.detect_graph import make_detect_graph

    onnx.save(make_detect_graph(np.full((50, 4), 0.5, np.float32), 3, 18), folder / "detect.onnx")
    rewrite(folder, lambda c: c["files"].update({"detect.onnx": file_hash(folder / "detect.onnx")}))
    assert "priors" in complaint(folder, make)


def test_models_are_found_by_path_and_by_installed_name(
    tiny_folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    models = tmp_path / "share" / "amtnet_ros" / "models"
    shutil.copytree(tiny_folder, models / "tiny-one")
    monkeypatch.setenv("AMENT_PREFIX_PATH", f"/nowhere:{tmp_path}")
    assert find_model("tiny-one") == models / "tiny-one"
    assert find_model(str(tiny_folder)) == tiny_folder
    message = complaint(Path("tiny-two"), find_model)
    assert "tiny-two" in message
    assert "tiny-one" in message, "the message should name the models there are"
    assert "is a file" in complaint(tiny_folder / "card.json", find_model)


def test_measured_accuracy_is_added_to_the_card(folder: Path) -> None:
    digest = read_card(folder).digest
    record_accuracy(folder, {"video-mAP@0.5 act": 0.5})
    record_accuracy(folder, {"accuracy": 0.7})
    card = read_card(folder)
    assert card.accuracy == {"video-mAP@0.5 act": 0.5, "accuracy": 0.7}
    assert card.digest == digest, "the digest names the graphs, not what is known of them"
