"""Who did what, and how surely, in the last minute: the bars of a timeline, point by point."""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Mapping, Sequence
from typing import NamedTuple
from uuid import UUID

from amtnet_ros.contracts import Tube, TubeState, TubeUpdate

SECONDS = 60
"""How far back a timeline remembers, by the stamps."""
_INTERVAL = 100_000_000  # ns between two points of a person who goes on as before
_MOST = 20_000  # points, however many persons there are


class Point(NamedTuple):
    """What a person's tube was at one moment.

    number: of the point, ascending without gaps. row: of the person, never used for another, also not when ids begin
    anew. id: of the tube. stamp: ns. name: of the class `label`. score: of it, in 0..1.
    """

    number: int
    row: int
    id: int
    stamp: int
    label: int
    name: str
    score: float
    state: TubeState


class Timeline:
    """Takes in a stream's updates, and tells what is new to whoever asks; may be asked from other threads.

    A person's first point, its changes of class or state and its end are always there; in between one every tenth of a
    second. era: grows each time that stamps fall back, and all that was is forgotten.
    """

    def __init__(self) -> None:
        self.era = 0
        self.origin: int | None = None
        self.newest = 0
        self._points: deque[Point] = deque(maxlen=_MOST)
        self._rows: dict[tuple[UUID, int], int] = {}
        self._last: dict[int, Point] = {}
        self._points_made = self._rows_made = 0
        self._lock = threading.Lock()

    def add(self, update: TubeUpdate, session: UUID, labels: Sequence[str] | Mapping[int, str]) -> None:
        """Take in one step. session: what the tubes' ids count in. labels: the names of the classes, by label."""
        with self._lock:
            if self.origin is None or update.stamp < self.newest:
                self._begin_anew(update.stamp)
            self.newest = update.stamp
            for tube in update.tubes:
                row = self._rows.setdefault((session, tube.id), self._rows_made)
                self._rows_made = max(self._rows_made, row + 1)
                self._add(row, tube, labels[tube.label])
                if tube.state == TubeState.ENDED:
                    del self._rows[session, tube.id]
                    self._last.pop(row, None)
            here = {tube.id for tube in update.tubes}  # the end of another was in a message that was lost
            for key in [key for key in self._rows if key[0] == session and key[1] not in here]:
                self._last.pop(self._rows.pop(key), None)
            while self._points and self._points[0].stamp < self.newest - SECONDS * 10**9:
                self._points.popleft()

    def after(self, number: int) -> list[Point]:
        """The points that came after that one, as far as they are remembered; -1: all."""
        with self._lock:
            missing = self._points_made - 1 - number
            return list(self._points)[max(0, len(self._points) - missing) :] if missing > 0 else []

    def _begin_anew(self, stamp: int) -> None:
        self.origin = stamp
        self.era += 1
        self._points.clear()
        self._rows.clear()
        self._last.clear()

    def _add(self, row: int, tube: Tube, name: str) -> None:
        last = self._last.get(row)
        same = last is not None and (last.label, last.state) == (tube.label, tube.state)
        if last is not None and same and self.newest - last.stamp < _INTERVAL:
            return
        point = Point(self._points_made, row, tube.id, self.newest, tube.label, name, tube.score, tube.state)
        self._points_made += 1
        self._points.append(point)
        self._last[row] = point
