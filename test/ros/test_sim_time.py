"""Simulated time: ages are counted on /clock, and its jumps are noticed."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
from diagnostic_msgs.msg import DiagnosticArray
from rosgraph_msgs.msg import Clock
from stage import Stage, wait_until

from amtnet_ros.ros.messages import time_message

SECOND = 10**9
WHITE = np.full((48, 64, 3), 250, dtype=np.uint8)


def test_images_of_a_simulation_are_not_old(stage: Stage) -> None:
    clock = stage.node.create_publisher(Clock, "/clock", 10)
    said: list[dict[str, str]] = []

    def on_diagnostics(message: DiagnosticArray) -> None:
        said.extend({pair.key: pair.value for pair in status.values} for status in message.status)

    stage.node.create_subscription(DiagnosticArray, "/diagnostics", on_diagnostics, 10)
    detector = stage.detector(use_sim_time=True, max_image_age=30.0)
    wait_until(clock.get_subscription_count, "the detector listens to the clock")

    def filmed() -> Iterator[np.ndarray]:
        while True:
            clock.publish(Clock(clock=time_message(stage.next_stamp)))
            yield WHITE

    def told() -> bool:
        return len(stage.tubes) > 3 and any("image age on arrival [ms]" in values for values in said)

    stage.film(filmed(), until=told, start=50 * SECOND)
    ages = [float(values["image age on arrival [ms]"]) for values in said if "image age on arrival [ms]" in values]
    assert abs(ages[-1]) < 1000, "by the wall clock they are more than half a century old"
    assert "old when they arrive" not in detector.output

    clock.publish(Clock(clock=time_message(10 * SECOND)))
    wait_until(lambda: int(said[-1]["clock jumps"]) > 0, "the jump back is noticed")
