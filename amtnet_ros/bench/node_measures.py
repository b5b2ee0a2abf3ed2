"""Measures the detector as its users meet it: another process, over DDS."""

from __future__ import annotations

import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np
import rclpy
from lifecycle_msgs.msg import Transition
from lifecycle_msgs.srv import ChangeState
from rclpy.client import Client
from rclpy.node import Node
from sensor_msgs.msg import Image
from std_msgs.msg import Header

from amtnet_ros.bench.detector_process import cpu_seconds, detector_process
from amtnet_ros.bench.pipeline import moving_texture, quantiles
from amtnet_ros.errors import UserError
from amtnet_ros.msg import ActionTubeArray, Latency
from amtnet_ros.pipeline import STAGES
from amtnet_ros.ros.conversions import image_from_rgb
from amtnet_ros.ros.messages import nanoseconds
from amtnet_ros.ros.qos import PICTURES, RESULTS

WARM_UP = 15
"""Images before the clock counts: flow's first window fills."""
READY = 90.0
"""Seconds that the detector may take to load its model and to be found."""
TEXTURES = 20


class BenchCamera(Node):
    """Publishes images, and notes when their tubes come back and what the detector says of its own time."""

    def __init__(self) -> None:
        super().__init__("bench_camera")
        self.images = self.create_publisher(Image, "/camera/image_raw", RESULTS)
        self.received: dict[int, float] = {}
        self.overhead: dict[int, float] = {}
        self._tubes = self.create_subscription(ActionTubeArray, "action_tubes", self._on_tubes, RESULTS)
        self._latency = self.create_subscription(Latency, "/detector/latency", self._on_latency, PICTURES)

    @property
    def connected(self) -> bool:
        """Whether images will be heard and tubes and latency come."""
        heard = self.images.get_subscription_count() > 0
        return heard and self.count_publishers("action_tubes") > 0 and self.count_publishers("/detector/latency") > 0

    def _on_tubes(self, message: ActionTubeArray) -> None:
        stamp = nanoseconds(message.header.stamp)
        self.received[stamp] = (self.get_clock().now().nanoseconds - stamp) / 1e9

    def _on_latency(self, message: Latency) -> None:
        own = sum(getattr(message, stage) for stage in STAGES)
        self.overhead[nanoseconds(message.header.stamp)] = message.total - own


def measure_node(model: str, device: str, size: str, rate: float, images: int) -> dict[str, Any]:
    """Run one detector and feed it. Latency and overhead in ms, and how many of the images were answered.

    size: WIDTHxHEIGHT. Raises UserError where the detector does not start.
    """
    with running(model, device) as (camera, _):
        stamps = play(camera, size, rate, images)
        await_answer(camera, stamps[-1])
    latency = [camera.received[stamp] for stamp in stamps if stamp in camera.received]
    overhead = [camera.overhead[stamp] for stamp in stamps if stamp in camera.overhead]
    if not latency or not overhead:
        raise UserError(f"the detector answered none of {len(stamps)} images of {size}; is the machine overloaded?")
    return {
        "size": size,
        "latency_ms": quantiles(np.array(latency, np.float32)),
        "overhead_ms": quantiles(np.array(overhead, np.float32)),
        "answered": f"{len(latency)} of {len(stamps)}",
    }


def measure_idle(model: str, device: str, seconds: float) -> float:
    """CPU time of a deactivated detector, in percent of one core, while a camera of 640x480 goes on at 30 Hz."""
    with running(model, device) as (camera, detector):
        _deactivate(camera)
        play(camera, "640x480", 30.0, 15)  # what deactivation leaves to do is done
        before, begin = cpu_seconds(detector.pid), time.monotonic()
        play(camera, "640x480", 30.0, round(30 * seconds))
        return 100 * (cpu_seconds(detector.pid) - before) / (time.monotonic() - begin)


@contextmanager
def running(model: str, device: str) -> Iterator[tuple[BenchCamera, subprocess.Popen[bytes]]]:
    """A camera, and an active detector in a process of its own, in a ROS domain of their own."""
    remap = ("-r", "image:=/camera/image_raw", "--log-level", "error")
    with detector_process({"model": model, "device": device}, *remap) as detector:
        rclpy.init()
        camera = BenchCamera()
        try:
            _await(camera, detector)
            yield camera, detector
        finally:
            camera.destroy_node()
            rclpy.try_shutdown()


def _await(camera: BenchCamera, detector: subprocess.Popen[bytes]) -> None:
    until = time.monotonic() + READY
    while not camera.connected:
        if detector.poll() is not None:
            raise UserError(f"the detector ended with exit code {detector.returncode}; its log is above")
        if time.monotonic() > until:
            raise UserError(f"the detector was not ready within {READY:g} s")
        rclpy.spin_once(camera, timeout_sec=0.1)


def _deactivate(camera: BenchCamera) -> None:
    client: Client[Any, Any] = camera.create_client(ChangeState, "/detector/change_state")
    client.wait_for_service(READY)
    change = client.call_async(ChangeState.Request(transition=Transition(id=Transition.TRANSITION_DEACTIVATE)))
    rclpy.spin_until_future_complete(camera, change, timeout_sec=READY)
    if (answer := change.result()) is None or not answer.success:
        raise UserError("the detector was not deactivated")


def play(camera: BenchCamera, size: str, rate: float, images: int) -> list[int]:
    """Publish the images at the rate; the stamps of those that count."""
    width, height = (int(part) for part in size.split("x"))
    source = moving_texture((width, height), seed=0)
    textures = [next(source) for _ in range(TEXTURES)]
    textures += textures[-2:0:-1]  # to and fro: a leap would be a cut, for which the detector waits an image
    stamps = []
    begin = time.monotonic()
    for number in range(WARM_UP + images):
        while (wait := begin + number / rate - time.monotonic()) > 0:
            rclpy.spin_once(camera, timeout_sec=wait)
        now = camera.get_clock().now()
        message = image_from_rgb(textures[number % len(textures)], Header(stamp=now.to_msg(), frame_id="camera"))
        camera.images.publish(message)
        if number >= WARM_UP:
            stamps.append(now.nanoseconds)
    return stamps


def await_answer(camera: BenchCamera, stamp: int) -> None:
    """Until the tubes of that stamp (ns) come, two seconds at most."""
    until = time.monotonic() + 2.0
    while time.monotonic() < until and stamp not in camera.received:
        rclpy.spin_once(camera, timeout_sec=0.1)
