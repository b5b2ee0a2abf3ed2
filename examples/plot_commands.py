"""Draws what a behaviour commands over time, with the actions that it was told of: listens until Ctrl-C, then draws.

    python3 examples/plot_commands.py commands.png      # or .webp, .pdf; needs matplotlib

The dashed line is the detector's last word. Topics are remapped as usual: --ros-args -r cmd_vel:=/base/cmd_vel
"""

from __future__ import annotations

import contextlib
import sys
import time

import matplotlib

matplotlib.use("agg")
import rclpy
from geometry_msgs.msg import Twist
from matplotlib import pyplot
from rclpy.executors import ExternalShutdownException
from rclpy.node import Node
from rclpy.qos import QoSProfile
from rclpy.utilities import remove_ros_args

from amtnet_ros.msg import ActionTube, ActionTubeArray


class CommandPlot(Node):
    """Notes commands (seconds, m/s, rad/s), when the detector said something, and who did what then."""

    def __init__(self) -> None:
        super().__init__("plot_commands")
        self._begin = time.monotonic()
        self.commands: list[tuple[float, float, float]] = []
        self.heard: list[float] = []
        self.actions: list[tuple[float, str]] = []
        self.create_subscription(Twist, "cmd_vel", self._on_command, QoSProfile(depth=10))
        self.create_subscription(ActionTubeArray, "action_tubes", self._on_tubes, QoSProfile(depth=30))

    def _now(self) -> float:
        return time.monotonic() - self._begin

    def _on_command(self, message: Twist) -> None:
        self.commands.append((self._now(), message.linear.x, message.angular.z))

    def _on_tubes(self, message: ActionTubeArray) -> None:
        self.heard.append(self._now())
        acting = [tube for tube in message.tubes if tube.state == ActionTube.ACTIVE and tube.has_action]
        self.actions += [(self._now(), f"#{tube.id} {tube.class_name}") for tube in acting]

    def seconds_until_stand(self) -> float:
        """From the detector's last word until all commands are zero."""
        moving = [when for when, forward, turn in self.commands if forward or turn]
        return max(0.0, moving[-1] - self.heard[-1]) if moving and self.heard else 0.0

    def draw(self, file: str) -> None:
        """Commands above, actions below, over the same seconds."""
        figure, (above, below) = pyplot.subplots(
            2, sharex=True, figsize=(9, 4.5), height_ratios=[2, 1], layout="constrained"
        )
        seconds, forward, turn = zip(*self.commands or [(0.0, 0.0, 0.0)], strict=True)
        above.step(seconds, forward, where="post", label="cmd_vel: linear.x [m/s]")
        above.step(seconds, turn, where="post", label="cmd_vel: angular.z [rad/s]", alpha=0.6)
        names = list(dict.fromkeys(name for _, name in self.actions))
        below.scatter([when for when, _ in self.actions], [names.index(name) for _, name in self.actions], s=6)
        below.set_yticks(range(len(names)), names)
        below.set_xlabel("seconds")
        for axes in (above, below) if self.heard else ():
            axes.axvline(self.heard[-1], linestyle="--", color="black", label="last word of the detector")
        above.legend(loc="lower left", fontsize=8)
        figure.savefig(file, dpi=100)


def main() -> None:
    """Listen until interrupted, then draw."""
    file = (remove_ros_args(sys.argv)[1:] or ["commands.png"])[0]
    rclpy.init()
    plot = CommandPlot()
    with contextlib.suppress(KeyboardInterrupt, ExternalShutdownException):
        rclpy.spin(plot)
    plot.draw(file)
    print(f"{file}; the robot stood {plot.seconds_until_stand():.2f} s after the detector's last word")


if __name__ == "__main__":
    main()
