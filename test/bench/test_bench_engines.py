"""The benchmarks' output is whole: every way to run the model, ratios, a picture. How fast is not the tests' affair."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import cv2
import numpy as np
import pytest
from click.testing import CliRunner
from tiny import scene

from amtnet_ros.bench import engines as bench_engines
from amtnet_ros.cli.bench import bench
from amtnet_ros.deploy.quantise import quantise_model
from amtnet_ros.flow.contract import to_working_size


@pytest.fixture
def folder(tiny_folder: Path, tmp_path: Path) -> Path:
    """A tiny model with an int8 form."""
    copy = Path(shutil.copytree(tiny_folder, tmp_path / "model"))
    frame, stack = scene(1)
    quantise_model(copy, [{"rgb": to_working_size(frame.image, (128, 128))[None], "flow": stack[None]}], "noise")
    return copy


def run(*arguments: str) -> dict:
    result = CliRunner().invoke(bench, list(arguments), catch_exceptions=False)
    assert result.exit_code == 0, result.output
    return json.loads(result.stdout)


def test_all_engines_are_set_against_the_published_way(folder: Path, tmp_path: Path) -> None:
    picture = tmp_path / "bars.png"
    found = run(
        "engines", "--model", str(folder), "--threads", "1", "--pairs", "3", "--picture", str(picture), "--json"
    )
    names = [(row["engine"], row["precision"]) for row in found["engines"]]
    assert names == [
        ("as released", "fp32"),
        ("unsplit", "fp32"),
        ("onnxruntime", "fp32"),
        ("onnxruntime", "int8"),
        ("torch", "fp32"),
    ]
    released = found["engines"][0]["milliseconds_a_pair"]["median"]
    for row in found["engines"]:
        times = row["milliseconds_a_pair"]
        assert 0 < times["median"] <= times["p95"] <= times["p99"]
        assert row["times_as_fast_as_as_released"] == pytest.approx(released / times["median"], rel=0.05, abs=0.01)
    image = cv2.imread(str(picture))
    assert image is not None
    assert np.unique(image.reshape(-1, 3), axis=0).shape[0] > 10


def test_without_torch_the_published_way_is_left_out_and_that_is_said(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(bench_engines, "find_spec", lambda name: None if name == "torch" else object())
    arguments = ["engines", "--model", str(folder), "--threads", "1", "--pairs", "3"]
    result = CliRunner().invoke(bench, arguments, catch_exceptions=False)
    assert "torch is not installed" in result.stderr
    assert "onnxruntime" in result.stdout
    assert "as released" not in result.stdout


def test_the_pipeline_is_timed_with_the_image_resized_where_it_is_told(folder: Path) -> None:
    found = run("pipeline", "--model", str(folder), "--threads", "1", "--frames", "10", "--resize", "device", "--json")
    assert found["resize"] == "device"
    assert set(found["milliseconds"]) == {"flow", "encode", "detect", "link", "look", "whole"}
    assert 0 < found["milliseconds"]["encode"]["median"] < found["milliseconds"]["whole"]["median"]


def test_cameras_share_the_engine(folder: Path) -> None:
    found = run("cameras", "--model", str(folder), "--cameras", "1", "--cameras", "3", "--frames", "5", "--json")
    assert [row["cameras"] for row in found["cameras"]] == [1, 3]
    assert found["cameras"][0]["frames_a_batch"] == 1
    for row in found["cameras"]:
        together = row["cameras"] * row["frames_per_second_of_each"]
        assert row["frames_per_second_together"] == pytest.approx(together, rel=0.05)
