"""Options: the fields of dataclasses, each with its default, range, unit and meaning, which stand there and only there.

What a field says is read by the check of its values, by the descriptors of ROS parameters, by `config/detector.yaml`
and `docs/parameters.md`, and by the command line.
"""

from __future__ import annotations

import dataclasses
import re
from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any

from amtnet_ros.errors import UserError

AT_ONCE, ON_ACTIVATE, ON_CONFIGURE, AT_START = "at once", "when activated", "when configured", "at start only"

_NAME = re.compile(r"[A-Za-z][A-Za-z0-9_]*")
_NOT = {
    bool: "is neither true nor false",
    int: "is not a whole number",
    float: "is not a number",
    str: "is not a string",
    tuple: "is not a list of strings",
}


@dataclass(frozen=True)
class Option:
    """What may be told by one field.

    name: of the field. default: its value where nothing is said. text: its meaning, in sentences.
    low, high: the least and the greatest value of a number. unit: of a number, e.g. "s". choices: the only values.
    optional: None is a value, too.
    names: the items of the list become parts of topic names, so they must be fit for that, and differ.
    effect: when a running detector follows a change. offered: to robots and on the command line; the others are for
    studies.
    """

    name: str
    default: Any
    text: str
    low: float | None = None
    high: float | None = None
    unit: str = ""
    choices: tuple[str, ...] = ()
    optional: bool = False
    names: bool = False
    effect: str = AT_ONCE
    offered: bool = True

    @property
    def kind(self) -> type:
        """bool, int, float, str, or tuple for a list of strings; an option that is None by default is a count."""
        return int if self.default is None else type(self.default)

    @property
    def values(self) -> str:
        """Which values it may have, in words; "" if any of its kind."""
        if self.choices:
            return ", ".join(self.choices)
        if self.low is None and self.high is None:
            return ""
        span = f"{self.low:g} or more" if self.high is None else f"{self.low:g} to {self.high:g}"
        return f"{span} {self.unit}".strip()

    def checked(self, value: Any, called: str = "option") -> Any:
        """The value in the option's kind. called: what the option is to whoever set it.

        Raises UserError, naming the option, if it may not have that value.
        """
        called = f"{called} {self.name}"
        if value is None and self.optional:
            return None
        if self.choices and value not in self.choices:
            raise UserError(f"{called}: {value!r} is not one of {self.values}")
        if not self._is_of_kind(value):
            raise UserError(f"{called}: {value!r} {_NOT[self.kind]}")
        if not self._is_in_range(value):
            raise UserError(f"{called}: {value!r} is not within {self.values}")
        if self.names:
            _check_names(value, called)
        return float(value) if self.kind is float else tuple(value) if self.kind is tuple else value

    def _is_of_kind(self, value: Any) -> bool:
        if self.kind is tuple:
            return isinstance(value, (list, tuple)) and all(isinstance(item, str) for item in value)
        if isinstance(value, bool):
            return self.kind is bool
        return isinstance(value, (int, float) if self.kind is float else self.kind)

    def _is_in_range(self, value: Any) -> bool:
        return (self.low is None or value >= self.low) and (self.high is None or value <= self.high)


def option(default: Any, text: str, **facts: Any) -> Any:
    """A dataclass's field that is an option. facts: what else :class:`Option` knows.

    class Size:
        width: int = option(640, "Of the picture.", low=1, high=4096, unit="px")
    """
    return dataclasses.field(default=default, metadata={"text": text, **facts})


def same_option(owner: type, name: str, **facts: Any) -> Any:
    """A dataclass's field that is the same option as one of another class, default and all, but for these facts."""
    (field,) = (field for field in dataclasses.fields(owner) if field.name == name)
    return dataclasses.field(default=field.default, metadata={**field.metadata, **facts})


def options_of(owner: type) -> Mapping[str, Option]:
    """The options among a dataclass's fields, by name, in their order."""
    return MappingProxyType(
        {
            field.name: Option(field.name, field.default, **field.metadata)
            for field in dataclasses.fields(owner)
            if "text" in field.metadata
        }
    )


def check_options(owner: object, called: str = "option") -> None:
    """Check every option of an instance. Raises UserError, naming the option, for a value that it may not have."""
    for name, known in options_of(type(owner)).items():
        known.checked(getattr(owner, name), called)


def _check_names(items: list[str], called: str) -> None:
    for number, item in enumerate(items):
        if not _NAME.fullmatch(item):
            raise UserError(
                f"{called}: '{item}' cannot be part of a topic's name; letters, digits and underscores can, beginning "
                "with a letter"
            )
        if item in items[:number]:
            raise UserError(f"{called}: '{item}' is there twice")
