"""An int8 model is a smaller one with nearly the same answers."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from tiny_models import scene

from amtnet_ros.errors import UserError
from amtnet_ros.flow.engine import to_working_size
from amtnet_ros.inference.card import read_card
from amtnet_ros.inference.engine import make_engine
from amtnet_ros.inference.quantise import quantise_model


def inputs(seed: int) -> dict[str, np.ndarray]:
    frame, stack = scene(seed)
    return {"rgb": to_working_size(frame.image, (128, 128))[None], "flow": stack[None]}


def test_int8_answers_follow_those_of_single_precision(tiny_folder: Path, tmp_path: Path) -> None:
    card = quantise_model(tiny_folder, tmp_path / "int8", (inputs(seed) for seed in range(8)))
    assert (card.precision, card.training.calibration_frames, card.accuracy) == ("int8", 8, {})
    assert read_card(tmp_path / "int8").name == "int8"
    engines = [make_engine(folder, "cpu", threads=1) for folder in (tiny_folder, tmp_path / "int8")]
    for seed in (100, 101):
        single, eight = (engine.encode(*scene(seed)).first.numpy() for engine in engines)
        noise = np.sqrt(np.mean((single - eight) ** 2) / np.var(single))
        assert 0 < noise < 0.1, "relative root mean square error of the shares"


def test_only_single_precision_is_quantised(tiny_folder: Path, tmp_path: Path) -> None:
    quantise_model(tiny_folder, tmp_path / "int8", [inputs(0)])
    with pytest.raises(UserError, match="int8"):
        quantise_model(tmp_path / "int8", tmp_path / "again", [inputs(0)])
    with pytest.raises(UserError, match="torch engine does not run int8"):
        make_engine(tmp_path / "int8", "cpu", engine="torch")
