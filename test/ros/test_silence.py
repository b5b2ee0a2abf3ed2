"""A robot acts on nothing that it no longer hears: whatever fails, it stands within a second, and goes on standing."""

from __future__ import annotations

import signal
import time
from collections.abc import Callable
from pathlib import Path

import cv2
import numpy as np
import pytest
from geometry_msgs.msg import Twist
from stage import Process, Stage, wait_until

from amtnet_ros.msg import ActionTubeArray
from amtnet_ros.ros.qos import RESULTS

FOLLOW = ("follow_walker", "actions:=[bright]")
GATE = ("stop_when_someone_waves", "actions:=[dark]")
"""The camera films something bright: the first follows it, the second lets commands through."""


class Robot:
    """A camera, a detector and an example behaviour, as processes; the tubes reach the behaviour over a relay here."""

    def __init__(self, stage: Stage, example: tuple[str, str]) -> None:
        self.commands: list[tuple[float, float]] = []  # when by time.monotonic(), and m/s
        stage.node.create_subscription(
            Twist, "cmd_vel", lambda command: self.commands.append((time.monotonic(), command.linear.x)), 10
        )
        forward = Twist()
        forward.linear.x = 0.5
        drive = stage.node.create_publisher(Twist, "cmd_vel_in", 1)
        stage.node.create_timer(0.05, lambda: drive.publish(forward))
        self.relayed = True
        relay = stage.node.create_publisher(ActionTubeArray, "heard/action_tubes", RESULTS)
        stage.node.create_subscription(
            ActionTubeArray, "action_tubes", lambda message: relay.publish(message) if self.relayed else None, RESULTS
        )
        image = "/camera/image_raw"
        given = ("-r", f"image:={image}", "-p", "autostart:=true", "-p", f"model:={stage.model}")
        self.detector = stage.run("detector_node", "--ros-args", *given)
        self.camera = stage.run("player", str(clip(stage.folder)), "--topic", image, "--rate", "15", "--loop")
        name, actions = example
        words = ["--ros-args", "-r", "action_tubes:=heard/action_tubes", "-p", actions]
        self.behaviour = Process(f"examples.{name}", words, stage.folder / "example.log", stage.domain)
        stage.processes.append(self.behaviour)
        wait_until(lambda: sum(speed > 0 for _, speed in self.commands) > 5, "it drives")

    def stop_relaying(self) -> None:
        """As a network that loses one topic."""
        self.relayed = False


def clip(folder: Path) -> Path:
    """A folder of bright images."""
    made = folder / "bright"
    made.mkdir()
    for number in range(24):
        cv2.imwrite(str(made / f"{number}.png"), np.full((48, 64, 3), 250 + number % 5, dtype=np.uint8))
    return made


@pytest.mark.parametrize("example", [FOLLOW, GATE], ids=lambda example: example[0])
@pytest.mark.parametrize(
    "fail",
    [
        pytest.param(lambda robot: robot.detector.end(signal.SIGKILL), id="detector-killed"),
        pytest.param(lambda robot: robot.camera.end(signal.SIGKILL), id="camera-unplugged"),
        pytest.param(Robot.stop_relaying, id="topic-lost"),
    ],
)
def test_the_robot_stands_within_a_second_and_stays(
    stage: Stage, example: tuple[str, str], fail: Callable[[Robot], None]
) -> None:
    robot = Robot(stage, example)
    fail(robot)
    failed = time.monotonic()
    wait_until(lambda: time.monotonic() > failed + 4, "some seconds have passed")
    after = [(when - failed, speed) for when, speed in robot.commands if when > failed]
    assert after[-1][0] > 3.5, "it still commands"
    assert [speed for when, speed in after if when > 1.0] == [0.0] * sum(when > 1.0 for when, _ in after)
    assert any(speed == 0.0 for when, speed in after if when <= 1.0)
