"""Executable `player`: a video file, a folder of images or a webcam as a camera on a topic."""

from __future__ import annotations

import sys
import threading
import time
from collections.abc import Iterator
from contextlib import nullcontext
from dataclasses import dataclass
from typing import Any, NamedTuple

import click
import cv2
import numpy as np
from rclpy.duration import Duration
from rclpy.executors import SingleThreadedExecutor
from rclpy.node import Node
from rclpy.publisher import Publisher
from sensor_msgs.msg import CompressedImage, Image
from std_msgs.msg import Header

from amtnet_ros.contracts import UInt8
from amtnet_ros.errors import UserError
from amtnet_ros.libraries import library
from amtnet_ros.media.live import LiveSource
from amtnet_ros.media.video import Source, open_source
from amtnet_ros.msg import Latency
from amtnet_ros.program import Interruption
from amtnet_ros.ros.command import run_command
from amtnet_ros.ros.conversions import compressed_from_rgb, image_from_rgb
from amtnet_ros.ros.messages import nanoseconds, time_message
from amtnet_ros.ros.process import ros
from amtnet_ros.ros.qos import PICTURES, RESULTS

_LATEST = 1.0  # seconds a frame may be late before the schedule starts anew
_INTRODUCTION = 0.5  # seconds from our finding the subscribers until they, too, have found us
_FAREWELL = 0.5  # seconds for the last images to be fetched out of shared memory


@dataclass(frozen=True)
class Options:
    """How a source is played; see the command's help."""

    topic: str
    rate: float | None
    loop: bool
    frame_id: str
    width: int | None
    compressed: bool
    stamps: str
    subscribers: int
    wait: float
    lockstep: bool


@click.command("player", context_settings={"help_option_names": ["-h", "--help"]})
@click.argument("source")
@click.option("--topic", default="/camera/image_raw", show_default=True, help="Topic to publish on.")
@click.option("--rate", type=click.FloatRange(0.1, 1000), help="Images a second.  [default: at the source's own times]")
@click.option("--loop", is_flag=True, help="Start anew at the end, for ever.")
@click.option("--frame-id", default="camera", show_default=True, help="frame_id of the images.")
@click.option("--width", type=click.IntRange(16), help="Resize to this width, in pixels, if it is smaller.")
@click.option("--compressed", is_flag=True, help="Publish JPEG images on TOPIC/compressed.")
@click.option(
    "--stamps",
    type=click.Choice(["clock", "source"]),
    default="clock",
    show_default=True,
    help="Stamps from the clock, as a camera's, or from the source's start, as a bag's: they jump back in a loop.",
)
@click.option("--subscribers", type=click.IntRange(0), default=1, show_default=True, help="Wait for so many of them.")
@click.option("--wait", type=click.FloatRange(0), default=30.0, show_default=True, help="Seconds to wait for them.")
@click.option(
    "--lockstep",
    is_flag=True,
    help="Publish the next image only when the detector is done with the last, as detector/latency tells: slower where "
    "need be, but none is missed. Stamps keep the source's pace.",
)
def command(source: str, rate: float | None, **options: Any) -> int:
    """Publish SOURCE as a camera's images: a video file, a folder of images, a webcam (0, 1, …), a stream (rtsp://…)."""
    opened = open_source(source, lambda line: print(f"player: {line}", file=sys.stderr, flush=True))
    with ros(sys.argv) as stop:
        node = Node("player")
        try:
            return play(node, opened, Options(rate=rate, **options), stop)
        finally:
            node.destroy_node()


def play(node: Node, source: Source, options: Options, stop: Interruption) -> int:
    """Publish the source's images; the exit code. Raises UserError if nobody listens or the source breaks."""
    kind, suffix = (CompressedImage, "/compressed") if options.compressed else (Image, "")
    publisher = node.create_publisher(kind, options.topic + suffix, RESULTS)
    answers = _Answers(node) if options.lockstep else None
    _await_subscribers(publisher, options, stop)
    schedule = _Schedule(live=isinstance(source, LiveSource))
    for moment, image in stop.over(_images(source, options)):
        if answers:
            answers.wait(stop)
        schedule.wait(moment.since_start, stop)
        if stop.is_set():
            return 0
        if schedule.count == 1:
            origin = node.get_clock().now().nanoseconds
        elapsed = moment.since_start if answers else schedule.elapsed
        stamp = origin + elapsed if options.stamps == "clock" else moment.in_source
        if answers:
            answers.expect(stamp)
        header = Header(stamp=time_message(stamp), frame_id=options.frame_id)
        image = _shrunk(image, options.width)
        publisher.publish(compressed_from_rgb(image, header) if options.compressed else image_from_rgb(image, header))
    if stop.is_set():  # while an image was waited for
        return 0
    if answers:
        answers.wait(stop)
    publisher.wait_for_all_acked(Duration(seconds=_FAREWELL))
    stop.wait(_FAREWELL)
    silence = f", {answers.missing} without a word of the detector" if answers and answers.missing else ""
    node.get_logger().info(f"Played to the end: {schedule.count} images{silence}")
    return 0


def _await_subscribers(publisher: Publisher[Any], options: Options, stop: threading.Event) -> None:
    until = time.monotonic() + options.wait
    while publisher.get_subscription_count() < options.subscribers and not stop.is_set():
        if time.monotonic() >= until:
            raise UserError(
                f"{publisher.get_subscription_count()} of {options.subscribers} subscribers came to "
                f"{publisher.topic_name} within {options.wait:g} s; do they run, in this ROS_DOMAIN_ID, "
                "and listen to this topic? (--subscribers 0 plays to nobody)"
            )
        stop.wait(0.02)
    if options.subscribers:
        stop.wait(_INTRODUCTION)


class _Moment(NamedTuple):
    """When an image is due: nanoseconds since the first one, and since the source's first, which recurs in a loop."""

    since_start: int
    in_source: int


def _images(source: Source, options: Options) -> Iterator[tuple[_Moment, UInt8]]:
    """When each image is due, and the image; with a progress bar where there is an end and someone to watch."""
    visible = sys.stderr.isatty() and source.frames > 0 and not options.loop
    step = round(1e9 / (options.rate or source.rate))
    begin = 0
    with _progress_bar() if visible else nullcontext() as progress:
        task = progress.add_task("Playing", total=source.frames) if progress else None
        while True:
            due = 0
            for number, (own, image) in enumerate(source.stamped()):
                due = round(number / options.rate * 1e9) if options.rate else own
                yield _Moment(begin + due, due), image
                if progress and task is not None:
                    progress.advance(task)
            if not options.loop:
                return
            begin += due + step


def _progress_bar() -> Any:
    console = library("rich.console", "the progress bar").Console(stderr=True)
    return library("rich.progress", "the progress bar").Progress(console=console)


class _Schedule:
    """When the next image is sent. A live source sets the pace itself."""

    def __init__(self, live: bool) -> None:
        self._live = live
        self._start = self._last = 0.0
        self._before = 0
        self.count = 0

    def wait(self, due: int, stop: threading.Event) -> None:
        """Until an image is due, nanoseconds since the first one; one that is long overdue is sent at once, and the
        pace taken up from there."""
        now = time.monotonic()
        if self.count == 0:
            self._start = self._last = now
        self._last = now if self._live else self._last + (due - self._before) / 1e9
        if now - self._last > _LATEST:
            self._last = now
        self._before = due
        stop.wait(max(0.0, self._last - now))
        self.count += 1

    @property
    def elapsed(self) -> int:
        """Nanoseconds from the first image's due time to this one's."""
        return round((self._last - self._start) * 1e9)


class _Answers:
    """What the detector says of each image once it is done with it.

    It says nothing of an image that was lost on the way, and there may be no detector: each wait in vain makes the next
    one shorter. missing: how many images were not answered.
    """

    _FIRST_PATIENCE, _LEAST_PATIENCE, _MOST_PATIENCE = 2.0, 0.1, 10.0  # seconds

    def __init__(self, node: Node) -> None:
        self._answered = True  # there is nothing to wait for before the first image
        self._newest, self._newest_at = 0, 0.0
        self._patience = self._FIRST_PATIENCE
        self.missing = 0
        node.create_subscription(Latency, "detector/latency", self._on_answer, PICTURES)
        self._executor = SingleThreadedExecutor(context=node.context)
        self._executor.add_node(node)

    def expect(self, stamp: int) -> None:
        """An image of this stamp (ns) goes out now."""
        self._answered = False
        self._newest, self._newest_at = stamp, time.monotonic()

    def wait(self, stop: threading.Event) -> None:
        """Until the newest image is answered, or patience ends."""
        while not self._answered and not stop.is_set():
            if time.monotonic() - self._newest_at > self._patience:
                self._patience = max(self._LEAST_PATIENCE, self._patience / 2)
                self.missing += 1
                return
            self._executor.spin_once(timeout_sec=0.02)

    def _on_answer(self, message: Latency) -> None:
        self._patience = self._MOST_PATIENCE
        self._answered = self._answered or nanoseconds(message.header.stamp) == self._newest


def _shrunk(image: UInt8, width: int | None) -> UInt8:
    if not width or image.shape[1] <= width:
        return image
    height = max(2, round(image.shape[0] * width / image.shape[1] / 2) * 2)
    return np.asarray(cv2.resize(image, (width, height), interpolation=cv2.INTER_AREA), dtype=np.uint8)


def main() -> int:
    """Run the player."""
    return run_command(command)


if __name__ == "__main__":
    sys.exit(main())
