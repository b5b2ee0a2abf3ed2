"""Executable `recorder`: action tubes to JSON lines, an annotated video, and a table in the end."""

from __future__ import annotations

import sys
import time
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from uuid import UUID

import click
from rclpy.node import Node
from sensor_msgs.msg import CompressedImage, Image

from amtnet_ros.contracts import TubeState, TubeUpdate, UInt8
from amtnet_ros.errors import UserError
from amtnet_ros.files import check_distinct
from amtnet_ros.libraries import library
from amtnet_ros.media.events import ActionEvent, ActionEvents
from amtnet_ros.media.findings import Findings
from amtnet_ros.media.tube_lines import table_of
from amtnet_ros.msg import ActionTubeArray
from amtnet_ros.ros.command import run_command, say
from amtnet_ros.ros.conversions import rgb_from
from amtnet_ros.ros.messages import nanoseconds, steady_clock, update_from
from amtnet_ros.ros.process import ros, spin
from amtnet_ros.ros.qos import EVERY_IMAGE, RESULTS
from amtnet_ros.view.mcap_file import McapRecorder

_INTRODUCTION = 0.2  # seconds between two looks for a detector; by the second, it has found us as well
_WITHOUT_DETECTOR = 10.0  # seconds after which images are recorded although there is no detector


@dataclass(frozen=True)
class _Files:
    """What is written. mcap: None where it was not asked for."""

    findings: Findings
    mcap: McapRecorder | None

    @property
    def want_images(self) -> bool:
        return self.findings.has_video or self.mcap is not None

    def add_image(self, stamp: int, image: UInt8, frame_id: str) -> None:
        self.findings.add_image(stamp, image)
        if self.mcap is not None:
            self.mcap.add_image(stamp, image, frame_id)

    def add_tubes(self, update: TubeUpdate, session: UUID, labels: dict[int, str], frame_id: str) -> None:
        self.findings.add_tubes(update, session, labels, frame_id)
        if self.mcap is not None:
            self.mcap.add_tubes(update, session, labels, frame_id)


class RecorderNode(Node):
    """Subscribes to `action_tubes` and `image` and hands them to the files.

    Images are asked for only once a detector is found: a player that waits for its subscribers then does not begin
    before the tubes of its first images will be heard, too.
    """

    def __init__(self, files: _Files, compressed: bool, events: bool) -> None:
        """events: print a line when an action begins and ends."""
        super().__init__("recorder")
        self._files, self._compressed = files, compressed
        self._labels: dict[int, str] = {}
        self._events: dict[UUID, ActionEvents] | None = {} if events else None  # several detectors may publish
        self.steps = 0
        self.origin: int | None = None
        self.last_heard: float | None = None
        self._last_step: int | None = None
        self._started = time.monotonic()
        self._detector_found = False
        self.create_subscription(ActionTubeArray, "action_tubes", self._on_tubes, RESULTS)
        if files.want_images:
            self._introduction = self.create_timer(_INTRODUCTION, self._await_detector, clock=steady_clock())

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
        self._files.add_tubes(update, session, labels, message.header.frame_id)
        self.steps += update.stamp != self._last_step  # that all tubes end is told in a message, but is no step
        self._last_step = update.stamp
        self._heard(update.stamp)
        self._labels.update(labels)
        for event in self._new_events(update, session):
            say(event.line(self.origin or 0))

    def _new_events(self, update: TubeUpdate, session: UUID) -> list[ActionEvent]:
        """What begins and ends in a step of one session, if that is to be told."""
        if self._events is None:
            return []
        events = self._events.setdefault(session, ActionEvents(self._labels))
        if all(tube.state == TubeState.ENDED for tube in update.tubes):
            del self._events[session]  # nothing goes on
        return events.add(update)

    def _on_image(self, message: Image | CompressedImage) -> None:
        stamp = nanoseconds(message.header.stamp)
        try:
            image = rgb_from(message)
        except UserError as error:
            self.get_logger().error(str(error), throttle_duration_sec=5.0)
            return
        self._files.add_image(stamp, image, message.header.frame_id)
        self._heard(stamp)

    def _heard(self, stamp: int) -> None:
        self.origin = stamp if self.origin is None else self.origin
        self.last_heard = time.monotonic()


@click.command("recorder", context_settings={"help_option_names": ["-h", "--help"]})
@click.option(
    "--tubes",
    type=click.Path(path_type=Path),
    help="JSON lines file to write, one tube a line.  [default: beside the MCAP file or the video]",
)
@click.option("--video", type=click.Path(path_type=Path), help="Annotated H.264 video to write (.mp4, .mkv, .mov).")
@click.option(
    "--mcap", type=click.Path(path_type=Path), help="MCAP file to write, for Foxglove: picture, boxes, tubes."
)
@click.option("--image", default="/camera/image_raw", show_default=True, help="Topic of the images.")
@click.option("--width", type=click.IntRange(64), default=1280, show_default=True, help="The video's width at most.")
@click.option("--compressed", is_flag=True, help="Take the images from IMAGE/compressed.")
@click.option("--idle", type=click.FloatRange(0), help="End when nothing came for so many seconds, once something had.")
@click.option("--require-tubes", is_flag=True, help="Exit with 1 if no confirmed tube was recorded.")
@click.option("--events", is_flag=True, help="Print a line when an action begins and when it ends.")
def command(
    tubes: Path | None,
    video: Path | None,
    mcap: Path | None,
    image: str,
    width: int,
    compressed: bool,
    idle: float | None,
    require_tubes: bool,
    events: bool,
) -> int:
    """Record action tubes until interrupted (Ctrl-C); then print them as a table."""
    beside = mcap or video
    if tubes is None and beside is None:
        raise click.UsageError("say what to write: --tubes, --video or --mcap")
    lines = tubes or Path(beside or "").with_suffix(".jsonl")
    with ros([*sys.argv, "--ros-args", "-r", f"image:={image}", "--"]) as stop:
        with ExitStack() as files:
            if mcap:
                check_distinct(mcap, lines, video)
            findings = files.enter_context(Findings(lines, video, width))
            recording = files.enter_context(McapRecorder(mcap)) if mcap else None
            node = RecorderNode(_Files(findings, recording), compressed, events)

            def silent() -> bool:
                return idle is not None and node.last_heard is not None and time.monotonic() - node.last_heard > idle

            try:
                spin(node, stop, done=silent)
            finally:
                node.destroy_node()
        failed = findings.failed or (recording is not None and recording.failed)
        return _conclude(findings, node, require_tubes, failed)


def _conclude(findings: Findings, node: RecorderNode, require_tubes: bool, failed: bool) -> int:
    console = library("rich.console", "the recorder").Console()
    console.print(table_of(findings.summaries, node.origin or 0))
    images = f", {findings.images} images" if findings.has_video else ""
    console.print(f"{node.steps} steps of the detector{images} recorded")
    if node.steps == 0:
        print("recorder: no message came on action_tubes; does the detector run, and is it active?", file=sys.stderr)
    if failed:
        return 2  # it has been said what
    return int(require_tubes and not any(tube.confirmed for tube in findings.summaries))


def main() -> int:
    """Run the recorder."""
    return run_command(command)


if __name__ == "__main__":
    sys.exit(main())
