"""Whole tubes out of a stream of updates, as JSON lines: one line a tube.

The fields of a line:

- ``session`` (UUID), ``id``: who; an id is unique within its session.
- ``class_id``, ``class_name``, ``score``: the tube's class, by number and by name, and its score in 0..1, in the end.
- ``confirmed``: whether the tube ever was ACTIVE; ``ended``: whether its end was seen (the recording may stop first).
- ``start``, ``end``: stamps (ns) of the first and the last box that was seen; ``frame_id``: the camera's frame.
- ``image_width``, ``image_height``: of the source images, in pixels.
- ``boxes``: ascending by ``stamp`` (ns), each ``{"stamp", "box": [x1, y1, x2, y2], "score", "interpolated"}``, the box
  in pixels of the source image, its maximum exclusive.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, TextIO
from uuid import UUID

from amtnet_ros.contracts import Tube, TubeState, TubeUpdate
from amtnet_ros.files import WholeFile, unwritable
from amtnet_ros.libraries import library
from amtnet_ros.tube_boxes import Box, grow

if TYPE_CHECKING:
    from rich.table import Table


@dataclass(frozen=True)
class TubeSummary:
    """A recorded tube without its boxes. start, end: ns; boxes: how many it has."""

    id: int
    class_name: str
    score: float
    start: int
    end: int
    boxes: int
    confirmed: bool


@dataclass
class _Growing:
    """A tube that lives: its newest state, and its boxes so far."""

    tube: Tube
    image_size: tuple[int, int]
    class_name: str
    boxes: list[Box] = field(default_factory=list)
    confirmed: bool = False


class TubeRecorder:
    """Writes tubes to a JSON lines file: whole, when closed, or not at all.

    A tube is written when it ends, those that live are written on closing, so memory holds the live ones only. Use as a
    context manager: leaving it by an exception discards the file. Raises UserError if the file cannot be written.
    """

    def __init__(self, path: Path) -> None:
        self._whole = WholeFile(path, parents=True)
        self._growing: dict[tuple[UUID, int], _Growing] = {}
        self._frame_id = ""
        self.summaries: list[TubeSummary] = []
        try:
            self._file: TextIO = self._whole.temporary.open("w", encoding="utf-8")
        except OSError as error:
            raise unwritable(path, error) from None

    def add(self, update: TubeUpdate, session: UUID, labels: Sequence[str] | Mapping[int, str], frame_id: str) -> None:
        """Take in one step. labels: the classes' names, by label; frame_id: of the source image."""
        self._frame_id = frame_id
        for tube in update.tubes:
            name = labels[tube.label]
            growing = self._growing.setdefault((session, tube.id), _Growing(tube, update.image_size, name))
            growing.tube, growing.class_name = tube, name
            growing.confirmed |= tube.state == TubeState.ACTIVE
            grow(growing.boxes, tube)
            if tube.state == TubeState.ENDED:
                self._write(session, self._growing.pop((session, tube.id)))

    def close(self) -> None:
        """Write the tubes that still live, and put the file in its place."""
        for (session, _), growing in sorted(self._growing.items(), key=lambda item: item[0][1]):
            self._write(session, growing)
        self._growing.clear()
        self._file.close()
        self._whole.keep()

    def discard(self) -> None:
        """Give up: nothing is left of the file."""
        self._file.close()
        self._whole.discard()

    def __enter__(self) -> TubeRecorder:
        return self

    def __exit__(self, kind: type[BaseException] | None, *_: object) -> None:
        if kind is None:
            self.close()
        else:
            self.discard()

    def _write(self, session: UUID, growing: _Growing) -> None:
        tube = growing.tube
        line = {
            "session": str(session),
            "id": tube.id,
            "class_id": tube.label,
            "class_name": growing.class_name,
            "score": round(tube.score, 4),
            "confirmed": growing.confirmed,
            "ended": tube.state == TubeState.ENDED,
            "start": tube.start_stamp,
            "end": tube.last_stamp,
            "frame_id": self._frame_id,
            "image_width": growing.image_size[0],
            "image_height": growing.image_size[1],
            "boxes": [_as_written(box) for box in growing.boxes],
        }
        self._file.write(json.dumps(line) + "\n")
        self.summaries.append(
            TubeSummary(
                id=tube.id,
                class_name=growing.class_name,
                score=tube.score,
                start=tube.start_stamp,
                end=tube.last_stamp,
                boxes=len(growing.boxes),
                confirmed=growing.confirmed,
            )
        )


def _as_written(box: Box) -> dict[str, Any]:
    return {
        "stamp": box.stamp,
        "box": [round(value, 2) for value in box.box.tolist()],
        "score": round(box.score, 4),
        "interpolated": box.interpolated,
    }


def table_of(summaries: Sequence[TubeSummary], origin: int) -> Table:
    """The confirmed tubes as a rich table, by start. origin: the stamp (ns) from which the times count."""
    confirmed = sorted((tube for tube in summaries if tube.confirmed), key=lambda tube: tube.start)
    unconfirmed = len(summaries) - len(confirmed)
    table: Table = library("rich.table", "the table of tubes").Table(
        title="Action tubes", caption=f"{unconfirmed} more were never confirmed" if unconfirmed else None
    )
    table.add_column("id", justify="right")
    table.add_column("class")
    for column in ("score", "from – to [s]", "length [s]", "boxes"):
        table.add_column(column, justify="right")
    for tube in confirmed:
        start, end = (tube.start - origin) / 1e9, (tube.end - origin) / 1e9
        span, length = f"{start:.2f} – {end:.2f}", f"{end - start:.2f}"
        table.add_row(str(tube.id), tube.class_name, f"{tube.score:.2f}", span, length, str(tube.boxes))
    return table
