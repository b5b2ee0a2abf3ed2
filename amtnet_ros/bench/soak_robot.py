"""The robot around a detector that is soaked: its camera, whoever listens, and whoever calls its services."""

from __future__ import annotations

import itertools
import subprocess
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import cv2
import numpy as np
import rclpy
from diagnostic_msgs.msg import DiagnosticArray
from lifecycle_msgs.msg import Transition
from lifecycle_msgs.srv import ChangeState
from rcl_interfaces.srv import SetParametersAtomically
from rclpy.client import Client
from rclpy.experimental.events_executor import EventsExecutor
from rclpy.node import Node
from rclpy.parameter import Parameter
from sensor_msgs.msg import Image
from std_msgs.msg import Header
from std_srvs.srv import SetBool, Trigger

from amtnet_ros.bench.tube_ledger import TubeLedger
from amtnet_ros.client import Action, ActionClient
from amtnet_ros.contracts import UInt8
from amtnet_ros.errors import UserError
from amtnet_ros.msg import ActionTubeArray, Latency
from amtnet_ros.ros.conversions import image_from_rgb
from amtnet_ros.ros.messages import nanoseconds, time_message
from amtnet_ros.ros.qos import RESULTS

RATE = 30
INTERVAL = 1_000_000_000 // RATE
PATIENCE = 30.0
"""Seconds for anything that is bound to happen; the machine may be busy."""
ANSWER = 5.0
"""Seconds for the answer to an image, which may be lost on the way."""
TRIES = 5
"""Images in a row of which one must be answered."""
IMAGE_TIMEOUT = 3.0
"""The detector's, in seconds. A machine that is so busy that an answer takes longer ends tubes, and rightly so."""


_ANY_AGE = 1e9  # seconds: the stamps have little to do with the clock


class BrokenPromiseError(Exception):
    """A promise that the detector did not keep."""


class _AccountedClient(ActionClient):
    """A client that tells a ledger of each message first: a second subscription costs more than both do with it."""

    def __init__(
        self, node: Node, ledger: TubeLedger, on_start: Callable[[Action], None], on_end: Callable[[Action], None]
    ) -> None:
        self._ledger = ledger
        super().__init__(node, on_start, on_end, max_age=_ANY_AGE)

    def _on_tubes(self, message: ActionTubeArray) -> None:
        self._ledger.add(message)
        super()._on_tubes(message)


class Robot(Node):
    """Shows images in lockstep with the answers, their stamps 1/30 s apart whatever the clock says.

    images: endless, RGB. rng: of all that is drawn. detector: its process. steps: images that the detector answered.
    lost: good ones that it did not. standing: the scene stands still. defects: internal errors by its own account.
    not_judged: faults of which the machine was too slow to tell whether tubes may have ended.
    client_errors: actions that a client was told to have begun or ended out of turn.
    """

    def __init__(self, images: Iterator[UInt8], rng: np.random.Generator, detector: subprocess.Popen[bytes]) -> None:
        super().__init__("soak")
        self.rng, self.ledger, self.detector = rng, TubeLedger(), detector
        self.stamp, self.size, self.steps, self.lost = time.time_ns(), (160, 120), 0, 0
        self.standing = False
        self.not_judged = 0
        self._heard_at = self._longest_silence = 0.0
        self.defects = 0
        self._images, self._picture = images, next(images)
        self._answered = 0
        self._going_on: set[tuple[Any, int]] = set()
        self.client_errors = 0
        self.camera = self.create_publisher(Image, "image", RESULTS)
        self.create_subscription(Latency, "/detector/latency", self._on_latency, RESULTS)
        self.create_subscription(DiagnosticArray, "/diagnostics", self._on_health, RESULTS)
        self.client = _AccountedClient(self, self.ledger, self._on_start, self._on_end)
        self._executor = EventsExecutor()  # a fifth cheaper a step than waiting sets in Python
        self._executor.add_node(self)

    # Time passes

    def spin(self, seconds: float = 0.02) -> None:
        """Serve what comes; seconds: to wait for it, at most."""
        self._executor.spin_once(timeout_sec=seconds)

    def wait_for(self, condition: Callable[[], Any], what: str, seconds: float = PATIENCE) -> None:
        """Until the condition holds. Raises BrokenPromiseError if it never does."""
        until = time.monotonic() + seconds
        while not condition():
            if self.detector.poll() is not None:
                raise BrokenPromiseError(f"the detector died with exit code {self.detector.returncode}")
            if time.monotonic() > until:
                raise BrokenPromiseError(f"waited {seconds:g} s in vain until {what}")
            self.spin()

    # The camera

    def message(self) -> Image:
        """The next image, a good one, 1/30 s after the one before."""
        self.stamp += INTERVAL
        self._picture = self._picture if self.standing else next(self._images)
        image = cv2.resize(self._picture, self.size, interpolation=cv2.INTER_AREA)
        header = Header(stamp=time_message(self.stamp), frame_id="camera")
        return image_from_rgb(np.asarray(image, dtype=np.uint8), header)

    def publish(self, message: Image) -> None:
        """Send an image without waiting for an answer."""
        header = message.header
        self.ledger.show(nanoseconds(header.stamp), header.frame_id, (message.width, message.height))
        self.camera.publish(message)

    def show(self, message: Image, patience: float = ANSWER) -> bool:
        """Send an image; whether it was answered."""
        stamp, self._answered = nanoseconds(message.header.stamp), 0
        self.publish(message)
        until = time.monotonic() + patience
        while self._answered != stamp and time.monotonic() < until:
            self.spin()
        return self._answered == stamp

    def film(self, count: int) -> None:
        """Show good images. Raises BrokenPromiseError where none of several in a row is answered."""
        silence = 0
        for _ in range(count):
            silence = 0 if self.show(self.message()) else silence + 1
            self.lost += silence > 0
            if silence >= TRIES or self.detector.poll() is not None:
                raise BrokenPromiseError(
                    f"{silence} good images in a row were not answered (exit code {self.detector.poll()})"
                )

    def connected(self) -> bool:
        """Whether the detector hears us and we hear it."""
        named = [name for name, _ in self.get_topic_names_and_types()]
        return self.camera.get_subscription_count() > 0 and "/detector/latency" in named

    def await_detector(self) -> None:
        """Until images are answered. Raises BrokenPromiseError if they never are."""
        self.wait_for(self.connected, "the detector listens")
        for _ in itertools.repeat(None, 10):
            if self.show(self.message()):
                return
        raise BrokenPromiseError("no image was answered")

    @contextmanager
    def none_ends(self, what: str) -> Iterator[None]:
        """Inside, nothing happens of which a tube may end. Raises BrokenPromiseError where one does all the same."""
        ended, session = len(self.ledger.ended), self.ledger.session
        self._heard_at, self._longest_silence = time.monotonic(), 0.0
        yield
        if self._longest_silence > IMAGE_TIMEOUT / 2:
            self.not_judged += 1
        elif len(self.ledger.ended) != ended or self.ledger.session != session:
            raise BrokenPromiseError(f"{len(self.ledger.ended) - ended} tubes ended of {what}")

    # What the detector is asked for

    def call(self, kind: Any, service: str, request: Any) -> Any:
        """The answer of one of the detector's services. Raises BrokenPromiseError where none comes."""
        client: Client[Any, Any] = self.create_client(kind, f"/detector/{service}")
        try:
            self.wait_for(client.service_is_ready, f"{service} is there")
            future = client.call_async(request)
            self.wait_for(future.done, f"{service} answers")
            return future.result()
        finally:
            self.destroy_client(client)

    def set_together(self, values: dict[str, Any]) -> bool:
        """Whether the detector took them."""
        parameters = [Parameter(name, value=value).to_parameter_msg() for name, value in values.items()]
        request = SetParametersAtomically.Request(parameters=parameters)
        return bool(self.call(SetParametersAtomically, "set_parameters_atomically", request).result.successful)

    def change_state(self, transition: int) -> None:
        """A transition of the lifecycle. Raises BrokenPromiseError where it fails."""
        answer = self.call(ChangeState, "change_state", ChangeState.Request(transition=Transition(id=transition)))
        if not answer.success:
            raise BrokenPromiseError(f"transition {transition} failed")

    def enable(self, wanted: bool) -> None:
        """Let the detector look, or look away."""
        if not self.call(SetBool, "set_enabled", SetBool.Request(data=wanted)).success:
            raise BrokenPromiseError("set_enabled failed")

    def reset(self) -> None:
        """Let it begin anew."""
        if not self.call(Trigger, "reset", Trigger.Request()).success:
            raise BrokenPromiseError("reset failed")

    # What it tells

    def all_end(self, live: set[tuple[bytes, int]], after: str) -> None:
        """Every one of those tubes ends. Raises BrokenPromiseError if not."""
        self.wait_for(lambda: not live & self.ledger.live, f"{len(live)} tubes end after {after}")

    def _on_latency(self, message: Latency) -> None:
        self.steps += 1
        now = time.monotonic()
        self._longest_silence, self._heard_at = max(self._longest_silence, now - self._heard_at), now
        self._answered = nanoseconds(message.header.stamp)

    def _on_health(self, message: DiagnosticArray) -> None:
        for status in message.status:
            self.defects = max([self.defects, *(int(v.value) for v in status.values if v.key == "internal errors")])

    def _on_start(self, action: Action) -> None:
        key = (action.session, action.id)
        self.client_errors += key in self._going_on
        self._going_on.add(key)

    def _on_end(self, action: Action) -> None:
        key = (action.session, action.id)
        self.client_errors += key not in self._going_on
        self._going_on.discard(key)

    @property
    def going_on(self) -> int:
        """Actions that a client was told to have begun, but not to have ended."""
        return len(self._going_on)

    def close(self) -> None:
        """Leave the robot."""
        self.client.close()
        self._executor.shutdown()
        self.destroy_node()
        rclpy.try_shutdown()


def clips_as_images(clips: list[list[UInt8]], rng: np.random.Generator) -> Iterator[UInt8]:
    """Endless images of clips that are drawn one after another. Raises UserError where there is none."""
    if not any(clips):
        raise UserError("no image to show: the clips are empty")
    while True:
        yield from clips[rng.integers(len(clips))]
