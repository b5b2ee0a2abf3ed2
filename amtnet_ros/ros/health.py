"""What the detector says of its own health: rates, delays, losses, as diagnostics."""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Mapping
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
