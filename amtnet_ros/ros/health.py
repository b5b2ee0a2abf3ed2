"""What the detector says of its own health: rates, delays, losses, as diagnostics."""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from diagnostic_msgs.msg import DiagnosticStatus, KeyValue

OK, WARN, ERROR = DiagnosticStatus.OK, DiagnosticStatus.WARN, DiagnosticStatus.ERROR


class Rate:
    """Events a second over the last few seconds."""

    def __init__(self, window: float = 5.0) -> None:
        self._window = window
        self._times: deque[float] = deque(maxlen=10_000)

    def tick(self) -> None:
        """An event, now."""
        self._times.append(time.monotonic())

    @property
    def hertz(self) -> float:
        """Of the events in the window; 0 with fewer than two."""
        recent = [when for when in tuple(self._times) if when > time.monotonic() - self._window]
        return (len(recent) - 1) / (recent[-1] - recent[0]) if len(recent) > 1 and recent[-1] > recent[0] else 0.0


@dataclass
class Health:
    """Counted and measured since the node was configured. Written by one thread each, read by any."""

    images_in: Rate = field(default_factory=Rate)
    steps_out: Rate = field(default_factory=Rate)
    received: int = 0
    refused: int = 0
    defects: int = 0
    clock_jumps: int = 0
    tubes_alive: int = 0
    image_age: float | None = None
    delay: float | None = None
    latency: Mapping[str, float] = field(default_factory=dict)
    last_refusal: str = ""
    last_refusal_at: float = float("-inf")

    def refuse(self, reason: str) -> None:
        """An image could not be used."""
        self.refused += 1
        self.last_refusal, self.last_refusal_at = reason, time.monotonic()

    def values(self) -> dict[str, str]:
        """Everything as diagnostics show it."""
        values = {
            "input rate [Hz]": f"{self.images_in.hertz:.1f}",
            "output rate [Hz]": f"{self.steps_out.hertz:.1f}",
            "images received": str(self.received),
            "images refused": str(self.refused),
            "internal errors": str(self.defects),
            "clock jumps": str(self.clock_jumps),
            "tubes alive": str(self.tubes_alive),
        }
        if self.image_age is not None:
            values["image age on arrival [ms]"] = f"{self.image_age * 1e3:.1f}"
        if self.delay is not None:
            values["image stamp to tubes [ms]"] = f"{self.delay * 1e3:.1f}"
        values.update({f"{stage} [ms]": f"{seconds * 1e3:.1f}" for stage, seconds in self.latency.items()})
        return values


def status(name: str, hardware: str, level: bytes, message: str, values: Mapping[str, str]) -> DiagnosticStatus:
    """A diagnostic status message."""
    return DiagnosticStatus(
        level=level,
        name=name,
        hardware_id=hardware,
        message=message,
        values=[KeyValue(key=key, value=value) for key, value in values.items()],
    )


@dataclass(frozen=True)
class Input:
    """What is known of the image topic.

    topic: its full name. name: what the detector calls it, and what is remapped.
    silence: seconds since the last image, or since the subscription if none came.
    age: seconds between the stamp of the newest image and its arrival; None if none came.
    publishers: how many there are. incompatible: the QoS policy in which a publisher and we disagree, or "".
    other_type: the type the topic is published with, if not ours, or "". elsewhere: other topics that carry images.
    """

    topic: str
    name: str
    silence: float
    age: float | None
    publishers: int
    incompatible: str = ""
    other_type: str = ""
    elsewhere: Sequence[str] = ()


def complaint(seen: Input, timeout: float, max_age: float) -> str:
    """One line that names the cause and the remedy, or "" while all is well. timeout, max_age: seconds."""
    if seen.silence > timeout:
        return _why_silent(seen)
    if seen.age is not None and seen.age > max_age:
        return (
            f"images on {seen.topic} are {seen.age:.1f} s old when they arrive; are the clocks of camera and robot "
            "synchronised, is use_sim_time right, is the network fast enough?"
        )
    if seen.age is not None and seen.age < -max_age:
        return (
            f"images on {seen.topic} are stamped {-seen.age:.1f} s in the future; are the clocks of camera and robot "
            "synchronised, is use_sim_time right?"
        )
    return ""


def _why_silent(seen: Input) -> str:
    if seen.other_type:
        return f"{seen.topic} carries {seen.other_type}, which is no image of the kind that image_transport asks for"
    if seen.incompatible:
        return (
            f"a publisher of {seen.topic} offers an incompatible QoS ({seen.incompatible}), nothing comes from it; "
            f"see the parameters qos_overrides.{seen.topic}.subscription.*"
        )
    if seen.publishers == 0:
        others = f"; images are published on {', '.join(seen.elsewhere)}" if seen.elsewhere else ""
        return f"nobody publishes {seen.topic}; is the camera running, is '{seen.name}' remapped to its topic?{others}"
    return f"no image on {seen.topic} for {seen.silence:.1f} s although it has {seen.publishers} publisher(s)"
