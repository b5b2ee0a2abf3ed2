"""Long recordings are cut into pieces that are watched apart.

A piece is read from a while before it begins, so that at its beginning the network knows what it would know had it
watched all along, to a while after its end, so that who is missed at the cut is found again.
"""

from __future__ import annotations

from dataclasses import dataclass

from amtnet_ros.archive.recording import SECOND, Recording

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
