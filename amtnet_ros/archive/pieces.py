"""Long recordings are cut into pieces that are watched apart, and the pieces' tubes joined again.

A piece is read from a while before it begins, so that at its beginning the network knows what it would know had it
watched all along, to a while after its end, so that who is missed at the cut is found again. What lies before a cut is
taken from the earlier piece, what lies behind it from the later one; two tubes are one where their boxes agree in the
time that both have watched.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import NamedTuple

import numpy as np

from amtnet_ros.archive.recording import SECOND, Recording
from amtnet_ros.archive.tube import ArchivedTube
from amtnet_ros.boxes import iou

LENGTH = 300.0
BEFORE, AFTER = 5.0, 3.0
"""Seconds. Class scores forget within one, a person who is missed is given up after at most two."""


@dataclass(frozen=True)
class Piece:
    """A part of a recording. number: of `count`, from 0. begin, end: positions; None: the recording's own."""

    recording: Recording
    number: int
    count: int
    begin: int | None
    end: int | None

    @property
    def name(self) -> str:
        """Of the file that keeps it until the recording is whole: it names the cuts, so that no other piece has it."""
        return f"{self.recording.key}-{self.begin or 0}-{self.end or 0}"

    @property
    def read_from(self) -> int | None:
        """The position from which on it is to be read."""
        return None if self.begin is None else self.begin - round(BEFORE * SECOND)

    @property
    def read_to(self) -> int | None:
        """The position before which it is to be read."""
        return None if self.end is None else self.end + round(AFTER * SECOND)

    @property
    def seconds(self) -> float:
        """How long it is; 0 where nobody knows."""
        begin = self.recording.begin if self.begin is None else self.begin
        end = self.recording.end if self.end is None else self.end
        return 0.0 if end is None else (end - begin) / SECOND


def cut(recording: Recording, length: float = LENGTH) -> list[Piece]:
    """A recording as pieces of about so many seconds, cut at whole seconds; one piece where its length is not known."""
    if recording.end is None:
        return [Piece(recording, 0, 1, None, None)]
    duration = (recording.end - recording.begin) / SECOND
    # A last piece that is mostly overlap is not worth it.
    count = max(1, int(duration / length + 0.5))
    step = round(duration / count) * SECOND
    cuts = [recording.begin // SECOND * SECOND + step * i for i in range(1, count)]
    bounds = [None, *cuts, None]
    return [Piece(recording, i, count, bounds[i], bounds[i + 1]) for i in range(count)]


REACH = SECOND
"""Nanoseconds before the cut from which on boxes are compared."""
LEAST_OVERLAP = 0.5
"""Mean IoU of the boxes of two tubes that are one."""


class Mark(NamedTuple):
    """Where a piece begins or ends, in the camera's time. session: number in the piece; stamp: of the first picture."""

    session: int
    stamp: int


@dataclass(frozen=True)
class WatchedPiece:
    """What was seen in a piece, and what came before and after it.

    begin, end: None at the recording's own ends, and where no picture came so late.
    """

    tubes: tuple[ArchivedTube, ...]
    begin: Mark | None
    end: Mark | None


def join(pieces: Sequence[WatchedPiece]) -> list[ArchivedTube]:
    """The tubes of a recording from those of its pieces, in order.

    Behind a part that could not be read a new session begins.
    """
    tubes = list(pieces[0].tubes)
    end = pieces[0].end
    for piece in pieces[1:]:
        if piece.begin is None:  # no picture lies behind the cut
            end = None
            continue
        cut = end or Mark(1 + max((tube.session for tube in tubes), default=-1), piece.begin.stamp)
        shift = cut.session - piece.begin.session
        later = [replace(tube, session=tube.session + shift) for tube in piece.tubes]
        tubes = _joined(tubes, later, cut)
        end = None if piece.end is None else Mark(piece.end.session + shift, piece.end.stamp)
    return tubes


def _joined(before: list[ArchivedTube], after: list[ArchivedTube], cut: Mark) -> list[ArchivedTube]:
    same = _same(before, after, cut)
    joined = []
    for i, tube in enumerate(before):
        if i in same:
            tube = _part(tube, cut, late=False).followed_by(_part(after[same[i]], cut, late=True))
        elif _begins_behind(tube, cut):
            continue  # the later piece knows better
        joined.append(tube)
    new = [_part(tube, cut, late=True) for j, tube in enumerate(after) if j not in same.values()]
    return [tube for tube in joined + new if len(tube.stamps)]


def _part(tube: ArchivedTube, cut: Mark, late: bool) -> ArchivedTube:
    """What lies behind the cut, or before it."""
    if tube.session != cut.session:
        return tube if (tube.session > cut.session) == late else tube.between(None, -(1 << 62))
    return tube.between(cut.stamp, None) if late else tube.between(None, cut.stamp)


def _begins_behind(tube: ArchivedTube, cut: Mark) -> bool:
    return (tube.session, int(tube.stamps[0])) >= cut


def _same(before: list[ArchivedTube], after: list[ArchivedTube], cut: Mark) -> dict[int, int]:
    """Which tube of `after` is which of `before`, by their indices; those that agree longest first."""
    near = cut.stamp - REACH
    old = [i for i, t in enumerate(before) if t.session == cut.session and t.stamps[-1] >= near]
    new = [j for j, t in enumerate(after) if t.session == cut.session and t.stamps[-1] >= near]
    agreement = {(i, j): _agreement(before[i], after[j], near) for i in old for j in new}
    same: dict[int, int] = {}
    for (i, j), overlap in sorted(agreement.items(), key=lambda item: -item[1]):
        if overlap > 0 and i not in same and j not in same.values():
            same[i] = j
    return same


def _agreement(one: ArchivedTube, other: ArchivedTube, since: int) -> float:
    """The sum of the IoU of their boxes at the stamps that both have from `since` on; 0 where they do not agree."""
    stamps, i, j = np.intersect1d(one.stamps, other.stamps, assume_unique=True, return_indices=True)
    late = stamps >= since
    if not late.any():
        return 0.0
    overlaps = iou(one.boxes[i[late]].T, other.boxes[j[late]].T)
    return float(overlaps.sum()) if float(overlaps.mean()) >= LEAST_OVERLAP else 0.0
