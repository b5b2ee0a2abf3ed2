"""Watches over one camera: its health for the diagnostics, and a warning in the log where something is wrong."""

from __future__ import annotations

import math
import re
import time
import traceback
from collections.abc import Sequence
from typing import Any

from diagnostic_msgs.msg import DiagnosticArray, DiagnosticStatus
from rclpy.clock import JumpThreshold
from rclpy.duration import Duration
from rclpy.impl.rcutils_logger import RcutilsLogger
from rclpy.node import Node

from amtnet_ros.actors.actors import TOO_SLOW
from amtnet_ros.contracts import TubeState
from amtnet_ros.errors import UserError
from amtnet_ros.inference.gpu import gpu_memory
from amtnet_ros.pipeline import Pipeline
from amtnet_ros.ros.depth import DepthInput
from amtnet_ros.ros.health import (
    ERROR,
    FRAME_ID,
    OK,
    WARN,
    Health,
    Limits,
    Stamps,
    complaint_about_depth,
    complaint_about_frames,
    complaint_about_images,
    status,
)
from amtnet_ros.ros.inputs import InputTopic
from amtnet_ros.ros.messages import nanoseconds, steady_clock
from amtnet_ros.ros.parameters import Parameters
from amtnet_ros.ros.qos import RESULTS
from amtnet_ros.ros.worker import Done, Step, Worker

_PATIENCE = 5.0  # seconds until a detector that waits to be configured or activated is worth a warning
_REPEAT = 10.0  # seconds between two warnings of the same kind


class Monitor:
    """The camera tells it what happens; it tells the log at once, and the diagnostics when they ask.

    name: the camera's, "" for an only one. log: where its warnings go. worker: the one in use, or None.
    """

    def __init__(self, node: Node, name: str, log: RcutilsLogger, parameters: Parameters) -> None:
        self._log, self._parameters = log, parameters
        self._title = f"{node.get_name()}: action tubes" + (f" of {name}" if name else "")
        self._health = Health()
        self.worker: Worker | None = None
        self._images: InputTopic | None = None
        self._depth: DepthInput | None = None
        self._silent_until: dict[str, float] = {}  # by kind of warning

    # What the camera tells

    def begin(self, worker: Worker) -> None:
        """The camera is configured, and its counters start at nothing."""
        self._health = Health()
        self.worker = worker

    def start(self, images: InputTopic, depth: DepthInput | None) -> None:
        """Images are expected from now on, and depth where it is wanted."""
        self._images, self._depth = images, depth
        self._health.stamps = Stamps()
        self._health.depth_away, self._health.depth_misses = None, 0

    def stop(self) -> None:
        """Nothing more is expected."""
        self._images = self._depth = None

    def on_image(self, age: float | None) -> None:
        """An image arrived; age: seconds since its stamp, None where it has none."""
        self._health.received += 1
        self._health.images_in.tick()
        self._health.image_age = age

    def on_step(self, step: Step, delay: float) -> None:
        """A step was published; delay: seconds since the stamp of its image."""
        health = self._health
        health.steps_out.tick()
        health.tubes_alive = sum(tube.state != TubeState.ENDED for tube in step.update.tubes)
        health.delay = delay

    def on_depth(self, away: float | None, found: bool, readable: bool) -> None:
        """A step wanted depth. away: seconds to the nearest there is, or None; found: whether it served.

        readable: whether it is known how to read depth.
        """
        self._health.depth_away, self._health.depth_readable = away, readable
        self._health.depth_misses = 0 if found else self._health.depth_misses + 1

    def on_done(self, done: Done) -> None:
        """An image was looked at."""
        self._health.stamps.note(nanoseconds(done.header.stamp), done.admission)
        if done.latency["encode"]:  # else it made no step
            self._health.latency = done.latency

    def on_refused(self, error: UserError) -> None:
        """An image could not be used."""
        self._health.refused += 1
        self._health.refuse(str(error))
        self._log.error(f"Image refused: {error}", throttle_duration_sec=_REPEAT)

    def on_depth_refused(self, error: UserError) -> None:
        """Depth, or the CameraInfo that says how to read it, could not be used."""
        self._health.depth_refused += 1
        self._health.refuse(str(error))
        self._log.error(f"Depth refused: {error}", throttle_duration_sec=_REPEAT)

    def on_defect(self, error: Exception) -> None:
        """Something went wrong that never should."""
        self._health.defects += 1
        trace = "".join(traceback.format_exception(error))
        self._log.error(f"Internal error: {trace}", throttle_duration_sec=_REPEAT)

    def on_clock_jump(self) -> None:
        """The node's clock jumped back, or was replaced."""
        self._health.clock_jumps += 1

    # What it tells

    def status(self, situation: str, failure: str, idle: str) -> DiagnosticStatus:
        """The camera's health. situation: what the node is doing, in a word or two.

        failure: why it could not be configured, or "". idle: a warning that nobody told it to look, or "".
        """
        complaints = [idle] if idle else self._complaints()
        level, message = (ERROR, failure) if failure else self._judgement(situation, complaints)
        values = self._health.values()
        if self.worker is not None:
            values |= {"images dropped": str(self.worker.dropped), **_values_of(self.worker.pipeline)}
        return status(self._title, "", level, message, values)

    def _judgement(self, situation: str, complaints: Sequence[str]) -> tuple[bytes, str]:
        """Level and message of a camera that could be configured, or was not told to be."""
        device = self._parameters.settings["device"]
        if self.worker is not None and self.worker.dead:
            return ERROR, "the thread that looks at the images has died; deactivate and activate the detector"
        if self.worker is not None and device not in ("auto", "cpu") and on_cpu(self.worker.pipeline.provider):
            return ERROR, f"runs on the CPU although device is {device}"
        if time.monotonic() - self._health.last_refusal_at < _REPEAT:
            return ERROR, self._health.last_refusal
        return (WARN, "; ".join(complaints)) if complaints else (OK, situation)

    def _complaints(self) -> list[str]:
        """What is wrong with the inputs; a new complaint is logged at once, a standing one now and then."""
        settings = self._parameters.settings
        limits = Limits(settings["image_timeout"], settings["max_image_age"], settings["max_frame_gap"])
        found = []
        if self._images is not None:
            facts = self._images.facts()
            found += [complaint_about_images(facts, self._health, limits), complaint_about_frames(facts)]
        if (depth := self._depth) is not None:
            facts = depth.topic.facts()
            found.append(complaint_about_depth(facts, self._health, depth.tolerance, limits.image_timeout))
            found.append(complaint_about_frames(facts))
        complaints = [reason for reason in found if reason]
        for reason in complaints:
            self._warn(reason)
        actors = self.worker and self.worker.pipeline.actors
        return [*complaints, TOO_SLOW] if actors and actors.too_slow else complaints  # which logs it itself

    def _warn(self, reason: str) -> None:
        """Log it, unless that was done a moment ago; of frames once: many a driver says none, and not all need them."""
        about_frames = FRAME_ID in reason
        kind = re.sub(rf"(?<={FRAME_ID}).*|[0-9.]+", "", reason)
        if time.monotonic() >= self._silent_until.get(kind, 0.0):
            self._log.warning(reason)
            self._silent_until[kind] = math.inf if about_frames else time.monotonic() + _REPEAT


def _values_of(pipeline: Pipeline) -> dict[str, str]:
    values = {f"frames {name}".replace("_", " "): str(count) for name, count in pipeline.counters.items()}
    linked = pipeline.linked
    values |= {"tubes started": str(linked.started), "tubes dropped, too many": str(linked.dropped)}
    values |= {"tubes timed out": str(linked.timed_out), "micro-tubes refused": str(linked.refused)}
    if actors := pipeline.actors:
        values |= {"looks at persons": str(actors.counters.looks), "persons waiting": str(actors.waiting)}
    if memory := gpu_memory(pipeline.provider):
        values["GPU memory [MiB]"] = f"{memory[0] >> 20} of {memory[1] >> 20}"
    values |= {"model": pipeline.card.name, "provider": pipeline.provider, "precision": pipeline.precision}
    return values | {"delta": str(pipeline.delta), "session": str(pipeline.session)}


def on_cpu(provider: str) -> bool:
    """Whether a network with this execution provider runs on the CPU."""
    return "cpu" in provider.lower()


class Diagnostics:
    """Publishes what the cameras' monitors know.

    failure: why it could not be configured, or "".
    """

    def __init__(self, node: Node, monitors: Sequence[Monitor]) -> None:
        self._node, self._monitors = node, monitors
        self._situation, self._since, self.failure = "not configured", time.monotonic(), ""
        self._publisher = node.create_publisher(DiagnosticArray, "/diagnostics", RESULTS)
        self._timer = node.create_timer(1.0, self._report, clock=steady_clock())
        self._jumps = node.get_clock().create_jump_callback(
            JumpThreshold(min_forward=None, min_backward=Duration(nanoseconds=-1), on_clock_change=True),
            post_callback=self._on_clock_jump,
        )

    @property
    def situation(self) -> str:
        """What the node is doing."""
        return self._situation

    @situation.setter
    def situation(self, words: str) -> None:
        if words != self._situation:
            self._situation, self._since = words, time.monotonic()

    def _idleness(self) -> str:
        """For how long it has waited to be told to look, or "" where it need not: nobody else may notice."""
        seconds = time.monotonic() - self._since
        if self._situation not in ("not configured", "inactive") or seconds < _PATIENCE:
            return ""
        node, next_step = self._node.get_fully_qualified_name(), "configure"
        if self._situation == "inactive":
            next_step = "activate"
        return f"{self._situation} for {seconds:.0f} s, sees nothing: ros2 lifecycle set {node} {next_step}"

    def _report(self) -> None:
        idle = self._idleness()
        report = DiagnosticArray(
            status=[monitor.status(self.situation, self.failure, idle) for monitor in self._monitors]
        )
        report.header.stamp = self._node.get_clock().now().to_msg()
        self._publisher.publish(report)

    def _on_clock_jump(self, jump: Any) -> None:
        for monitor in self._monitors:
            monitor.on_clock_jump()
