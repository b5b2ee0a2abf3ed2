"""What to search an archive for, and which moments are wanted."""

from __future__ import annotations

import difflib
import re
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import time

from amtnet_ros.actors.names import kinetics_names, parse_actions
from amtnet_ros.contracts import OTHER
from amtnet_ros.errors import UserError

_BETWEEN = re.compile(r"(\d{1,2})(?::(\d\d))?\s*-\s*(\d{1,2})(?::(\d\d))?")


@dataclass(frozen=True)
class Wanted:
    """Which moments are wanted.

    score: in every second of them, at least. seconds: of their length, at least. people: in view, least and most; this
    one counts. size: share of the picture's height that the person fills, at least. between: times of the day (UTC),
    over midnight where the first is the later; recordings that do not know their time are left out then.
    """

    score: float = 0.2
    seconds: float = 0.0
    people: tuple[int, int | None] = (1, None)
    size: float = 0.0
    between: tuple[time, time] | None = None


def labels_meant(text: str, actions: Sequence[str]) -> tuple[str, ...]:
    """The labels that a search is for: one of the model's actions, one of the 600 names, or several names together.

    text: `wave`, `waving hand`, or `greet: [waving hand, shaking hands]`. actions: the model's.
    Raises UserError, with the nearest ones, where nothing is called so.
    """
    wanted = " ".join(text.split())
    for action in (*actions, OTHER):
        if wanted.lower().replace(" ", "_") == action.lower():
            return (action,)
    try:
        (asked,) = parse_actions([text])
    except UserError as error:
        near = difflib.get_close_matches(wanted, actions, n=2)
        hint = f"; actions of the model: {', '.join(near or actions)}" if ":" not in text else ""
        raise UserError(f"{error}{hint}") from None
    return tuple(kinetics_names()[name] for name in asked.names)


def parse_between(text: str) -> tuple[time, time]:
    """`8-18` or `22:30-6` as two times of the day. Raises UserError where it is none."""
    match = _BETWEEN.fullmatch(text.strip())
    try:
        if match is None:
            raise ValueError
        first, first_minute, last, last_minute = (int(part or 0) for part in match.groups())
        return time(first % 24, first_minute), time(last % 24, last_minute)
    except ValueError:
        raise UserError(f"'{text}': times of the day look like 8-18 or 22:30-6:00") from None


def parse_people(text: str) -> tuple[int, int | None]:
    """`2`, `2-4` or `2-` as the least and the most. Raises UserError where it is none."""
    match = re.fullmatch(r"(\d+)(-(\d*))?", text.strip())
    if match is None:
        raise UserError(f"'{text}': a number of people looks like 1, 2-4 or 2-")
    least = int(match[1])
    if match[2] is None:
        return least, least
    return least, int(match[3]) if match[3] else None
