"""Real processes over real DDS: a stage, on which a test plays the camera and listens to the detector."""

from __future__ import annotations

import itertools
import json
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from amtnet_ros.ros import fastdds

ROOT = Path(__file__).resolve().parents[2]
PATIENCE = 60.0  # seconds; bounds every wait, generous because the machine may be busy

os.environ.setdefault("ROS_AUTOMATIC_DISCOVERY_RANGE", "LOCALHOST")
os.environ.update(fastdds.variables(ROOT / "config" / "fastdds.xml"))

import rclpy  # noqa: E402
from lifecycle_msgs.srv import GetState  # noqa: E402
from rcl_interfaces.srv import SetParametersAtomically  # noqa: E402
from rclpy._rclpy_pybind11 import NodeNameNonExistentError  # noqa: E402
from rclpy.context import Context  # noqa: E402
from rclpy.executors import SingleThreadedExecutor  # noqa: E402
from rclpy.node import Node  # noqa: E402
from rclpy.parameter import Parameter  # noqa: E402
from rclpy.qos import QoSProfile  # noqa: E402
from sensor_msgs.msg import Image  # noqa: E402
from std_msgs.msg import Header  # noqa: E402

from amtnet_ros.msg import ActionTube, ActionTubeArray  # noqa: E402
from amtnet_ros.ros.conversions import image_from_rgb  # noqa: E402
from amtnet_ros.ros.domain import is_free  # noqa: E402
from amtnet_ros.ros.messages import nanoseconds, time_message  # noqa: E402
from amtnet_ros.ros.qos import RESULTS  # noqa: E402

BUNDLED: dict[str, Any] = {"model": "light", "score_threshold": 0.0, "link.start_score": 0.0, "max_per_class": 1}
"""The bundled model, with parameters with which it sees something in any picture, but not too much."""

WORKER = int(os.environ.get("PYTEST_XDIST_WORKER", "gw0").removeprefix("gw"))
"""Tests in two processes have a domain each: even and odd."""

_domains = (2 + 2 * (number % 49) + WORKER % 2 for number in itertools.count(os.getpid() * 7 % 49))
"""Where this run of the tests begins: another run on this machine most likely begins elsewhere."""


def wait_until(condition: Callable[[], Any], what: str, timeout: float = PATIENCE) -> Any:
    """The condition's value once it is true; fails the test if it never is."""
    until = time.monotonic() + timeout
    while not (value := condition()):
        if time.monotonic() > until:
            pytest.fail(f"waited {timeout:g} s in vain until {what}")
        time.sleep(0.02)
    return value


class Process:
    """A process of the package, with its output."""

    def __init__(self, module: str, arguments: list[str], log: Path, domain: int) -> None:
        path = os.pathsep.join([str(ROOT), *filter(None, [os.environ.get("PYTHONPATH")])])  # a robot's ROS is in it
        environment = {**os.environ, "ROS_DOMAIN_ID": str(domain), "PYTHONPATH": path, "PYTHONUNBUFFERED": "1"}
        self._log = log
        with log.open("w") as out:
            self.popen = subprocess.Popen(
                [sys.executable, "-m", module, *arguments], cwd=ROOT, env=environment, stdout=out, stderr=out
            )

    @property
    def output(self) -> str:
        """Everything it has printed so far."""
        return self._log.read_text()

    def wait_for(self, text: str) -> str:
        """Its output, once the text is in it."""

        def said() -> bool:
            if self.popen.poll() is not None and text not in self.output:
                pytest.fail(f"ended with {self.popen.returncode} without saying '{text}':\n{self.output}")
            return text in self.output

        try:
            wait_until(said, f"it says '{text}'")
        except pytest.fail.Exception as error:
            pytest.fail(f"{error}\n{self.output}")
        return self.output

    def end(self, number: int = signal.SIGINT, timeout: float = PATIENCE) -> int:
        """Send the signal and wait; the exit code."""
        self.popen.send_signal(number)
        return self.popen.wait(timeout)

    def wait(self) -> int:
        """Until it ends by itself; the exit code."""
        return self.popen.wait(2 * PATIENCE)


class Stage:
    """A domain with a node in it that plays the camera and listens to the detector."""

    def __init__(self, folder: Path, model: Path) -> None:
        self.model = model
        self.domain = next(filter(is_free, _domains))
        self.folder = folder
        self.tubes: list[ActionTubeArray] = []
        self.next_stamp = 0
        self.processes: list[Process] = []
        self.context = Context()
        rclpy.init(context=self.context, domain_id=self.domain)
        self.node = Node("stage", context=self.context)
        self.node.create_subscription(ActionTubeArray, "action_tubes", self.tubes.append, RESULTS)
        self.images = self.node.create_publisher(Image, "image", QoSProfile(depth=10))
        self._executor = SingleThreadedExecutor(context=self.context)
        self._executor.add_node(self.node)
        self._thread = threading.Thread(target=self._executor.spin, daemon=True)
        self._thread.start()

    def run(self, module: str, *arguments: str) -> Process:
        """Start `python -m amtnet_ros.ros.MODULE ARGUMENTS` in this domain."""
        log = self.folder / f"{len(self.processes)}-{module}.log"
        process = Process(f"amtnet_ros.ros.{module}", list(arguments), log, self.domain)
        self.processes.append(process)
        return process

    def detector(self, **parameters: Any) -> Process:
        """Start an active detector, and wait until it can hear the images and we hear it.

        It has the tiny model; `model="light"` gives it the bundled one.
        """
        parameters = {"autostart": True, "model": str(self.model), **parameters}
        process = self.run("detector_node", "--ros-args", *_assignments(parameters))
        process.wait_for("Looking at")
        wait_until(self.images.get_subscription_count, "the detector subscribes")
        self.be_heard()
        return process

    def be_heard(self) -> None:
        """Wait until the detector knows of all subscriptions there are here by now.

        It answers a client only once it knows that client, and DDS announces what a node has in the order of making.
        """
        self.call(GetState, "/detector/get_state", GetState.Request())

    def show(self, image: Any, stamp: int, frame_id: str = "camera") -> None:
        """Publish a message, or an RGB array as one."""
        if isinstance(image, np.ndarray):
            image = image_from_rgb(image, Header(stamp=time_message(stamp), frame_id=frame_id))
        self.images.publish(image)

    def film(
        self, frames: Iterator[np.ndarray], until: Callable[[], Any], start: int | None = None, frame_id: str = "camera"
    ) -> list[int]:
        """Show frames until the condition holds; their stamps, 15 to the second.

        The next frame follows the answer to the last, or comes a little later where there is none: however slow the
        machine, few frames are dropped.
        """
        stamp = max(time.time_ns(), self.next_stamp) if start is None else start
        stamps: list[int] = []
        deadline = time.monotonic() + PATIENCE
        self.next_stamp = stamp
        for frame in frames:
            if until():
                return stamps
            if time.monotonic() > deadline:
                break
            stamps.append(stamp)
            answers = len(self.tubes)
            self.show(frame, stamp, frame_id)
            stamp = self.next_stamp = stamp + 66_666_667
            patience = time.monotonic() + 0.2
            while len(self.tubes) == answers and time.monotonic() < patience:
                time.sleep(0.005)
        if not until():
            pytest.fail(f"filmed {len(stamps)} frames in vain:\n" + "\n".join(p.output for p in self.processes))
        return stamps

    def used_by(self, node: str, ask: Callable[[str, str], list[tuple[str, Any]]]) -> list[tuple[str, Any]]:
        """What a node uses, by one of rclpy's `get_…_by_node`; nothing where it is not known yet, or not any more."""
        try:
            return ask(node, "/")
        except NodeNameNonExistentError:
            return []

    def call(self, kind: Any, service: str, request: Any) -> Any:
        """The answer of a service."""
        client = self.node.create_client(kind, service)
        try:
            assert client.wait_for_service(PATIENCE), f"no service {service}"
            future = client.call_async(request)
            wait_until(future.done, f"{service} answers")
            return future.result()
        finally:
            self.node.destroy_client(client)

    def close(self) -> None:
        """End everything that was started."""
        for process in self.processes:
            if process.popen.poll() is None:
                process.popen.kill()
                process.popen.wait()
        self._executor.shutdown()
        self._thread.join(PATIENCE)  # a node that still spins must not be destroyed
        self.node.destroy_node()
        self.context.try_shutdown()


def set_together(stage: Stage, **values: Any) -> Any:
    """Set parameters of the detector atomically; the result. A double underscore stands for a dot."""
    parameters = [Parameter(name.replace("__", "."), value=value).to_parameter_msg() for name, value in values.items()]
    request = SetParametersAtomically.Request(parameters=parameters)
    return stage.call(SetParametersAtomically, "/detector/set_parameters_atomically", request).result


def _assignments(parameters: dict[str, Any]) -> list[str]:
    return [part for name, value in parameters.items() for part in ("-p", f"{name}:={json.dumps(value)}")]


def walker(width: int = 320, height: int = 240) -> Iterator[np.ndarray]:
    """Endless frames of a bright figure that walks to and fro before a textured wall."""
    texture = np.random.default_rng(7).integers(40, 110, (15, 20, 3), dtype=np.uint8)
    wall = texture.repeat(16, axis=0).repeat(16, axis=1)
    rows = np.arange(height) * 240 // height
    columns = np.arange(width) * 320 // width
    for step in itertools.count():
        left = 60 + abs((step * 6) % 240 - 120)
        frame = wall.copy()
        frame[70:100, left + 15 : left + 45] = (230, 190, 160)
        frame[100:170, left : left + 60] = (200, 60, 50)
        frame[170:225, left + 8 + step % 2 * 6 : left + 28] = (40, 50, 160)
        frame[170:225, left + 32 : left + 52 - step % 2 * 6] = (40, 50, 160)
        yield frame[rows][:, columns]


def darkness(width: int = 320, height: int = 240) -> Iterator[np.ndarray]:
    """Endless black frames."""
    while True:
        yield np.zeros((height, width, 3), dtype=np.uint8)


def stamps_of(messages: list[ActionTubeArray]) -> list[int]:
    """The messages' stamps in nanoseconds."""
    return [nanoseconds(message.header.stamp) for message in messages]


def ends(messages: list[ActionTubeArray]) -> list[tuple[bytes, int]]:
    """(session, id) of every tube reported as ENDED, as often as it was reported."""
    return [
        (bytes(np.asarray(message.session.uuid)), tube.id)
        for message in messages
        for tube in message.tubes
        if tube.state == ActionTube.ENDED
    ]
