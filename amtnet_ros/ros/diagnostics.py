"""The detector's diagnostics: once a second, in every state, a status for each camera."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from diagnostic_msgs.msg import DiagnosticArray
from rclpy.clock import Clock, JumpThreshold
from rclpy.clock_type import ClockType
from rclpy.duration import Duration
from rclpy.node import Node

from amtnet_ros.ros.monitor import Monitor
from amtnet_ros.ros.qos import RESULTS


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
