"""The player as a camera: what it publishes, when, and what it says when it cannot."""

from __future__ import annotations

import signal
import time
from pathlib import Path

import cv2
import numpy as np
import pytest
from sensor_msgs.msg import CompressedImage, Image
from stage import Stage, wait_until

from amtnet_ros.media.video import VideoWriter
from amtnet_ros.ros.conversions import rgb_from_compressed, rgb_from_image
from amtnet_ros.ros.messages import nanoseconds

RATE = 20.0
COUNT = 12


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Images whose grey value tells their number; names whose alphabetical order is wrong."""
    made = tmp_path / "images"
    made.mkdir()
    for number in range(COUNT):
        cv2.imwrite(str(made / f"shot{number}.png"), np.full((48, 64, 3), 20 * number, dtype=np.uint8))
    return made


def numbers(images: list[Image]) -> list[int]:
    return [round(float(rgb_from_image(image).mean()) / 20) for image in images]


def test_a_folder_is_played_in_order_with_stamps_at_the_rate(stage: Stage, folder: Path) -> None:
    heard: list[Image] = []
    stage.node.create_subscription(Image, "/eye", heard.append, 30)
    before = time.time_ns()
    player = stage.run(
        "player", str(folder), "--topic", "/eye", "--rate", str(RATE), "--frame-id", "head", "--wait", "40"
    )
    assert player.wait() == 0, player.output
    wait_until(lambda: len(heard) == COUNT, "all images arrive")
    assert numbers(heard) == list(range(COUNT))
    stamps = np.array([nanoseconds(image.header.stamp) for image in heard])
    assert before < stamps[0] < time.time_ns()
    gaps = np.diff(stamps)
    assert (gaps >= 0.9e9 / RATE).all()
    assert np.median(gaps) == pytest.approx(1e9 / RATE, rel=0.01)
    assert {image.header.frame_id for image in heard} == {"head"}


def test_a_loop_like_that_of_a_bag_starts_its_stamps_anew(stage: Stage, folder: Path) -> None:
    heard: list[Image] = []
    stage.node.create_subscription(Image, "/eye", heard.append, 100)
    player = stage.run(
        "player", str(folder), "--topic", "/eye", "--rate", "60", "--loop", "--stamps", "source", "--wait", "40"
    )
    wait_until(lambda: len(heard) >= 3 * COUNT, "three rounds arrive")
    assert player.end(signal.SIGINT) == 0
    assert numbers(heard)[: 2 * COUNT] == 2 * list(range(COUNT))
    stamps = [nanoseconds(image.header.stamp) for image in heard]
    assert stamps[:COUNT] == stamps[COUNT : 2 * COUNT] == [round(number / 60 * 1e9) for number in range(COUNT)]


def test_a_video_is_played_compressed_and_resized(stage: Stage, tmp_path: Path) -> None:
    file = tmp_path / "clip.mp4"
    with VideoWriter(file) as writer:
        for number in range(5):
            writer.write(np.full((96, 128, 3), 40 * number, dtype=np.uint8), number / 30)
    heard: list[CompressedImage] = []
    stage.node.create_subscription(CompressedImage, "/eye/compressed", heard.append, 30)
    player = stage.run("player", str(file), "--topic", "/eye", "--width", "64", "--compressed", "--wait", "40")
    assert player.wait() == 0, player.output
    wait_until(lambda: len(heard) == 5, "all images arrive")
    pictures = [rgb_from_compressed(message) for message in heard]
    assert {picture.shape for picture in pictures} == {(48, 64, 3)}
    np.testing.assert_allclose([picture.mean() for picture in pictures], [0, 40, 80, 120, 160], atol=4)


@pytest.mark.parametrize(
    ("name", "content", "words"),
    [
        ("missing.mp4", None, "no such file or folder"),
        ("broken.mp4", b"this is no video", "cannot be read as a video"),
        ("empty.mp4", b"", "cannot be read as a video"),
    ],
)
def test_a_video_that_cannot_be_played_is_named_in_one_line(
    stage: Stage, tmp_path: Path, name: str, content: bytes | None, words: str
) -> None:
    file = tmp_path / name
    if content is not None:
        file.write_bytes(content)
    player = stage.run("player", str(file))
    assert player.wait() == 2
    (line,) = player.output.strip().splitlines()
    assert words in line
    assert str(file) in line


def test_nobody_listening_is_an_error_that_names_the_topic(stage: Stage, folder: Path) -> None:
    player = stage.run("player", str(folder), "--topic", "/eye", "--wait", "1")
    assert player.wait() == 2
    assert "0 of 1 subscribers came to /eye within 1 s" in player.output
