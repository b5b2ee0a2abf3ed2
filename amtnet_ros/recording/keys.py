"""Single keys of a terminal, without Enter; also over ssh."""

from __future__ import annotations

import contextlib
import os
import re
import select
import sys
import termios
import tty
from collections.abc import Sequence
from typing import Any

from amtnet_ros.errors import UserError

QUIT = "q"
_DIGITS = "123456789"
_SPECIAL = re.compile(r"\x1b(?:\[[\d;]*.|O.|.)?", re.DOTALL)
"""What a terminal sends for an arrow or another special key."""


def bind(actions: Sequence[str]) -> dict[str, str]:
    """Key → action. An action is NAME, which gets a letter of its name that is free, or a digit; or NAME=KEY.

    Raises UserError for a name that cannot be a folder's, an action or a key that is given twice, too many actions.

    >>> bind(["wave_to_stop", "walk", "none=x"])
    {'x': 'none', 'w': 'wave_to_stop', 'a': 'walk'}
    """
    names = [action.partition("=")[0] for action in actions]
    for name in names:
        if not re.fullmatch(r"\w[\w .()+-]*", name):
            raise UserError(f"{name!r}: no name for an action; letters, digits, - and _ make one")
        if names.count(name) > 1:
            raise UserError(f"{name!r}: is given twice")
    keys = _given(actions)
    for name in names:
        if name not in keys.values():
            free = next((key for key in name.lower() + _DIGITS if _usable(key) and key not in keys), None)
            if free is None:
                raise UserError(f"{name!r}: no key is left for it; give one, as in {name}=x")
            keys[free] = name
    return keys


def _given(actions: Sequence[str]) -> dict[str, str]:
    keys: dict[str, str] = {}
    for action in actions:
        name, equals, key = action.partition("=")
        if equals and not _usable(key):
            raise UserError(f"{action}: {key!r} cannot be a key; a letter or digit can, other than {QUIT}")
        if key in keys:
            raise UserError(f"{action}: the key {key} is {keys[key]}'s already")
        if equals:
            keys[key] = name
    return keys


def _usable(key: str) -> bool:
    return len(key) == 1 and key.isascii() and key.isalnum() and key != QUIT


class Keys:
    """The terminal's keys while inside; outside, the terminal is as it was. Not a terminal: characters of stdin.

    closed: nothing comes any more.
    """

    def __init__(self) -> None:
        self._descriptor = sys.stdin.fileno()
        self._before: list[Any] | None = None
        self.closed = False

    def wait(self, timeout: float) -> str:
        """The keys that were pressed within the timeout, in seconds; arrows and other special keys are left out."""
        if self.closed or not select.select([self._descriptor], [], [], timeout)[0]:
            return ""
        try:
            pressed = os.read(self._descriptor, 64)
        except OSError:  # the terminal is gone
            pressed = b""
        self.closed = not pressed
        return _SPECIAL.sub("", pressed.decode(errors="ignore"))

    def __enter__(self) -> Keys:
        if os.isatty(self._descriptor):
            self._before = termios.tcgetattr(self._descriptor)
            tty.setcbreak(self._descriptor)
        return self

    def __exit__(self, *_: object) -> None:
        if self._before is not None:
            with contextlib.suppress(termios.error):  # the terminal is gone
                termios.tcsetattr(self._descriptor, termios.TCSADRAIN, self._before)
