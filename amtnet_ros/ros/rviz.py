"""Executable `rviz`: RViz with the package's display, in the frame of the images, whatever it is called."""

from __future__ import annotations

import os
import shutil
import sys
from pathlib import Path

import click
from rclpy.node import Node

from amtnet_ros.errors import UserError
from amtnet_ros.msg import ActionTubeArray
from amtnet_ros.ros.command import run_command
from amtnet_ros.ros.process import ros, spin
from amtnet_ros.ros.qos import RESULTS

_REMINDER = 5.0  # seconds without an image, after which it is said what is waited for


class _FrameNode(Node):
    """Hears in which frame the images are. frame: None until then."""

    def __init__(self) -> None:
        super().__init__("rviz")
        self.frame: str | None = None
        self.create_subscription(ActionTubeArray, "action_tubes", self._on_tubes, RESULTS)
        self._reminder = self.create_timer(_REMINDER, self._remind)

    def _on_tubes(self, message: ActionTubeArray) -> None:
        self.frame = message.header.frame_id

    def _remind(self) -> None:
        self._reminder.cancel()
        topic = self.resolve_topic_name("action_tubes")
        self.get_logger().info(f"RViz opens with the first image: nothing came on {topic} yet")


@click.command("rviz", context_settings={"help_option_names": ["-h", "--help"]})
@click.option("--display-config", type=click.Path(path_type=Path, exists=True), required=True, help="What RViz shows.")
@click.option("--fixed-frame", default="", help="Frame of the view.  [default: that of the first image]")
def command(display_config: Path, fixed_frame: str) -> int:
    """Open RViz in the frame of the images that the detector looks at; the ROS arguments are RViz's."""
    program = shutil.which("rviz2")
    if program is None:
        raise UserError("there is no rviz2: sudo apt install ros-$ROS_DISTRO-rviz2")
    frame = fixed_frame or _frame_of_images()
    if frame is not None:
        ros_arguments = sys.argv[sys.argv.index("--ros-args") :] if "--ros-args" in sys.argv else []
        fixed = ["--fixed-frame", frame] if frame else []
        os.execv(program, [program, "--display-config", str(display_config), *fixed, *ros_arguments])
    return 0  # interrupted


def _frame_of_images() -> str | None:
    """The frame_id of the first image that is looked at; None where a signal comes before it."""
    with ros(sys.argv) as stop:
        node = _FrameNode()
        try:
            spin(node, stop, done=lambda: node.frame is not None)
            if node.frame == "":
                node.get_logger().warning("The images have no frame_id, without which RViz can place no box")
            return node.frame
        finally:
            node.destroy_node()


def main() -> int:
    """Run it."""
    return run_command(command)


if __name__ == "__main__":
    sys.exit(main())
