"""Executable `viewer`: a web page that shows the camera, its action tubes and a timeline, live."""

from __future__ import annotations

import sys
import time
from functools import partial
from typing import Any

import click
from rclpy.node import Node
from rclpy.subscription import Subscription
from sensor_msgs.msg import CompressedImage, Image

from amtnet_ros.command_options import page_options
from amtnet_ros.msg import ActionTubeArray, Latency
from amtnet_ros.ros.command import run_command, say
from amtnet_ros.ros.conversions import rgb_from
from amtnet_ros.ros.messages import nanoseconds, steady_clock, update_from
from amtnet_ros.ros.process import ros, spin
from amtnet_ros.ros.qos import NEWEST_IMAGE, PICTURES, RESULTS
from amtnet_ros.view.live import LiveView
from amtnet_ros.view.server import shown

_STAGES = [name for name, kind in Latency.get_fields_and_field_types().items() if kind == "float" and name != "total"]
_LONGEST = 10.0  # seconds of latency; more comes of stamps that are not the clock's, of a bag or a player that waits
_LOOK = 0.1  # seconds between two looks at whether somebody watches
_GRACE = 3.0  # seconds for which all goes on when nobody watches any more: a page that is loaded again has its timeline


class ViewerNode(Node):
    """Hands images and tubes to a view, and subscribes to them only while somebody watches it."""

    def __init__(self, view: LiveView, compressed: bool) -> None:
        """compressed: take the images from image/compressed."""
        super().__init__("viewer")
        self._view, self._compressed = view, compressed
        self._subscriptions_made: list[Subscription[Any]] = []
        self._watched_at = -_GRACE
        self._stages: dict[str, float] = {}
        self.create_timer(_LOOK, self._look, clock=steady_clock())

    def _look(self) -> None:
        now = time.monotonic()
        if self._view.is_watched:
            self._watched_at = now
        watched = now - self._watched_at < _GRACE
        if watched and not self._subscriptions_made:
            self._subscribe()
        while self._subscriptions_made and not watched:
            self.destroy_subscription(self._subscriptions_made.pop())

    def _subscribe(self) -> None:
        kind, topic = Image, "image"
        if self._compressed:
            kind, topic = CompressedImage, self.resolve_topic_name("image") + "/compressed"  # beside the raw one
        self._subscriptions_made = [
            self.create_subscription(ActionTubeArray, "action_tubes", self._on_tubes, RESULTS),
            self.create_subscription(Latency, "detector/latency", self._on_latency, PICTURES),
            self.create_subscription(kind, topic, self._on_image, NEWEST_IMAGE),
        ]

    def _on_image(self, message: Image | CompressedImage) -> None:
        self._view.add_image(nanoseconds(message.header.stamp), partial(rgb_from, message))

    def _on_tubes(self, message: ActionTubeArray) -> None:
        update, session = update_from(message)
        labels = {tube.class_id: tube.class_name for tube in message.tubes}
        latency = {"stamp to page": (self.get_clock().now().nanoseconds - update.stamp) / 1e9, **self._stages}
        credible = {name: seconds for name, seconds in latency.items() if 0 <= seconds < _LONGEST}
        self._view.add_tubes(update, session, labels, credible)

    def _on_latency(self, message: Latency) -> None:
        self._stages = {stage: float(getattr(message, stage)) for stage in _STAGES}


@click.command("viewer", context_settings={"help_option_names": ["-h", "--help"]})
@click.option("--image", default="/camera/image_raw", show_default=True, help="Topic of the images.")
@click.option("--compressed", is_flag=True, help="Take the images from IMAGE/compressed.")
@page_options
def command(image: str, compressed: bool, view_host: str, view_port: int | None) -> int:
    """Show a camera's images and action tubes on a local web page, until interrupted (Ctrl-C).

    It subscribes only while somebody looks at the page. Topics are remapped as usual: --ros-args -r
    action_tubes:=front/action_tubes.
    """
    with (
        ros([*sys.argv, "--ros-args", "-r", f"image:={image}", "--"]) as stop,
        shown(LiveView(image), view_host, view_port, say) as view,
    ):
        node = ViewerNode(view, compressed)
        try:
            spin(node, stop)
        finally:
            node.destroy_node()
    return 0


def main() -> int:
    """Run the viewer."""
    return run_command(command)


if __name__ == "__main__":
    sys.exit(main())
