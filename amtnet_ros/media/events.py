"""When actions begin and end, as lines for people."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from amtnet_ros.contracts import OTHER, Tube, TubeState, TubeUpdate


@dataclass(frozen=True)
class ActionEvent:
    """An action begins, or ends: then seconds says how long it went on. stamp: ns; id: the tube's; score: in 0..1."""

    stamp: int
    id: int
    name: str
    score: float
    seconds: float | None = None

    def __str__(self) -> str:
        if self.seconds is None:
            return f"#{self.id} {self.name} begins {self.score:.2f}"
        return f"#{self.id} {self.name} ends after {self.seconds:.1f} s"

    def line(self, origin: int) -> str:
        """With the time since the stamp `origin` (ns)."""
        return f"{(self.stamp - origin) / 1e9:6.1f} s  {self}"


class ActionEvents:
    """Follows a stream's updates. An action goes on while its tube is confirmed and keeps its class; `other` is none.

    labels: the names of the classes, by label.
    """

    def __init__(self, labels: Sequence[str] | Mapping[int, str]) -> None:
        self.labels = labels
        self._going_on: dict[int, ActionEvent] = {}

    def add(self, update: TubeUpdate) -> list[ActionEvent]:
        """Take in one step: what begins and ends in it, ends first."""
        acting = {tube.id: tube for tube in update.tubes if self._acts(tube)}
        ended = [
            event
            for number, event in self._going_on.items()
            if number not in acting or self.labels[acting[number].label] != event.name
        ]
        for event in ended:
            del self._going_on[event.id]
        begun = [
            ActionEvent(update.stamp, tube.id, self.labels[tube.label], tube.score)
            for tube in acting.values()
            if tube.id not in self._going_on
        ]
        self._going_on.update({event.id: event for event in begun})
        return [self._end(event, update.stamp) for event in ended] + begun

    def _acts(self, tube: Tube) -> bool:
        return tube.state in (TubeState.ACTIVE, TubeState.COASTING) and self.labels[tube.label] != OTHER

    @staticmethod
    def _end(event: ActionEvent, stamp: int) -> ActionEvent:
        return ActionEvent(stamp, event.id, event.name, event.score, max(0, stamp - event.stamp) / 1e9)
