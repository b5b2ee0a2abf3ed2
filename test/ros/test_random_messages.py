"""Messages changed at random: each is used, or refused in one line, and what comes in between stays right.

AMTNET_MESSAGES says how many, AMTNET_SEED which.
"""

from __future__ import annotations

import os
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from sensor_msgs.msg import CameraInfo, CompressedImage, Image
from std_msgs.msg import Header
from test_conversions import message as image_message
from test_depth import POINTS, WALL, cloud_message, depth_message
from tiny import box_in

from amtnet_ros.bench.bad_messages import compressed, spoilt
from amtnet_ros.contracts import TubeState
from amtnet_ros.errors import UserError
from amtnet_ros.pipeline import Pipeline
from amtnet_ros.ros.camera_info import intrinsics_from_info
from amtnet_ros.ros.conversions import ENCODINGS, image_from_rgb, rgb_from_compressed, rgb_from_image
from amtnet_ros.ros.depth import locator
from amtnet_ros.ros.depth_messages import check_cloud, check_depth
from amtnet_ros.ros.messages import nanoseconds, time_message
from amtnet_ros.ros.worker import Done, Step, Worker

COUNT, SEED = int(os.environ.get("AMTNET_MESSAGES", "10000")), int(os.environ.get("AMTNET_SEED", "0"))
SIZE = (64, 48)
BOX = np.array(box_in(*SIZE), dtype=np.float32)
PICTURE = np.random.default_rng(1).integers(0, 256, (SIZE[1], SIZE[0], 3), dtype=np.uint8)
SMALL = PICTURE[:24, :32]
INFO = CameraInfo(
    width=64, height=48, k=[50.0, 0, 32, 0, 50, 24, 0, 0, 1], p=[50.0, 0, 32, 0, 0, 50, 24, 0, 0, 0, 1, 0]
)
CLOUDS = [cloud_message(POINTS, padding=padding) for padding in (0, 16)]
DEPTHS = [depth_message(encoding, WALL) for encoding in ("16UC1", "32FC1")]
FILES = compressed(SMALL)
IMAGES = [image_message(name, SMALL, padding) for name in ENCODINGS for padding in (0, 3)]

pytestmark = pytest.mark.filterwarnings("error")


def one_of(messages: list[Any], rng: np.random.Generator) -> Any:
    return messages[int(rng.integers(len(messages)))]


def use_image(message: Image, rng: np.random.Generator) -> None:
    assert rgb_from_image(message).shape == (message.height, message.width, 3)


def use_compressed(message: CompressedImage, rng: np.random.Generator) -> None:
    rgb = rgb_from_compressed(message)
    assert (rgb.ndim, rgb.shape[2], rgb.dtype) == (3, 3, np.uint8)


def use_depth(message: Any, rng: np.random.Generator) -> None:
    check_depth(message) if isinstance(message, Image) else check_cloud(message)
    place = locator(message, SIZE, intrinsics_from_info(INFO, SIZE, rectified=False))(BOX)
    if place is not None:
        assert np.isfinite([place.position, place.size]).all()
        assert (place.size >= 0).all()


def use_info(message: CameraInfo, rng: np.random.Generator) -> None:
    intrinsics = intrinsics_from_info(message, SIZE, bool(rng.integers(2)))
    if intrinsics is not None:
        place = locator(DEPTHS[1], SIZE, intrinsics)(BOX)
        assert place is not None
        assert np.isfinite([place.position, place.size]).all()


KINDS: dict[str, tuple[Callable[[np.random.Generator], Any], Callable[[Any, np.random.Generator], None], float]] = {
    "image": (lambda rng: one_of(IMAGES, rng), use_image, 0.35),
    "compressed": (lambda rng: one_of(FILES, rng), use_compressed, 0.25),
    "cloud": (lambda rng: one_of(CLOUDS, rng), use_depth, 0.15),
    "depth": (lambda rng: one_of(DEPTHS, rng), use_depth, 0.1),
    "info": (lambda rng: INFO, use_info, 0.15),
}
"""What a good one is, what is done with it, and its share of all."""


def why_not(use: Callable[[Any, np.random.Generator], None], message: Any, rng: np.random.Generator) -> str | None:
    """Why a message cannot be used, or None."""
    try:
        use(message, rng)
    except UserError as error:
        return str(error)
    return None


@pytest.mark.parametrize("kind", KINDS)
def test_a_message_is_used_or_refused_in_one_line(kind: str) -> None:
    make, use, share = KINDS[kind]
    rng = np.random.default_rng(SEED)
    refusals = [
        reason for _ in range(round(share * COUNT)) if (reason := why_not(use, spoilt(make(rng), rng), rng)) is not None
    ]
    assert all(reason.isprintable() for reason in refusals)
    assert max(map(len, refusals)) < 600
    assert 0.1 < len(refusals) / (share * COUNT) < 0.9, "the changes are neither all harmless nor all fatal"


class Listener:
    """Notes what comes of each image, and lets the test wait for it."""

    wants_images = False

    def __init__(self) -> None:
        self.steps: list[Step] = []
        self.refused: list[str] = []
        self.defects: list[Exception] = []
        self.heard = threading.Semaphore(0)

    def on_step(self, step: Step) -> None:
        self.steps.append(step)

    def on_done(self, done: Done) -> None:
        self.heard.release()

    def on_refused(self, error: UserError) -> None:
        self.refused.append(str(error))
        self.heard.release()

    def on_defect(self, error: Exception) -> None:
        self.defects.append(error)
        self.heard.release()


@pytest.mark.parametrize("good", [False, True], ids=["refused", "used"])
def test_a_worker_lives_and_images_in_between_are_answered_aright(tiny_model: Path, good: bool) -> None:
    """good: whether the changed images are of use. Those that are not cost no tube of the good ones between them."""
    rng, listener, stamp = np.random.default_rng(SEED), Listener(), 1_700_000_000_000_000_000
    worker = Worker(Pipeline.from_model(tiny_model, "cpu"), listener, image_timeout=600.0)
    worker.start()
    white = np.full((SIZE[1], SIZE[0], 3), 250, dtype=np.uint8)
    try:
        for number in range(COUNT // 10):
            stamp += 33_333_333
            if number % 4:
                message = spoilt(one_of(FILES if number % 2 else IMAGES, rng), rng)
                use = use_image if isinstance(message, Image) else use_compressed
                if (why_not(use, message, rng) is None) != good:
                    continue
                message.header = Header(stamp=time_message(stamp))
            else:
                message = image_from_rgb(white, Header(stamp=time_message(stamp), frame_id="eye"))
            worker.submit(message, 0.0)
            assert listener.heard.acquire(timeout=60), "the worker says nothing any more"
        assert not worker.dead
    finally:
        worker.stop()
    assert listener.defects == []
    assert all(line.isprintable() for line in listener.refused)
    tubes = [(step, tube) for step in listener.steps for tube in step.update.tubes]
    assert len(tubes) > COUNT // 100
    for step, tube in tubes:
        if step.update.image_size == SIZE and not good:
            assert (step.header.frame_id, nanoseconds(step.header.stamp)) == ("eye", step.update.stamp)
            np.testing.assert_allclose(tube.boxes, np.broadcast_to(BOX, tube.boxes.shape), atol=0.01)
    if not good:
        assert len(listener.refused) > COUNT // 50
        assert {tube.id for _, tube in tubes} == {tubes[0][1].id}, "one person, from first to last"
        assert [tube.state for _, tube in tubes].count(TubeState.ENDED) == 1
