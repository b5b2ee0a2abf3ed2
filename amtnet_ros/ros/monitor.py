"""Watches over one camera: its health for the diagnostics, and a warning in the log where images stay away."""

from __future__ import annotations

import re
import time
import traceback
from collections.abc import Sequence
from typing import Any

from diagnostic_msgs.msg import DiagnosticArray, DiagnosticStatus
from rclpy.clock import Clock, JumpThreshold
from rclpy.clock_type import ClockType
from rclpy.duration import Duration
from rclpy.impl.rcutils_logger import RcutilsLogger
from rclpy.node import Node
from rclpy.qos import qos_policy_name_from_kind
from rclpy.subscription import Subscription

from amtnet_ros.contracts import TubeState
from amtnet_ros.errors import UserError
from amtnet_ros.inference.gpu import gpu_memory
from amtnet_ros.pipeline import Pipeline
from amtnet_ros.ros.health import ERROR, OK, WARN, Health, Input, complaint, status
from amtnet_ros.ros.parameters import Parameters
from amtnet_ros.ros.qos import RESULTS
from amtnet_ros.ros.worker import Step, Worker

_REPEAT = 10.0  # seconds between two warnings of the same kind


class Monitor:
    """The camera tells it what happens; it tells the log at once, and the diagnostics when they ask.

    name: the camera's, "" for an only one. log: where its warnings go. worker: the one in use, or None.
    """

    def __init__(self, node: Node, name: str, log: RcutilsLogger, parameters: Parameters) -> None:
        self._node, self._log, self._parameters = node, log, parameters
        self._title = f"{node.get_name()}: action tubes" + (f" of {name}" if name else "")
        self._health = Health()
        self.worker: Worker | None = None
        self._subscription: Subscription[Any] | None = None
        self._image_name = ""
        self._last_image_at = 0.0
        self._incompatible = ""
        self._warned: tuple[str, float] = ("", 0.0)

    # What the camera tells

    def begin(self, worker: Worker) -> None:
        """The camera is configured, and its counters start at nothing."""
        self._health = Health()
        self.worker = worker

    def look(self, subscription: Subscription[Any], name: str) -> None:
        """Images are expected from now on, on the topic of that relative name."""
        self._subscription, self._image_name = subscription, name
        self._last_image_at = time.monotonic()
        self._incompatible = ""

    def look_away(self) -> None:
        """No more images are expected."""
        self._subscription = None

    def on_image(self, age: float) -> None:
        """An image arrived; age: seconds since its stamp."""
        self._last_image_at = time.monotonic()
        self._health.received += 1
        self._health.images_in.tick()
        self._health.image_age = age

    def on_step(self, step: Step, delay: float) -> None:
        """A step was published; delay: seconds since the stamp of its image."""
        health = self._health
        health.steps_out.tick()
        health.tubes_alive = sum(tube.state != TubeState.ENDED for tube in step.update.tubes)
        health.delay = delay

    def on_looked(self, latency: dict[str, float]) -> None:
        """An image was looked at; latency: seconds of each stage."""
        if latency["encode"]:  # else it made no step
            self._health.latency = latency

    def on_refused(self, error: UserError) -> None:
        """An image could not be used."""
        self._health.refuse(str(error))
        self._log.error(f"Image refused: {error}", throttle_duration_sec=_REPEAT)

    def on_defect(self, error: Exception) -> None:
        """Something went wrong that never should."""
        self._health.defects += 1
        trace = "".join(traceback.format_exception(error))
        self._log.error(f"Internal error, tubes start anew: {trace}", throttle_duration_sec=_REPEAT)

    def on_incompatible_qos(self, event: Any) -> None:
        """A publisher and our subscription do not fit."""
        self._incompatible = qos_policy_name_from_kind(event.last_policy_kind)

    def on_clock_jump(self) -> None:
        """The node's clock jumped back, or was replaced."""
        self._health.clock_jumps += 1

    # What it tells

    def status(self, situation: str, failure: str) -> DiagnosticStatus:
        """The camera's health. situation: what the node is doing; failure: why it could not be configured, or ""."""
        trouble = self._trouble_with_input()
        level, message = (ERROR, failure) if failure else self._judgement(situation, trouble)
        values = self._health.values()
        if self.worker is not None:
            values |= {"images dropped": str(self.worker.dropped), **self._values_of(self.worker.pipeline)}
        return status(self._title, "", level, message, values)

    def _values_of(self, pipeline: Pipeline) -> dict[str, str]:
        values = {f"frames {name}".replace("_", " "): str(count) for name, count in pipeline.counters.items()}
        linked = pipeline.linked
        values |= {"tubes started": str(linked.started), "tubes dropped, too many": str(linked.dropped)}
        values |= {"tubes timed out": str(linked.timed_out), "micro-tubes refused": str(linked.refused)}
        if memory := gpu_memory(pipeline.provider):
            values["GPU memory [MiB]"] = f"{memory[0] >> 20} of {memory[1] >> 20}"
        values |= {"model": pipeline.card.name, "provider": pipeline.provider, "precision": pipeline.precision}
        return values | {"delta": str(pipeline.delta), "session": str(pipeline.session)}

    def _judgement(self, situation: str, trouble: str) -> tuple[bytes, str]:
        """Level and message of a camera that could be configured, or was not told to be."""
        device = self._parameters.settings["device"]
        if self.worker is not None and device not in ("auto", "cpu") and on_cpu(self.worker.pipeline.provider):
            return ERROR, f"runs on the CPU although device is {device}"
        if time.monotonic() - self._health.last_refusal_at < _REPEAT:
            return ERROR, self._health.last_refusal
        return (WARN, trouble) if trouble else (OK, situation)

    def _trouble_with_input(self) -> str:
        """Why images stay away, or ""; a new reason is logged at once, a standing one now and then."""
        if self._subscription is None:
            return ""
        settings = self._parameters.settings
        reason = complaint(self._input(self._subscription), settings["image_timeout"], settings["max_image_age"])
        kind, now = re.sub(r"[0-9.]+ s", "", reason), time.monotonic()
        if reason and (kind != self._warned[0] or now - self._warned[1] > _REPEAT):
            self._log.warning(reason)
            self._warned = (kind, now)
        return reason

    def _input(self, subscription: Subscription[Any]) -> Input:
        topic, kind = subscription.topic_name, f"sensor_msgs/msg/{subscription.msg_type.__name__}"
        silence = time.monotonic() - self._last_image_at
        if silence < 1.0:
            return Input(topic, self._image_name, silence, self._health.image_age, publishers=1)
        types = dict(self._node.get_topic_names_and_types())
        others = [name for name in types.get(topic, []) if name != kind]
        return Input(
            topic,
            self._image_name,
            silence,
            self._health.image_age,
            publishers=self._node.count_publishers(topic),
            incompatible=self._incompatible,
            other_type=others[0] if others else "",
            elsewhere=sorted(name for name, kinds in types.items() if kind in kinds and self._is_camera(name, topic)),
        )

    def _is_camera(self, name: str, own: str) -> bool:
        ours = name.startswith(self._node.get_fully_qualified_name() + "/")
        return name != own and not ours and self._node.count_publishers(name) > 0


def on_cpu(provider: str) -> bool:
    """Whether a network with this execution provider runs on the CPU."""
    return "cpu" in provider.lower()


class Diagnostics:
    """Publishes what the cameras' monitors know.

    situation: what the node is doing, in a word or two. failure: why it could not be configured, or "".
    """

    def __init__(self, node: Node, monitors: Sequence[Monitor]) -> None:
        self._node, self._monitors = node, monitors
        self.situation, self.failure = "not configured", ""
        self._publisher = node.create_publisher(DiagnosticArray, "/diagnostics", RESULTS)
        self._timer = node.create_timer(1.0, self._report, clock=Clock(clock_type=ClockType.STEADY_TIME))
        self._jumps = node.get_clock().create_jump_callback(
            JumpThreshold(min_forward=None, min_backward=Duration(nanoseconds=-1), on_clock_change=True),
            post_callback=self._on_clock_jump,
        )

    def _report(self) -> None:
        report = DiagnosticArray(status=[monitor.status(self.situation, self.failure) for monitor in self._monitors])
        report.header.stamp = self._node.get_clock().now().to_msg()
        self._publisher.publish(report)

    def _on_clock_jump(self, jump: Any) -> None:
        for monitor in self._monitors:
            monitor.on_clock_jump()
