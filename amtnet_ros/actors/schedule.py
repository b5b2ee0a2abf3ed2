"""Whom to look at now: ten times a second each, and by turns where there are too many."""

from __future__ import annotations

from collections.abc import Iterable

SECOND = 1_000_000_000
LOOKS_A_SECOND = 10
SLACK = SECOND // 100
"""A look may come so much early: stamps jitter, and a thirtieth of a second is no whole number of nanoseconds."""
TURN = 3 * SECOND
"""Who waits is let in after another was looked at for so long."""
LONGEST_WAIT = SECOND // 5
"""Only so many get a turn that each is looked at about this often: of fewer looks no movement can be told."""
SLOWEST, FAST_AGAIN = 0.26 * SECOND, 0.2 * SECOND
"""A camera whose steps are further apart than the first shows too little, until they are closer than the second."""


class Schedule:
    """Chooses by stamps, in nanoseconds; one call of `due` is one step.

    at_once: persons looked at in one step, at most.
    waiting: persons who have no turn at present. slow: whether the steps come too slowly to tell movements.
    """

    def __init__(self, at_once: int) -> None:
        self.at_once = at_once
        self.reset()

    def reset(self) -> None:
        """Everything begins anew."""
        self.waiting = 0
        self.slow = False
        self._interval: float | None = None
        self._last_step: int | None = None
        self._turns: dict[int, int] = {}
        self._left: dict[int, int] = {}
        self._looked: dict[int, int] = {}

    @property
    def in_turn(self) -> frozenset[int]:
        """The persons whose turn it is."""
        return frozenset(self._turns)

    def due(self, stamp: int, persons: Iterable[int]) -> list[int]:
        """Of the persons in view, by id, those to look at in this step; ascending."""
        present = sorted(persons)
        self._observe(stamp)
        for kept in (self._turns, self._left, self._looked):
            for gone in kept.keys() - set(present):
                del kept[gone]
        if self.slow:
            self._turns.clear()
            self.waiting = 0
            return []
        self._pass_turns(stamp, present)
        tick = (stamp + SLACK) * LOOKS_A_SECOND // SECOND
        late = [i for i in self._turns if self._looked.get(i, -1) < tick]
        chosen = sorted(late, key=lambda i: (self._looked.get(i, -1), i))[: self.at_once]
        self._looked.update(dict.fromkeys(chosen, tick))
        return sorted(chosen)

    def _observe(self, stamp: int) -> None:
        """Learn how far apart the steps are; a single pause, however long, makes no camera slow."""
        if self._last_step is not None:
            gap = float(min(stamp - self._last_step, SECOND))
            self._interval = gap if self._interval is None else self._interval + 0.2 * (gap - self._interval)
            self.slow = self._interval > (FAST_AGAIN if self.slow else SLOWEST)
        self._last_step = stamp

    def _pass_turns(self, stamp: int, present: list[int]) -> None:
        """Whose turn it is: who waits longest gets the place of who had one longest."""
        places = self.at_once * max(1, round(LONGEST_WAIT / (self._interval or LONGEST_WAIT)))
        waiting = sorted((i for i in present if i not in self._turns), key=lambda i: (self._left.get(i, -1), i))
        longest = sorted(self._turns, key=lambda i: (self._turns[i], i))
        surplus = max(len(longest) - places, 0)
        over = [i for i in longest if stamp - self._turns[i] >= TURN][: max(len(longest) + len(waiting) - places, 0)]
        for i in {*longest[:surplus], *over}:
            del self._turns[i]
            self._left[i] = stamp
            self._looked.pop(i, None)
        for i in waiting[: places - len(self._turns)]:
            self._turns[i] = stamp
        self.waiting = len(present) - len(self._turns)
