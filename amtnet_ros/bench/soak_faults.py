"""What goes wrong on a robot, each as a function that does it and says where the detector broke a promise."""

from __future__ import annotations

import resource
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from lifecycle_msgs.msg import Transition
from sensor_msgs.msg import Image
from vision_msgs.msg import Detection2DArray
from visualization_msgs.msg import MarkerArray

from amtnet_ros.bench.bad_messages import spoilt
from amtnet_ros.bench.soak_robot import IMAGE_TIMEOUT, INTERVAL, PATIENCE, BrokenPromiseError, Robot
from amtnet_ros.errors import UserError
from amtnet_ros.files import PARTIAL
from amtnet_ros.ros.conversions import rgb_from_image
from amtnet_ros.ros.messages import nanoseconds, time_message
from amtnet_ros.ros.qos import PICTURES, RESULTS

SECOND = 1_000_000_000
SIZES = ((160, 120), (128, 96), (97, 61), (320, 240))
_SETTLED = 45  # images after which a scene that stands still has the tubes that it keeps
_GUEST = "guest"
_NOT_ALLOWED: tuple[dict[str, Any], ...] = (
    {"score_threshold": 2.0},
    {"link.mode": "magic"},
    {"classes": ["nobody knows"]},
    {"max_per_class": -1},
    {"image_timeout": float("nan")},
)
_DISK = 16_384  # bytes that fit on a disk that is full soon after


def stall(robot: Robot) -> None:
    """The camera is silent: all tubes end, and later ones belong to the same session."""
    live, session = set(robot.ledger.live), robot.ledger.session
    robot.wait_for(lambda: not live & robot.ledger.live, f"{len(live)} tubes end in silence", IMAGE_TIMEOUT + PATIENCE)
    robot.stamp += int(robot.rng.integers(1, 60)) * SECOND
    robot.film(5)
    if robot.ledger.session != session:
        raise BrokenPromiseError("a new session after a stall")


def gap(robot: Robot) -> None:
    """Some images are missing."""
    robot.stamp += int(robot.rng.integers(2, 90)) * INTERVAL
    robot.film(3)


def repeats(robot: Robot) -> None:
    """Images come several times: no tube ends of it."""
    message = robot.message()
    robot.show(message)
    with robot.none_ends("repeats"):
        for _ in range(int(robot.rng.integers(1, 10))):
            robot.show(message)
    robot.film(3)


def small_reversal(robot: Robot) -> None:
    """Images come late, in no order: no tube ends of it."""
    robot.film(2)
    newest = robot.stamp
    with robot.none_ends("late images"):
        for _ in range(int(robot.rng.integers(1, 6))):
            robot.stamp = newest - int(robot.rng.integers(2, 20)) * INTERVAL
            robot.show(robot.message())
    robot.stamp = newest
    robot.film(3)


def loop(robot: Robot) -> None:
    """A bag begins anew: stamps fall back, all tubes end, a new session begins."""
    live, session = set(robot.ledger.live), robot.ledger.session
    robot.stamp -= int(robot.rng.integers(5, 600)) * SECOND
    robot.film(5)
    robot.all_end(live, "a loop")
    if robot.ledger.session == session:
        raise BrokenPromiseError("no new session after a loop")


def size_change(robot: Robot) -> None:
    """Images of another size: all tubes end under their own."""
    live = set(robot.ledger.live)
    robot.size = SIZES[(SIZES.index(robot.size) + int(robot.rng.integers(1, len(SIZES)))) % len(SIZES)]
    robot.film(5)
    robot.all_end(live, "a change of size")


def corrupt(robot: Robot) -> None:
    """Images that are none cost themselves alone: amid a scene that stands still no tube ends."""
    robot.standing = True
    robot.film(_SETTLED)
    with robot.none_ends("corrupt images"):
        for _ in range(5):
            robot.camera.publish(_corrupted(robot))
            robot.film(1)
    robot.standing = False


def _corrupted(robot: Robot) -> Image:
    """An image that must be refused."""
    while True:
        message = spoilt(robot.message(), robot.rng)
        if nanoseconds(message.header.stamp) <= 0:
            return message
        message.header.stamp = time_message(robot.stamp)
        try:
            rgb_from_image(message)
        except UserError:
            return message


def flood(robot: Robot) -> None:
    """Far more images than it can look at: the newest is looked at in the end."""
    for _ in range(int(robot.rng.integers(20, 200))):
        robot.publish(robot.message())
    robot.film(5)


def killed_camera(robot: Robot) -> None:
    """Another process is the camera, and is killed amid an image: tubes end, and ours is looked at again."""
    with tempfile.TemporaryDirectory() as folder:
        clip = Path(folder)
        _write_clip(robot, clip)
        words = ("--topic", "/image", "--rate", "60", "--loop", "--frame-id", _GUEST)
        command = [sys.executable, "-m", "amtnet_ros.ros.player", folder, *words]
        player = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL)
        robot.ledger.guest, heard = _GUEST, robot.ledger.guests
        try:
            robot.wait_for(lambda: robot.ledger.guests > heard + 20, "the other camera is looked at")
        finally:
            player.kill()
            player.wait()
    robot.wait_for(lambda: not robot.ledger.live, "tubes end when the camera is killed")
    robot.film(5)
    robot.ledger.guest = ""


def _write_clip(robot: Robot, folder: Path) -> None:
    """Images for a player."""
    import cv2

    for number in range(30):
        cv2.imwrite(str(folder / f"{number}.png"), rgb_from_image(robot.message())[..., ::-1])


def parameter_storm(robot: Robot) -> None:
    """Many changes of parameters, allowed and not, some amid the images: taken or refused as they should be."""
    for _ in range(20):
        allowed = bool(robot.rng.random() < 0.5)
        values: dict[str, Any] = {
            "score_threshold": float(robot.rng.uniform(0.4, 0.6)),
            "max_per_class": int(robot.rng.integers(5, 99)),
        }
        if not allowed:
            values.update(_NOT_ALLOWED[int(robot.rng.integers(len(_NOT_ALLOWED)))])
        if robot.set_together(values) != allowed:
            raise BrokenPromiseError(f"parameters {values} were {'refused' if allowed else 'taken'}")
        robot.film(1)


def lifecycle_round(robot: Robot) -> None:
    """Deactivated, at times cleaned up, activated again: every tube ends before."""
    robot.change_state(Transition.TRANSITION_DEACTIVATE)
    try:
        robot.wait_for(lambda: not robot.ledger.live, "all tubes end when deactivated")
    finally:  # or what comes after would be judged by a detector that sleeps
        if robot.rng.random() < 0.5:
            robot.change_state(Transition.TRANSITION_CLEANUP)
            robot.change_state(Transition.TRANSITION_CONFIGURE)
        robot.change_state(Transition.TRANSITION_ACTIVATE)
    robot.await_detector()
    robot.film(5)


def switched(robot: Robot) -> None:
    """Told to look away and to look again."""
    robot.enable(False)
    try:
        robot.wait_for(lambda: not robot.ledger.live, "all tubes end when it looks away")
    finally:
        robot.enable(True)
    robot.await_detector()


def reset(robot: Robot) -> None:
    """Told to begin anew."""
    live, session = set(robot.ledger.live), robot.ledger.session
    robot.reset()
    robot.all_end(live, "a reset")
    robot.film(5)
    if robot.ledger.session == session:
        raise BrokenPromiseError("no new session after a reset")


def subscribers(robot: Robot) -> None:
    """Others listen for a while: they get what they ask for."""
    pictures: list[Image] = []
    rest: list[object] = []
    listening = [
        robot.create_subscription(Image, "/detector/debug_image", pictures.append, PICTURES),
        robot.create_subscription(MarkerArray, "/detector/markers", rest.append, PICTURES),
        robot.create_subscription(Detection2DArray, "action_detections", rest.append, RESULTS),
    ]
    until = time.monotonic() + PATIENCE
    while not (pictures and rest) and time.monotonic() < until:
        robot.film(2)
    for subscription in listening:
        robot.destroy_subscription(subscription)
    if not any((picture.width, picture.height) == robot.size for picture in pictures):
        raise BrokenPromiseError(f"no debug image of {robot.size} among {len(pictures)}")


def full_disk(robot: Robot) -> None:
    """A recorder whose disk is full soon says so in a line and leaves nothing half written; the detector goes on."""
    with tempfile.TemporaryDirectory() as folder:
        log = Path(folder) / "log"
        command = [sys.executable, "-m", "amtnet_ros.ros.recorder", "--tubes", str(Path(folder) / "tubes.jsonl")]
        limit = (_DISK, _DISK)
        with log.open("wb") as out:
            recorder = subprocess.Popen(
                command,
                stdin=subprocess.DEVNULL,
                stdout=out,
                stderr=out,
                preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_FSIZE, limit),
            )
        try:
            until = time.monotonic() + PATIENCE
            while recorder.poll() is None and time.monotonic() < until:
                loop(robot)
                robot.film(20)
        finally:
            if alive := recorder.poll() is None:
                recorder.kill()
                recorder.wait()
        said, left = log.read_text(errors="replace"), [path.name for path in Path(folder).glob(f".*{PARTIAL}")]
    if alive or not recorder.returncode or "Traceback" in said or left:
        raise BrokenPromiseError(
            f"recorder on a full disk: exit code {recorder.returncode}, files {left}, said {said[-300:]!r}"
        )


FAULTS: dict[str, tuple[Callable[[Robot], None], float]] = {
    "stalls": (stall, 1),
    "gaps": (gap, 3),
    "repeated images": (repeats, 3),
    "small reversals": (small_reversal, 3),
    "loops": (loop, 3),
    "size changes": (size_change, 3),
    "corrupt images": (corrupt, 3),
    "floods": (flood, 2),
    "camera killed": (killed_camera, 0.3),
    "parameter storms": (parameter_storm, 2),
    "lifecycle rounds": (lifecycle_round, 2),
    "looks away": (switched, 2),
    "resets": (reset, 2),
    "subscribers come and go": (subscribers, 2),
    "disk full": (full_disk, 0.3),
}
"""Kind → what does it, and how often it is drawn, in relation to the others."""


def draw(rng: np.random.Generator, kinds: Sequence[str]) -> str:
    """One of these kinds, as often as it should be."""
    weights = np.array([FAULTS[kind][1] for kind in kinds])
    return str(rng.choice(list(kinds), p=weights / weights.sum()))
