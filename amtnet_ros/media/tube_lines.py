"""Whole tubes out of a stream of updates, as JSON lines: one line a tube.

The fields of a line:

- ``session`` (UUID), ``id``: who; an id is unique within its session.
- ``class_id``, ``class_name``, ``score``: the tube's class, by number and by name, and its score in 0..1, in the end.
- ``confirmed``: whether the tube ever was ACTIVE; ``ended``: whether its end was seen (the recording may stop first).
- ``labels``: what it was called over time, ascending by ``stamp`` (ns): one entry for each change of class or state,
  ``{"stamp", "class_id", "class_name", "state", "score"}``; ``score`` is the highest until the next entry.
- ``start``, ``end``: stamps (ns) of the first and the last box that was seen; ``frame_id``: the camera's frame.
- ``image_width``, ``image_height``: of the source images, in pixels.
- ``boxes``: ascending by ``stamp`` (ns), each ``{"stamp", "box": [x1, y1, x2, y2], "score", "interpolated"}``, the box
  in pixels of the source image, its maximum exclusive.
"""

from __future__ import annotations

import io
import json
from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple
from uuid import UUID

import numpy as np

from amtnet_ros.contracts import Tube, TubeState, TubeUpdate
from amtnet_ros.files import WholeFile, WholeOutput, unwritable
from amtnet_ros.libraries import library
from amtnet_ros.media.tube_spool import Pieces, TubeSpool, text_of
from amtnet_ros.tube_boxes import Box, grow

if TYPE_CHECKING:
    from rich.table import Table

_IN_MEMORY = 1024  # boxes of a tube, at least; an update revises far fewer


class Span(NamedTuple):
    """A time under one class, confirmed. start, end: ns. score: the highest in it; boxes: how many lie in it."""

    class_name: str
    score: float
    start: int
    end: int
    boxes: int


@dataclass(frozen=True)
class TubeSummary:
    """A recorded tube without its boxes. spans: its confirmed times under one class each; none if never ACTIVE."""

    id: int
    spans: tuple[Span, ...]

    @property
    def confirmed(self) -> bool:
        """Whether it ever was ACTIVE."""
        return bool(self.spans)


@dataclass
class _Label:
    """What a tube is called from a stamp (ns) on. score: the highest so far."""

    stamp: int
    class_id: int
    class_name: str
    state: TubeState
    score: float


@dataclass
class _Growing:
    """A tube that lives: its newest state, its boxes and its labels so far.

    boxes: the newest ones, fewer than `most`; older ones of a long tube are in the spool.
    """

    tube: Tube
    image_size: tuple[int, int]
    boxes: list[Box] = field(default_factory=list)
    labels: list[_Label] = field(default_factory=list)
    spool: TubeSpool | None = None
    most: int = 2 * _IN_MEMORY

    def add(self, tube: Tube, name: str, stamp: int, folder: Path) -> None:
        """How it is after the step of that stamp. folder: for its older boxes."""
        self.tube = tube
        grow(self.boxes, tube)
        if len(self.boxes) >= self.most:
            self._spool(folder)
        newest = self.labels[-1] if self.labels else None
        if newest is None or (newest.class_id, newest.state) != (tube.label, tube.state):
            self.labels.append(_Label(stamp, tube.label, name, tube.state, tube.score))
        else:
            newest.score = max(newest.score, tube.score)

    def _spool(self, folder: Path) -> None:
        """Put older boxes on disk; where there is no room they stay in memory, and are tried again later."""
        older = len(self.boxes) - _IN_MEMORY
        self.most = len(self.boxes) + _IN_MEMORY
        with suppress(OSError):
            self.spool = self.spool or TubeSpool(folder)
            self.spool.add(self.boxes[:older])
            del self.boxes[:older]
            self.most = 2 * _IN_MEMORY

    def spans(self) -> tuple[Span, ...]:
        """The confirmed times under one class each, up to the last sight; that it is missed for a while ends none."""
        spans: list[Span] = []
        last = self.tube.last_stamp
        ends = [label.stamp for label in self.labels[1:]] + [max(last, self.labels[-1].stamp)]
        for label, end in zip(self.labels, ends, strict=True):
            if label.state not in (TubeState.ACTIVE, TubeState.COASTING):
                continue
            before = spans[-1] if spans else None
            if before and (before.class_name, before.end) == (label.class_name, label.stamp):
                spans[-1] = before._replace(score=max(before.score, label.score), end=end)
            else:
                spans.append(Span(label.class_name, label.score, label.stamp, end, 0))
        seen = [span._replace(end=min(span.end, last)) for span in spans if span.start <= last]
        return tuple(span._replace(boxes=count) for span, count in zip(seen, self._count(seen), strict=True))

    def _count(self, spans: Sequence[Span]) -> list[int]:
        """How many boxes lie in each."""
        starts, ends = [span.start for span in spans], [span.end for span in spans]
        counts = np.zeros(len(spans), np.int64)
        for stamps in (*(self.spool.stamps() if self.spool else ()), np.array([b.stamp for b in self.boxes], np.int64)):
            counts += np.searchsorted(stamps, ends, "right") - np.searchsorted(stamps, starts, "left")
        return [int(count) for count in counts]


class TubeRecorder(WholeOutput):
    """Writes tubes to a JSON lines file: whole, when closed, or not at all.

    A tube is written when it ends, those that live are written on closing; older boxes of a long one wait on disk, so
    memory holds the newest boxes of the live ones only. Use as a context manager: leaving it by an exception discards
    the file. Raises UserError if the file cannot be written.
    """

    def __init__(self, path: Path) -> None:
        self._whole = WholeFile(path, parents=True)
        self._growing: dict[tuple[UUID, int], _Growing] = {}
        self._ended: list[tuple[UUID, _Growing]] = []  # and not written yet
        self._frame_id = ""
        self.summaries: list[TubeSummary] = []
        try:
            self._file = Pieces(io.FileIO(self._whole.temporary, "w"))
        except OSError as error:
            raise unwritable(path, error) from None

    def add(self, update: TubeUpdate, session: UUID, labels: Sequence[str] | Mapping[int, str], frame_id: str) -> None:
        """Take in one step. labels: the classes' names, by label; frame_id: of the source image.

        Raises UserError where a tube that ended cannot be written; `flush` tries again, nothing is lost.
        """
        self._frame_id = frame_id
        for tube in update.tubes:
            name = labels[tube.label]
            growing = self._growing.setdefault((session, tube.id), _Growing(tube, update.image_size))
            growing.add(tube, name, update.stamp, self._whole.temporary.parent)
            if tube.state == TubeState.ENDED:
                self._ended.append((session, self._growing.pop((session, tube.id))))
        self.flush()

    def flush(self) -> None:
        """Write the tubes that have ended. Raises UserError where one cannot be written."""
        while self._ended:
            try:
                self._write(*self._ended[0])
            except OSError as error:
                raise unwritable(self._whole.path, error) from error
            del self._ended[0]

    def end_all(self) -> None:
        """Write the tubes that still live, too. Raises UserError where one cannot be written."""
        living = sorted(self._growing.items(), key=lambda item: item[0][1])
        self._ended += [(session, growing) for (session, _), growing in living]
        self._growing.clear()
        self.flush()

    def close(self) -> None:
        """Write the tubes that still live, and put the file in its place. Raises UserError where it cannot be."""
        self.end_all()
        self._file.raw.close()
        self._whole.keep()

    def keep_written(self) -> int:
        """Put the file in its place as it is, and end: of the tubes that were written none is lost. Returns how many
        they are; without any there is no file."""
        self._file.raw.close()
        if self.summaries:
            self._whole.keep()
        self.discard()
        return len(self.summaries)

    def discard(self) -> None:
        """Give up: nothing is left of the file."""
        self._file.raw.close()
        self._whole.discard()

    def _write(self, session: UUID, growing: _Growing) -> None:
        tube, spans = growing.tube, growing.spans()
        line = {
            "session": str(session),
            "id": tube.id,
            "class_id": tube.label,
            "class_name": growing.labels[-1].class_name,
            "score": round(tube.score, 4),
            "confirmed": bool(spans),
            "ended": tube.state == TubeState.ENDED,
            "start": tube.start_stamp,
            "end": tube.last_stamp,
            "frame_id": self._frame_id,
            "image_width": growing.image_size[0],
            "image_height": growing.image_size[1],
            "labels": [_label_as_written(label) for label in growing.labels],
        }
        self._file.append(_with_boxes(json.dumps(line), growing))
        if growing.spool:
            growing.spool.close()
        self.summaries.append(TubeSummary(tube.id, spans))


def _with_boxes(line: str, growing: _Growing) -> Iterator[bytes]:
    """The line of a tube in parts, its boxes last."""
    yield line[:-1].encode() + b', "boxes": ['
    for older in growing.spool or ():
        yield older + b", "
    yield text_of(growing.boxes) + b"]}\n"


def _label_as_written(label: _Label) -> dict[str, Any]:
    return {
        "stamp": label.stamp,
        "class_id": label.class_id,
        "class_name": label.class_name,
        "state": label.state.name,
        "score": round(label.score, 4),
    }


def table_of(summaries: Sequence[TubeSummary], origin: int) -> Table:
    """The confirmed tubes as a rich table, by start, a row for each class that a tube had in turn.

    origin: the stamp (ns) from which the times count.
    """
    confirmed = sorted((tube for tube in summaries if tube.confirmed), key=lambda tube: tube.spans[0].start)
    unconfirmed = len(summaries) - len(confirmed)
    table: Table = library("rich.table", "the table of tubes").Table(
        title="Action tubes", caption=f"{unconfirmed} more were never confirmed" if unconfirmed else None
    )
    table.add_column("id", justify="right")
    table.add_column("class")
    for column in ("score", "from – to [s]", "length [s]", "boxes"):
        table.add_column(column, justify="right")
    for tube in confirmed:
        for span in tube.spans:
            start, end = (span.start - origin) / 1e9, (span.end - origin) / 1e9
            times = (f"{start:.2f} – {end:.2f}", f"{end - start:.2f}")
            first = str(tube.id) if span is tube.spans[0] else ""
            table.add_row(first, span.class_name, f"{span.score:.2f}", *times, str(span.boxes))
    return table
