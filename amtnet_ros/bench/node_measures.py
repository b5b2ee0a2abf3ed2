"""Measures the detector as its users meet it: in a process and a ROS domain of its own, over DDS."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import rclpy
from lifecycle_msgs.msg import Transition
from lifecycle_msgs.srv import ChangeState
from rclpy.client import Client
from rclpy.node import Node
from sensor_msgs.msg import Image
from std_msgs.msg import Header

from amtnet_ros.bench.pipeline import moving_texture, quantiles
from amtnet_ros.errors import UserError
from amtnet_ros.msg import ActionTubeArray, Latency
from amtnet_ros.pipeline import STAGES
from amtnet_ros.ros.conversions import image_from_rgb
from amtnet_ros.ros.domain import free_domain
from amtnet_ros.ros.messages import nanoseconds
from amtnet_ros.ros.qos import PICTURES, RESULTS


@contextmanager
def detector_process(
    parameters: Mapping[str, Any], *arguments: str, log: Path | None = None
) -> Iterator[subprocess.Popen[bytes]]:
    """An active detector, while inside; then it is told to end.

    parameters: of the node. arguments: more for ROS. log: file for what it prints; None: its stderr is ours.
    This process moves to a ROS domain that nobody else uses.
    """
    os.environ.update(ROS_DOMAIN_ID=str(free_domain()), ROS_AUTOMATIC_DISCOVERY_RANGE="LOCALHOST")
    given = [f"{name}:={json.dumps(value)}" for name, value in {"autostart": True, **parameters}.items()]
    words = [word for each in given for word in ("-p", each)]
    command = [sys.executable, "-m", "amtnet_ros.ros.detector_node", "--ros-args", *words, *arguments]
    with open(log or os.devnull, "wb") as out:
        error = out if log else None
        process = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=out, stderr=error)
        try:
            yield process
        finally:
            process.send_signal(signal.SIGINT)
            process.wait(30)


def cpu_seconds(pid: int) -> float:
    """Of all threads of a process, user and system."""
    fields = Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


@dataclass(frozen=True)
class Footprint:
    """What a process holds. memory: MiB that are in RAM; files: open handles; threads: that are alive."""

    memory: float
    files: int
    threads: int


def footprint(pid: int) -> Footprint:
    """Of a process that runs."""
    folder = Path(f"/proc/{pid}")
    pages = int((folder / "statm").read_text().split()[1])
    memory = round(pages * os.sysconf("SC_PAGE_SIZE") / 2**20, 1)
    return Footprint(memory, len(os.listdir(folder / "fd")), len(os.listdir(folder / "task")))


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
