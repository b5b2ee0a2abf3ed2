"""A gate for velocity commands: while somebody waves, and a moment after, the robot stands still. While nothing is
heard of the detector, too: nobody knows then whether somebody waves.

    cmd_vel_in ──► gate ──► cmd_vel

On a robot:       python3 examples/stop_when_someone_waves.py --ros-args -r cmd_vel_in:=/nav/cmd_vel
On the demo clip: python3 examples/stop_when_someone_waves.py --ros-args -p actions:="[walk, run, jump]"
"""

from __future__ import annotations

import contextlib

import rclpy
from geometry_msgs.msg import Twist
from rclpy.clock import Clock, ClockType
from rclpy.duration import Duration
from rclpy.executors import ExternalShutdownException
from rclpy.node import Node

from amtnet_ros.client import Action, ActionClient, Filter


class WaveGate(Node):
    """Lets commands through while the detector is heard, and none of the actions is going on."""

    def __init__(self) -> None:
        super().__init__("wave_gate")
        actions = self.declare_parameter("actions", ["wave"]).value
        score = self.declare_parameter("score", 0.3).value
        self._hold = Duration(seconds=self.declare_parameter("hold_seconds", 2.0).value)
        self._held_until = self.get_clock().now()
        self._commands = self.create_publisher(Twist, "cmd_vel", 1)
        self.create_subscription(Twist, "cmd_vel_in", self._on_command, 1)
        self._client = ActionClient(
            self, on_start=self._on_start, on_end=self._on_end, wanted=Filter(names=actions, score=score, seconds=0.2)
        )
        self.create_timer(0.1, self._watch, clock=Clock(clock_type=ClockType.STEADY_TIME))  # it must never stop

    def _on_start(self, action: Action) -> None:
        self.get_logger().info(f"Stop: #{action.id} {action.name} ({action.score:.2f})")
        self._commands.publish(Twist())

    def _on_end(self, action: Action) -> None:
        self.get_logger().info(f"#{action.id} {action.name} is over after {action.seconds:.1f} s: {action.reason}")
        self._held_until = self.get_clock().now() + self._hold

    def _watch(self) -> None:
        if not self._client.hears:
            self._commands.publish(Twist())

    def _on_command(self, command: Twist) -> None:
        held = self._client.actions or not self._client.hears or self.get_clock().now() < self._held_until
        self._commands.publish(Twist() if held else command)


def main() -> None:
    """Run until interrupted."""
    rclpy.init()
    with contextlib.suppress(KeyboardInterrupt, ExternalShutdownException):
        rclpy.spin(WaveGate())


if __name__ == "__main__":
    main()
