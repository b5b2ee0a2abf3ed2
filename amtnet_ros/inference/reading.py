"""JSON into frozen dataclasses, checked, and back: what a robot reads a model's card with, with nothing to install.

The fields' types say what is allowed: str, int, float, bool, Literal, dataclasses, and None, tuples and dictionaries
of these. :func:`within` adds a range, or another name in the file.
"""

from __future__ import annotations

import dataclasses
import math
import types
from collections.abc import Mapping
from typing import Any, Literal, TypeVar, Union, get_args, get_origin, get_type_hints

from amtnet_ros.errors import UserError, quoted

Record = TypeVar("Record")

_MISSING = dataclasses.MISSING
_LONGEST_KEY = 60  # characters that are shown of one
_WORDS = {str: "a string", int: "a whole number", float: "a number", bool: "true or false"}


def within(
    default: Any = _MISSING,
    *,
    least: float | None = None,
    above: float | None = None,
    most: float | None = None,
    called: str | None = None,
) -> Any:
    """A dataclass's field. least, above: the lower bound of a number, which may, or may not, be reached.

    most: the greatest number. called: its name in the file, where that is another one.
    """
    bounds = {"least": least, "above": above, "most": most, "called": called}
    return dataclasses.field(default=default, metadata=bounds)


def read(kind: type[Record], content: Mapping[str, Any]) -> Record:
    """The content of a file as an instance of a dataclass.

    Raises UserError, "KEY: what is wrong with it", with the keys of nested records and places in lists before it.
    """
    record: Record = _record(kind, content, "")
    return record


def written(record: Any) -> Any:
    """The record as it stands in a file: dictionaries, lists, strings, numbers. The opposite of :func:`read`."""
    if dataclasses.is_dataclass(record):
        return {_called(field): written(getattr(record, field.name)) for field in dataclasses.fields(record)}
    if isinstance(record, Mapping):
        return {key: written(value) for key, value in record.items()}
    if isinstance(record, (list, tuple)):
        return [written(value) for value in record]
    return record


def _called(field: dataclasses.Field[Any]) -> str:
    return field.metadata.get("called") or field.name


def _record(kind: Any, content: Any, where: str) -> Any:
    if not isinstance(content, Mapping):
        raise UserError(f"{where}: must hold keys and values")
    fields = {_called(field): field for field in dataclasses.fields(kind)}
    prefix = f"{where}." if where else ""
    for key in content:
        if key not in fields:
            raise UserError(f"{prefix}{_shown(key)}: no such key; there are {', '.join(fields)}")
    hints = get_type_hints(kind)
    values = {}
    for key, field in fields.items():
        if key in content:
            values[field.name] = _value(hints[field.name], content[key], prefix + key)
            _check_bounds(field.metadata, values[field.name], prefix + key)
        elif field.default is _MISSING and field.default_factory is _MISSING:
            raise UserError(f"{prefix}{key}: is missing")
    return kind(**values)


def _value(kind: Any, value: Any, where: str) -> Any:
    """A value as one of this type; `where` names it in messages."""
    origin, arguments = get_origin(kind), get_args(kind)
    if kind is Any:
        return value
    if origin in (Union, types.UnionType):
        (inner,) = (argument for argument in arguments if argument is not type(None))
        return None if value is None else _value(inner, value, where)
    if origin is Literal:
        if value not in arguments:
            raise UserError(f"{where}: {quoted(value)} is none of {', '.join(map(repr, arguments))}")
        return value
    if origin is tuple:
        return _tuple(arguments, value, where)
    if origin is dict:
        if not isinstance(value, Mapping):
            raise UserError(f"{where}: must hold keys and values, not {quoted(value)}")
        for key in value:
            if not key.isprintable():
                raise UserError(f"{where}: {quoted(key)} holds characters that cannot be printed")
        return {key: _value(arguments[1], item, f"{where}.{_shown(key)}") for key, item in value.items()}
    if dataclasses.is_dataclass(kind):
        return _record(kind, value, where)
    return _plain(kind, value, where)


def _tuple(kinds: tuple[Any, ...], value: Any, where: str) -> tuple[Any, ...]:
    if not isinstance(value, (list, tuple)):
        raise UserError(f"{where}: must be a list, not {quoted(value)}")
    if kinds[-1] is Ellipsis:
        kinds = kinds[:1] * len(value)
    if len(value) != len(kinds):
        raise UserError(f"{where}: must have {len(kinds)} items, not {len(value)}")
    return tuple(_value(kind, item, f"{where}.{i}") for i, (kind, item) in enumerate(zip(kinds, value, strict=True)))


def _plain(kind: type, value: Any, where: str) -> Any:
    """A string, number or truth value. A whole number is a number as well; a truth value is neither."""
    fits = isinstance(value, (int, float) if kind is float else kind) and isinstance(value, bool) == (kind is bool)
    if not fits or (kind is float and not math.isfinite(value)):
        raise UserError(f"{where}: must be {_WORDS[kind]}, not {quoted(value)}")
    if kind is str and not value.isprintable():
        raise UserError(f"{where}: {quoted(value)} holds characters that cannot be printed")
    return float(value) if kind is float else value


def _check_bounds(bounds: Mapping[str, Any], value: Any, where: str) -> None:
    least, above, most = bounds.get("least"), bounds.get("above"), bounds.get("most")
    if least is not None and value < least:
        raise UserError(f"{where}: must be {least:g} or more, not {quoted(value)}")
    if above is not None and value <= above:
        raise UserError(f"{where}: must be more than {above:g}, not {quoted(value)}")
    if most is not None and value > most:
        raise UserError(f"{where}: must be {most:g} or less, not {quoted(value)}")


def _shown(key: str) -> str:
    """A key as it may stand in a line."""
    return key if key.isprintable() and len(key) <= _LONGEST_KEY else quoted(key)
