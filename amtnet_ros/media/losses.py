"""What of a source could not be read: it costs itself, and a line in the end."""

from __future__ import annotations

import sys
from collections.abc import Callable

from amtnet_ros.errors import UserError

Say = Callable[[str], None]
"""Whom a source tells, in one line, what people should know."""

MOST_IN_A_ROW = 1_000
"""After so many losses in a row a source is given up. A browser's video may have a key frame every half minute only:
all between a damaged one and the next are lost."""


def to_stderr(line: str) -> None:
    """Say a line to whoever watches the process."""
    print(line, file=sys.stderr, flush=True)


class Losses:
    """Counts what was read and what was not.

    name: of the source; kind: what it holds, in the plural.
    """

    def __init__(self, name: str, kind: str, say: Say) -> None:
        self._name, self._kind, self._say = name, kind, say
        self._read = self._lost = self._in_a_row = 0
        self._first = ""

    def add_read(self) -> None:
        """One was read."""
        self._read += 1
        self._in_a_row = 0

    def add_lost(self, where: str, why: str) -> bool:
        """One was not; the first is named. Returns whether the source is to be given up."""
        self._first = self._first or f"{where} ({why})"
        self._lost += 1
        self._in_a_row += 1
        return self._in_a_row >= MOST_IN_A_ROW

    def conclude(self) -> None:
        """Say how much was lost. Raises UserError where nothing could be read at all."""
        given_up = f", the last {self._in_a_row} in a row; given up there" if self._in_a_row >= MOST_IN_A_ROW else ""
        if not self._read:
            lost = f"none of {self._lost} {self._kind} can be read, first {self._first}" if self._lost else "is empty"
            raise UserError(f"{self._name}: {lost}")
        if self._lost:
            self._say(
                f"{self._name}: {self._lost} of {self._read + self._lost} {self._kind} cannot be read and were left "
                f"out, first {self._first}{given_up}"
            )
