"""`amtnet run` and `amtnet models`, on a model that knows bright from dark."""

from __future__ import annotations

import json
from pathlib import Path

import cv2
import numpy as np
import pytest
from click.testing import CliRunner
from tiny import make_robot_model

from amtnet_ros.bench.brightness_model import BRIGHTNESS_LABELS
from amtnet_ros.cli.commands import amtnet
from amtnet_ros.errors import UserError


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_robot_model(tmp_path_factory.mktemp("models") / "tiny")


def bright_then_dark(folder: Path, counts: tuple[int, int]) -> Path:
    """A folder of images, so many bright ones, then so many dark ones, 30 to the second."""
    folder.mkdir()
    levels = [250] * counts[0] + [0] * counts[1]
    for number, level in enumerate(levels):
        cv2.imwrite(str(folder / f"{number}.png"), np.full((48, 64, 3), level, np.uint8))
    return folder


def run(capfd: pytest.CaptureFixture[str], *arguments: object) -> list[str]:
    """Its lines on stdout."""
    done = CliRunner().invoke(amtnet, ["run", *map(str, arguments), "--device", "cpu"], catch_exceptions=False)
    assert done.exit_code == 0
    return [*capfd.readouterr().out.splitlines(), *done.stdout.splitlines()]


def test_it_says_when_actions_begin_and_end_and_where_it_wrote(
    model: Path, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    source = bright_then_dark(tmp_path / "images", (30, 30))
    out = tmp_path / "drawn.mp4"
    said = run(capfd, source, "--model", model, "--out", out, "--events")
    events = [line.split(maxsplit=5) for line in said if " s  #" in line]
    assert [(event[2], event[3], event[4]) for event in events[:3]] == [
        ("#1", "bright", "begins"),
        ("#1", "bright", "ends"),
        ("#1", "dark", "begins"),
    ]
    assert (events[-1][3], events[-1][4]) == ("dark", "ends")
    assert said[-2:] == [f"Tubes: {tmp_path / 'drawn.jsonl'}", f"Video: {out}"]
    (line,) = (tmp_path / "drawn.jsonl").read_text().splitlines()
    assert [label["class_name"] for label in json.loads(line)["labels"] if label["state"] == "ACTIVE"] == [
        "bright",
        "dark",
    ]


def test_a_video_without_tubes_ends_well_and_says_so(
    model: Path, tmp_path: Path, capfd: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    for screen in ("DISPLAY", "WAYLAND_DISPLAY"):
        monkeypatch.delenv(screen, raising=False)
    source = bright_then_dark(tmp_path / "images", (2, 0))  # one pair confirms no tube
    said = run(capfd, source, "--model", model, "--tubes", tmp_path / "t.jsonl", "--no-video", "--view")
    assert any(line.startswith("View: http://127.0.0.1:") for line in said)
    assert f"No action tube was found in {source}: nobody was seen for long enough to be sure." in said
    assert said[-1] == f"Tubes: {tmp_path / 't.jsonl'}"
    assert not (tmp_path / "tubes.mp4").exists()


def test_models_are_listed_with_actions_and_figures_and_a_broken_one_with_the_reason(
    model: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    models = tmp_path / "share" / "amtnet_ros" / "models"
    for name, accuracy in (("good", {"own:1 delta 1 accuracy %": 61.25}), ("bad", {})):
        (models / name).mkdir(parents=True)
        for file in model.iterdir():
            (models / name / file.name).write_bytes(file.read_bytes())
        card = json.loads((model / "card.json").read_text()) | {"accuracy": accuracy}
        (models / name / "card.json").write_text(json.dumps(card))
    (models / "bad" / "detect.onnx").write_bytes(b"cut short")
    monkeypatch.setenv("AMENT_PREFIX_PATH", str(tmp_path))
    said = CliRunner().invoke(amtnet, ["models"], catch_exceptions=False).stdout
    assert f"2 actions: {', '.join(BRIGHTNESS_LABELS)}" in said
    assert "61.2  own:1 delta 1 accuracy %" in said
    assert "cannot be used: " in said
    assert "detect.onnx: damaged or changed" in " ".join(said.split())
    only = CliRunner().invoke(amtnet, ["models", "good"], catch_exceptions=False).stdout
    assert "cannot be used" not in only
    with pytest.raises(UserError, match="no model 'unheard_of'; there are: bad, good"):
        CliRunner().invoke(amtnet, ["models", "unheard_of"], catch_exceptions=False)
