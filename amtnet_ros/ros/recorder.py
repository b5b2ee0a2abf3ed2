"""Executable `recorder`: action tubes to JSON lines, an annotated video, and a table in the end."""

from __future__ import annotations

import sys
import time
from pathlib import Path

import click
from rclpy.clock import Clock
from rclpy.clock_type import ClockType
from rclpy.node import Node
from sensor_msgs.msg import CompressedImage, Image

from amtnet_ros.errors import UserError
from amtnet_ros.libraries import library
from amtnet_ros.media.events import ActionEvents
from amtnet_ros.media.findings import Findings
from amtnet_ros.media.tube_lines import table_of
from amtnet_ros.msg import ActionTubeArray
from amtnet_ros.ros.command import run_command
from amtnet_ros.ros.conversions import rgb_from_compressed, rgb_from_image
from amtnet_ros.ros.messages import nanoseconds, update_from
from amtnet_ros.ros.process import ros, spin
from amtnet_ros.ros.qos import EVERY_IMAGE, RESULTS

_CLEAR_LINE = "\r\x1b[2K" if sys.stdout.isatty() else ""
"""A player in the same terminal may have drawn its progress there; it draws it again."""
_INTRODUCTION = 0.2  # seconds between two looks for a detector; by the second, it has found us as well
_WITHOUT_DETECTOR = 10.0  # seconds after which images are recorded although there is no detector


class RecorderNode(Node):
    """Subscribes to `action_tubes` and `image` and hands them to the files.

    Images are asked for only once a detector is found: a player that waits for its subscribers then does not begin
    before the tubes of its first images will be heard, too.
    """

    def __init__(self, recording: Findings, compressed: bool, events: bool) -> None:
        """events: print a line when an action begins and ends."""
        super().__init__("recorder")
        self._recording, self._compressed = recording, compressed
        self._labels: dict[int, str] = {}
        self._events = ActionEvents(self._labels) if events else None
        self.steps = 0
        self.origin: int | None = None
        self.last_heard: float | None = None
        self._last_step: int | None = None
        self._started = time.monotonic()
        self._detector_found = False
        self.create_subscription(ActionTubeArray, "action_tubes", self._on_tubes, RESULTS)
        if recording.has_video:
            steady = Clock(clock_type=ClockType.STEADY_TIME)
            self._introduction = self.create_timer(_INTRODUCTION, self._await_detector, clock=steady)

    def _await_detector(self) -> None:
        found = self.count_publishers(self.resolve_topic_name("action_tubes")) > 0
        if (found and self._detector_found) or time.monotonic() - self._started > _WITHOUT_DETECTOR:
            self.destroy_timer(self._introduction)
            compressed = self.resolve_topic_name("image") + "/compressed"  # beside the raw one
            kind, topic = (CompressedImage, compressed) if self._compressed else (Image, "image")
            self.create_subscription(kind, topic, self._on_image, EVERY_IMAGE)
        self._detector_found = found

    def _on_tubes(self, message: ActionTubeArray) -> None:
        update, session = update_from(message)
        labels = {tube.class_id: tube.class_name for tube in message.tubes}
        self._recording.add_tubes(update, session, labels, message.header.frame_id)
        self.steps += update.stamp != self._last_step  # that all tubes end is told in a message, but is no step
        self._last_step = update.stamp
        self._heard(update.stamp)
        self._labels.update(labels)
        for event in self._events.add(update) if self._events else ():
            print(_CLEAR_LINE + event.line(self.origin or 0), flush=True)

    def _on_image(self, message: Image | CompressedImage) -> None:
        stamp = nanoseconds(message.header.stamp)
        try:
            image = rgb_from_image(message) if isinstance(message, Image) else rgb_from_compressed(message)
        except UserError as error:
            self.get_logger().error(str(error), throttle_duration_sec=5.0)
            return
        self._recording.add_image(stamp, image)
        self._heard(stamp)

    def _heard(self, stamp: int) -> None:
        self.origin = stamp if self.origin is None else self.origin
        self.last_heard = time.monotonic()


@click.command("recorder", context_settings={"help_option_names": ["-h", "--help"]})
@click.option(
    "--tubes", type=click.Path(path_type=Path), required=True, help="JSON lines file to write, one tube a line."
)
@click.option("--video", type=click.Path(path_type=Path), help="Annotated H.264 video to write (.mp4, .mkv, .mov).")
@click.option("--image", default="/camera/image_raw", show_default=True, help="Topic of the images, for the video.")
@click.option("--width", type=click.IntRange(64), default=1280, show_default=True, help="The video's width at most.")
@click.option("--compressed", is_flag=True, help="Take the images from IMAGE/compressed.")
@click.option("--idle", type=click.FloatRange(0), help="End when nothing came for so many seconds, once something had.")
@click.option("--require-tubes", is_flag=True, help="Exit with 1 if no confirmed tube was recorded.")
@click.option("--events", is_flag=True, help="Print a line when an action begins and when it ends.")
def command(
    tubes: Path,
    video: Path | None,
    image: str,
    width: int,
    compressed: bool,
    idle: float | None,
    require_tubes: bool,
    events: bool,
) -> int:
    """Record action tubes until interrupted (Ctrl-C); then print them as a table."""
    with ros([*sys.argv, "--ros-args", "-r", f"image:={image}", "--"]) as stop:
        with Findings(tubes, video, width) as recording:
            node = RecorderNode(recording, compressed, events)

            def silent() -> bool:
                return idle is not None and node.last_heard is not None and time.monotonic() - node.last_heard > idle

            try:
                spin(node, stop, done=silent)
            finally:
                node.destroy_node()
        return _conclude(recording, node, require_tubes)


def _conclude(recording: Findings, node: RecorderNode, require_tubes: bool) -> int:
    console = library("rich.console", "the recorder").Console()
    console.print(table_of(recording.summaries, node.origin or 0))
    images = f", {recording.images} images" if recording.has_video else ""
    console.print(f"{node.steps} steps of the detector{images} recorded")
    if node.steps == 0:
        print("recorder: no message came on action_tubes; does the detector run, and is it active?", file=sys.stderr)
    if recording.failed:
        return 2  # it has been said what
    return int(require_tubes and not any(tube.confirmed for tube in recording.summaries))


def main() -> int:
    """Run the recorder."""
    return run_command(command)


if __name__ == "__main__":
    sys.exit(main())
