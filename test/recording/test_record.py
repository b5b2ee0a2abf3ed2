"""`amtnet record` by the keys of a terminal, with a video as the camera."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pytest
from terminal import ROOT, Terminal

from amtnet_ros.media.video import VideoWriter, open_source

RATE = 20


@pytest.fixture(scope="module")
def film(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Longer than anything here waits; each image is a little brighter than the one before, white followed by black."""
    return written(tmp_path_factory.mktemp("film") / "film.mp4", 100)


def written(file: Path, seconds: int) -> Path:
    with VideoWriter(file, RATE) as writer:
        for number in range(seconds * RATE):
            writer.write(np.full((48, 64, 3), number % 256, np.uint8), number / RATE)
    return file


@pytest.fixture
def record(tmp_path: Path) -> Iterator[Callable[..., Terminal]]:
    started: list[Terminal] = []

    def start(*arguments: object) -> Terminal:
        started.append(Terminal(tmp_path, *map(str, arguments)))
        return started[-1]

    yield start
    for terminal in started:
        terminal.close()


def files(folder: Path) -> list[str]:
    return sorted(str(path.relative_to(folder)) for path in folder.rglob("*") if path.is_file())


def test_a_key_takes_what_was_before_it_and_comes_after_it(
    record: Callable[..., Terminal], film: Path, tmp_path: Path
) -> None:
    terminal = record("clips", "wave_to_stop", "none=x", "--source", film, "--before", "1", "--after", "0.5")
    terminal.wait_for("64x48. Keys:   x none   w wave_to_stop   q quits")
    assert "Clips go to clips/ACTION/: 1 s before a key and 0.5 s after it" in terminal.said
    terminal.press("w")
    terminal.wait_for("wave_to_stop: 1 taken")
    terminal.press("\x1b[A?")  # an arrow key says nothing
    terminal.press("x")
    terminal.wait_for("none: 1 taken")
    terminal.press("q")
    assert terminal.wait() == 0
    assert terminal.said.splitlines()[-1] == "Ended. Clips taken: none 1, wave_to_stop 1"
    assert terminal.settings == terminal.before
    clips = files(tmp_path / "clips")
    assert [Path(clip).parent.name for clip in clips] == ["none", "wave_to_stop"]
    levels = [round(float(image.mean())) for image in open_source(str(tmp_path / "clips" / clips[0]))]
    assert len(levels) > 0.5 * RATE + 5, "it reaches back"
    steps = (np.diff(levels) + 128) % 256 - 128
    assert (steps >= 0).all(), "in order"
    assert abs(steps.sum() - len(steps)) <= 3, "none is missing; H.264 rounds the levels"


def test_ctrl_c_ends_it_well_and_keeps_whole_clips_only(
    record: Callable[..., Terminal], film: Path, tmp_path: Path
) -> None:
    terminal = record("clips", "wave", "--source", film, "--after", "8")
    terminal.wait_for("Keys:")
    terminal.press("w")
    terminal.wait_for("wave …")
    terminal.press("\x03")
    assert terminal.wait() == 0
    assert "wave: not kept, it was not over yet\nEnded. Clips taken: none" in terminal.said
    assert terminal.settings == terminal.before
    assert files(tmp_path / "clips") == []


def test_the_end_of_the_terminal_ends_it_and_complete_clips_are_still_written(
    record: Callable[..., Terminal], film: Path, tmp_path: Path
) -> None:
    terminal = record("clips", "wave", "--source", film, "--before", "0", "--after", "0.2")
    terminal.wait_for("Keys:")
    terminal.press("w")
    terminal.wait_for("wave: 1 taken")
    terminal.press("w")
    terminal.hang_up()
    assert terminal.wait() == 0
    assert len(files(tmp_path / "clips")) == 1


def test_without_a_terminal_it_ends_and_says_so(film: Path, tmp_path: Path) -> None:
    command = [sys.executable, "-m", "amtnet_ros.cli.main", "record", "clips", "wave", "--source", str(film)]
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    done = subprocess.run(
        command, cwd=tmp_path, env=environment, stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=60
    )
    assert (done.returncode, done.stderr) == (0, "")
    assert "No key can come any more; this command wants a terminal\nEnded. Clips taken: none" in done.stdout


def test_a_video_that_is_over_ends_it_and_its_last_clip_is_kept(
    record: Callable[..., Terminal], tmp_path: Path
) -> None:
    terminal = record("clips", "wave", "--source", written(tmp_path / "short.mp4", 3), "--before", "0", "--after", "60")
    terminal.wait_for("Keys:")
    terminal.press("w")
    assert terminal.wait() == 0
    assert "shorter than asked for; wave: 1 taken\nOver. Clips taken: wave 1" in terminal.said
    assert len(files(tmp_path / "clips")) == 1


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (("clips", "wave", "--source", "97"), "/dev/video97: there is no such webcam"),
        (("clips", "wave", "--source", "absent.mp4"), "absent.mp4: no such file or folder"),
        (("clips", "a/b", "--source", "absent.mp4"), "'a/b': no name for an action"),
        (("/proc/clips", "wave", "--source", "film"), "/proc/clips: cannot be written"),
        (("clips", "wave", "--source", "0", "--topic", "/eye"), "give --topic or --source, not both"),
    ],
)
def test_what_is_wrong_is_said_in_one_line(
    record: Callable[..., Terminal], film: Path, tmp_path: Path, arguments: tuple[str, ...], words: str
) -> None:
    terminal = record(*(str(film) if argument == "film" else argument for argument in arguments))
    assert terminal.wait() == 2
    last = terminal.said.splitlines()[-1]
    assert last.startswith("amtnet: ")
    assert words in last
    assert "Traceback" not in terminal.said
    assert not (tmp_path / "clips").exists()
