"""`amtnet record` on a topic: a real publisher, a real terminal."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pytest
from stage import Stage
from std_msgs.msg import String
from terminal import Terminal

from amtnet_ros.media.video import VideoWriter, open_source


@pytest.fixture
def record(stage: Stage, tmp_path: Path) -> Iterator[Callable[..., Terminal]]:
    started: list[Terminal] = []

    def start(*arguments: str) -> Terminal:
        started.append(Terminal(tmp_path, *arguments, ROS_DOMAIN_ID=str(stage.domain)))
        return started[-1]

    yield start
    for terminal in started:
        terminal.close()


@pytest.fixture
def film(tmp_path: Path) -> Path:
    with VideoWriter(tmp_path / "film.mp4", 20) as writer:
        for number in range(200):
            writer.write(np.full((48, 64, 3), number, np.uint8), number / 20)
    return tmp_path / "film.mp4"


@pytest.mark.parametrize("compressed", [False, True], ids=["raw", "compressed"])
def test_clips_are_taken_from_a_topic_of_either_kind(
    stage: Stage, record: Callable[..., Terminal], film: Path, tmp_path: Path, compressed: bool
) -> None:
    topic = "/eye/compressed" if compressed else "/eye"
    stage.run(
        "player", str(film), "--topic", "/eye", *(["--compressed"] if compressed else []), "--wait", "60", "--loop"
    )
    terminal = record("clips", "wave", "none", "--topic", topic, "--before", "0.5", "--after", "0.5")
    terminal.wait_for("64x48. Keys:   w wave   n none")
    terminal.press("w")
    terminal.wait_for("wave: 1 taken")
    terminal.press("q")
    assert terminal.wait() == 0, terminal.said
    (file,) = (tmp_path / "clips" / "wave").iterdir()
    levels = [round(float(image.mean())) for image in open_source(str(file))]
    assert len(levels) > 5
    assert np.median(np.diff(levels)) == 1


def test_a_topic_without_images_is_told_with_the_reason(stage: Stage, record: Callable[..., Terminal]) -> None:
    terminal = record("clips", "wave", "--topic", "/eye")
    terminal.wait_for("/eye: nobody publishes it; images are published on /image")
    terminal.press("w")
    terminal.wait_for("wave: not taken, no image has come yet")
    stage.node.create_publisher(String, "/eye", 1)
    terminal.wait_for("/eye: carries std_msgs/msg/String, which is no image")
    terminal.press("\x03")
    assert terminal.wait() == 0
    assert terminal.said.splitlines()[-1] == "Ended. Clips taken: none"


def test_a_name_that_no_topic_can_have_is_refused(record: Callable[..., Terminal]) -> None:
    terminal = record("clips", "wave", "--topic", "a topic")
    assert terminal.wait() == 2
    assert terminal.said.splitlines()[-1].startswith("amtnet: a topic: no name of a topic")
