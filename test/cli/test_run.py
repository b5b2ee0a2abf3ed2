"""`amtnet run` and `amtnet models`, on a model that knows bright from dark."""

from __future__ import annotations

import json
import os
import resource
import signal
import subprocess
import sys
import time
from pathlib import Path

import av
import cv2
import numpy as np
import pytest
from broken_pictures import KINDS
from click.testing import CliRunner
from clips import camera_in_a_pipe, write_clip
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


ROOT = Path(__file__).resolve().parents[2]


def amtnet_process(*arguments: object, file_size: int = 0, **options: object) -> subprocess.Popen[str]:
    """`amtnet ARGUMENTS` as a process. file_size: bytes that a file may have; 0: any."""

    def limit() -> None:
        resource.setrlimit(resource.RLIMIT_FSIZE, (file_size, file_size))

    variables = options.pop("env", {})
    assert isinstance(variables, dict)
    return subprocess.Popen(
        [sys.executable, "-m", "amtnet_ros.cli.main", *map(str, arguments)],
        env={**os.environ, "PYTHONPATH": str(ROOT), **variables},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        errors="surrogateescape",
        preexec_fn=limit if file_size else None,
        **options,  # type: ignore[call-overload]
    )


def test_bad_images_in_a_folder_cost_themselves(model: Path, tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    source = bright_then_dark(tmp_path / "images", (30, 0))
    for number, suffix in enumerate((".png", ".bmp", ".tiff", ".jpg", ".webp"), start=12):
        (source / f"{number}.png").unlink()
        (source / f"{number}{suffix}").write_bytes(KINDS[suffix](60_000, 60_000))
    (source / "._1.jpg").write_bytes(b"\0\5\26\7")
    done = CliRunner().invoke(amtnet, ["run", str(source), "--model", str(model), "-o", str(tmp_path / "o.mp4")])
    assert done.exit_code == 0
    said = done.stderr + capfd.readouterr().err
    assert f"{source}: 5 of 30 images cannot be read and were left out, first 12.png" in said
    (line,) = (tmp_path / "o.jsonl").read_text().splitlines()
    stamps = [box["stamp"] for box in json.loads(line)["boxes"] if not box["interpolated"]]
    read = [number for number in range(30) if not 12 <= number < 17]
    assert stamps == [round(number / 30 * 1e9) for number in read]


def test_a_hole_of_five_seconds_in_a_video_ends_its_tubes(
    model: Path, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    times = [*np.arange(30) / 30, *(6 + np.arange(30) / 30)]
    clip = write_clip(tmp_path / "clip.webm", "libvpx", 60, times, rate=1000)
    run(capfd, clip, "--model", model, "-o", tmp_path / "o.mp4", "--threshold", "0.01", "--link-start-score", "0.01")
    tubes = [json.loads(line) for line in (tmp_path / "o.jsonl").read_text().splitlines()]
    spans = sorted((tube["start"] / 1e9, tube["end"] / 1e9) for tube in tubes)
    assert spans[0][0] == 0.0
    assert spans[-1][1] == pytest.approx(6 + 29 / 30, abs=0.002)
    assert all(end < 1 or start >= 6 for start, end in spans)
    with av.open(str(tmp_path / "o.mp4")) as container:
        shown = [frame.time for frame in container.decode(video=0)]
    np.testing.assert_allclose(shown, times, atol=0.002)


@pytest.mark.parametrize("option", ["", "-o", "--tubes"])
def test_the_input_is_never_overwritten(
    model: Path, tmp_path: Path, option: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    clip = write_clip(tmp_path / "tubes.mp4", count=5)
    before = clip.read_bytes()
    (tmp_path / "hard.mp4").hardlink_to(clip)
    for output in ("tubes.mp4", "./tubes.mp4", "hard.mp4"):
        arguments = ["run", str(clip), "--model", str(model), *([option, output] if option else [])]
        with pytest.raises(UserError, match=r"would overwrite .*tubes\.mp4, which is the same file"):
            CliRunner().invoke(amtnet, arguments, catch_exceptions=False)
    assert clip.read_bytes() == before
    assert sorted(path.name for path in tmp_path.iterdir()) == ["hard.mp4", "tubes.mp4"]


def test_a_full_disk_is_one_line_and_what_was_found_is_there(model: Path, tmp_path: Path) -> None:
    source = tmp_path / "images"
    source.mkdir()
    for number in range(60):  # of noise, a long video; the tubes' file is short
        noise = np.random.default_rng(number).integers(160, 256, (144, 192, 3), dtype=np.uint8)
        cv2.imwrite(str(source / f"{number}.png"), noise)
    out = tmp_path / "out"
    out.mkdir()
    arguments = ("run", source, "--model", model, "-o", out / "o.mp4", "--device", "cpu", "--no-end-at-cuts")
    process = amtnet_process(*arguments, file_size=30_000)
    said, errors = process.communicate(timeout=120)
    assert process.returncode == 2
    assert [line for line in errors.splitlines() if "cannot be written" in line] == [
        f"{out / 'o.mp4'}: cannot be written (file too large); the video is given up, the tubes go on"
    ]
    assert "Traceback" not in errors
    assert [path.name for path in out.iterdir()] == ["o.jsonl"]
    assert json.loads((out / "o.jsonl").read_text())["confirmed"]
    assert f"Tubes: {out / 'o.jsonl'}" in said


@pytest.mark.parametrize("signals", [(signal.SIGHUP,), (signal.SIGINT, signal.SIGTERM, signal.SIGTERM)])
def test_whatever_ends_it_what_was_found_is_written(model: Path, tmp_path: Path, signals: tuple[int, ...]) -> None:
    camera, out = tmp_path / "camera.ts", tmp_path / "out"
    with camera_in_a_pipe(camera, lambda _: np.full((64, 96, 3), 250, np.uint8)):
        process = amtnet_process("run", camera, "--model", model, "-o", out / "o.mp4", "--device", "cpu", "--events")
        assert process.stdout is not None
        assert "bright begins" in process.stdout.readline()
        time.sleep(0.5)
        for number in signals:
            process.send_signal(number)
            time.sleep(0.02)
        said, errors = process.communicate(timeout=120)
    assert "interrupted: writing what was found so far" in errors
    assert "Traceback" not in errors
    assert f"Video: {out / 'o.mp4'}" in said
    assert sorted(path.name for path in out.iterdir()) == ["o.jsonl", "o.mp4"]
    (line,) = (out / "o.jsonl").read_text().splitlines()
    assert json.loads(line)["class_name"] == "bright"
    with av.open(str(out / "o.mp4")) as container:
        assert sum(1 for _ in container.decode(video=0)) > 5


def test_that_nobody_reads_what_it_says_costs_nothing_that_it_finds(model: Path, tmp_path: Path) -> None:
    source = bright_then_dark(tmp_path / "images", (30, 0))
    process = amtnet_process("run", source, "--model", model, "-o", tmp_path / "o.mp4", "--device", "cpu", "--events")
    for stream in (process.stdout, process.stderr):
        assert stream is not None
        stream.close()
    assert process.wait(120) == 0
    assert json.loads((tmp_path / "o.jsonl").read_text())["class_name"] == "bright"
    assert (tmp_path / "o.mp4").exists()


def test_output_that_the_disk_has_no_room_for_is_said() -> None:
    with open("/dev/full", "w") as full:
        process = subprocess.run(
            [sys.executable, "-m", "amtnet_ros.cli.main", "models"], stdout=full, stderr=subprocess.PIPE, text=True
        )
    assert (process.returncode, process.stderr) == (1, "standard output cannot be written (no space left on device)\n")


def test_names_and_terminals_that_are_not_utf8(model: Path, tmp_path: Path) -> None:
    name = os.fsdecode(b"caf\xe9")
    source = bright_then_dark(tmp_path / "images", (20, 0)).rename(tmp_path / name)  # OpenCV cannot write there
    moved = model.rename(tmp_path / f"{name}.model")
    try:
        arguments = ("run", source, "--model", moved, "-o", tmp_path / f"{name}.mp4", "--events")
        process = amtnet_process(*arguments, env={"PYTHONIOENCODING": "ascii", "LANG": "C", "LC_ALL": "C"})
        said, errors = process.communicate(timeout=120)
    finally:
        moved.rename(model)
    assert process.returncode == 0, errors
    assert "Traceback" not in errors
    assert "Action tubes" in said
    assert f"Video: {tmp_path}/caf?.mp4" in said
    assert (tmp_path / f"{name}.jsonl").exists()
