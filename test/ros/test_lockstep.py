"""The player in lockstep: no image before the last one is answered, and stamps as if it had not waited."""

from __future__ import annotations

import time
from pathlib import Path

import cv2
import numpy as np
import pytest
from sensor_msgs.msg import Image
from stage import Stage

from amtnet_ros.msg import Latency
from amtnet_ros.ros.messages import nanoseconds
from amtnet_ros.ros.qos import PICTURES

COUNT, RATE, DELAY = 10, 50.0, 0.15


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Ten images."""
    made = tmp_path / "images"
    made.mkdir()
    for number in range(COUNT):
        cv2.imwrite(str(made / f"{number}.png"), np.zeros((48, 64, 3), dtype=np.uint8))
    return made


class SlowDetector:
    """Is done with each image after a while, and says so, but for the first; or is no detector, and says nothing."""

    def __init__(self, stage: Stage, answers: bool) -> None:
        self.stamps: list[int] = []
        self.came: list[float] = []
        self.left: list[float] = []
        self._answers = answers
        self._publisher = stage.node.create_publisher(Latency, "detector/latency", PICTURES)
        stage.node.create_subscription(Image, "/eye", self._on_image, COUNT)

    def _on_image(self, image: Image) -> None:
        self.came.append(time.monotonic())
        self.stamps.append(nanoseconds(image.header.stamp))
        if not self._answers:
            return
        time.sleep(DELAY)
        self.left.append(time.monotonic())
        if len(self.stamps) > 1:
            self._publisher.publish(Latency(header=image.header))


def play(stage: Stage, folder: Path) -> None:
    player = stage.run("player", str(folder), "--topic", "/eye", "--rate", str(RATE), "--lockstep", "--wait", "40")
    assert player.wait() == 0, player.output


def test_a_slow_detector_misses_no_image_and_sees_the_pace_of_the_source(stage: Stage, folder: Path) -> None:
    detector = SlowDetector(stage, answers=True)
    play(stage, folder)
    assert len(detector.stamps) == COUNT
    assert np.diff(detector.stamps).tolist() == [round(1e9 / RATE)] * (COUNT - 1)
    # From the third image on, each came after the answer to the one before.
    assert all(later > earlier for earlier, later in zip(detector.left[1:], detector.came[2:], strict=False))


def test_without_answers_the_source_is_still_played_to_its_end(stage: Stage, folder: Path) -> None:
    detector = SlowDetector(stage, answers=False)
    play(stage, folder)
    assert len(detector.stamps) == COUNT
