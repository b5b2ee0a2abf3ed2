"""Turns towards somebody who walks, and keeps a distance: by the tube's newest box alone. Where nothing is heard of
anybody any more, or nothing that is young enough, the robot stands.

On a robot:       python3 examples/follow_walker.py --ros-args -r cmd_vel:=/base/cmd_vel
On the demo clip: python3 examples/follow_walker.py, and watch cmd_vel
"""

from __future__ import annotations

import contextlib

import rclpy
from geometry_msgs.msg import Twist
from rclpy.clock import Clock, ClockType
from rclpy.executors import ExternalShutdownException
from rclpy.node import Node

from amtnet_ros.client import Action, ActionClient, Filter


class FollowWalker(Node):
    """Follows one walker until that action is over, then the one who is nearest (whose box is highest)."""

    def __init__(self) -> None:
        super().__init__("follow_walker")
        actions = self.declare_parameter("actions", ["walk", "run"]).value
        score = self.declare_parameter("score", 0.2).value
        self._height = self.declare_parameter("box_height", 0.6).value  # the distance to keep, as a share of the image
        self._turn = self.declare_parameter("turn_gain", 1.5).value  # rad/s for half an image's width
        self._drive = self.declare_parameter("drive_gain", 0.8).value  # m/s for an image's height
        self._target: int | None = None
        self._commands = self.create_publisher(Twist, "cmd_vel", 1)
        self._client = ActionClient(self, on_end=self._on_end, wanted=Filter(names=actions, score=score))
        self.create_timer(0.1, self._steer, clock=Clock(clock_type=ClockType.STEADY_TIME))  # it must never stop

    def _on_end(self, action: Action) -> None:
        if action.id == self._target:
            self.get_logger().info(f"Followed #{action.id} for {action.seconds:.1f} s; over: {action.reason}")
            self._steer()

    def _steer(self) -> None:
        action = self._choose()
        self._commands.publish(Twist() if action is None else self._towards(action))

    def _choose(self) -> Action | None:
        candidates = {action.id: action for action in self._client.actions if action.box is not None}
        if self._target not in candidates:
            self._target = max(candidates, key=lambda number: height_of(candidates[number]), default=None)
            if self._target is not None:
                self.get_logger().info(f"Following #{self._target}")
        return candidates.get(self._target) if self._target is not None else None

    def _towards(self, action: Action) -> Twist:
        assert action.box is not None
        x1, _, x2, _ = action.box
        offset = float(x1 + x2) / action.image_size[0] - 1.0  # -1 at the image's left edge, 1 at its right
        command = Twist()
        command.angular.z = -self._turn * offset
        command.linear.x = self._drive * (self._height - height_of(action))
        return command


def height_of(action: Action) -> float:
    """Of the newest box, as a share of the image's height."""
    assert action.box is not None
    return float(action.box[3] - action.box[1]) / action.image_size[1]


def main() -> None:
    """Run until interrupted."""
    rclpy.init()
    with contextlib.suppress(KeyboardInterrupt, ExternalShutdownException):
        rclpy.spin(FollowWalker())


if __name__ == "__main__":
    main()
