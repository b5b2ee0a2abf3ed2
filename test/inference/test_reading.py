"""JSON into dataclasses: what is wrong is named with its place, and what was written is read again."""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from typing import Any, Literal

import pytest

from amtnet_ros.errors import UserError
from amtnet_ros.inference.reading import read, within, written


@dataclass(frozen=True)
class Wheel:
    spokes: int = within(least=3)
    colour: Literal["red", "blue"] = "red"


@dataclass(frozen=True)
class Bicycle:
    name: str
    wheels: tuple[Wheel, ...]
    size: tuple[int, int] = (1, 2)
    price: float = within(1.5, above=0)
    kind: str = within("city", called="class")
    load: float = within(0.0, least=0, most=1)
    bell: bool = False
    basket: Wheel | None = None
    notes: dict[str, float] = field(default_factory=dict)
    extra: dict[str, Any] = field(default_factory=dict)


WHOLE: dict[str, Any] = {
    "name": "b",
    "wheels": [{"spokes": 20, "colour": "blue"}],
    "size": [3, 4],
    "price": 2,
    "class": "race",
    "load": 1.0,
    "bell": True,
    "basket": None,
    "notes": {"a": 1},
    "extra": {"anything": [1, "x", None]},
}


def test_a_whole_record_is_read_with_numbers_as_floats_and_lists_as_tuples() -> None:
    found = read(Bicycle, WHOLE)
    assert found == Bicycle("b", (Wheel(20, "blue"),), (3, 4), 2.0, "race", 1.0, True, None, {"a": 1.0}, WHOLE["extra"])
    assert isinstance(found.price, float)
    assert json.loads(json.dumps(written(found))) == WHOLE


def test_what_is_left_out_takes_its_default() -> None:
    assert read(Bicycle, {"name": "b", "wheels": []}) == Bicycle("b", ())


@pytest.mark.parametrize(
    ("change", "says"),
    [
        ({"wings": 2}, "wings: no such key; there are name, wheels, size"),
        ({"kind": "city"}, "kind: no such key"),
        ({"name": 3}, "name: must be a string, not 3"),
        ({"wheels": "two"}, "wheels: must be a list, not 'two'"),
        ({"wheels": [{"spokes": 4}, {}]}, "wheels.1.spokes: is missing"),
        ({"wheels": [{"spokes": 2}]}, "wheels.0.spokes: must be 3 or more, not 2"),
        ({"wheels": [{"spokes": 4.5}]}, "wheels.0.spokes: must be a whole number, not 4.5"),
        ({"wheels": [{"spokes": True}]}, "wheels.0.spokes: must be a whole number, not True"),
        ({"wheels": [{"spokes": 4, "colour": ["red"]}]}, "wheels.0.colour: ['red'] is none of 'red', 'blue'"),
        ({"size": [1]}, "size: must have 2 items, not 1"),
        ({"size": [1, None]}, "size.1: must be a whole number, not None"),
        ({"price": 0}, "price: must be more than 0, not 0"),
        ({"load": 1.5}, "load: must be 1 or less, not 1.5"),
        ({"price": float("nan")}, "price: must be a number, not nan"),
        ({"bell": 1}, "bell: must be true or false, not 1"),
        ({"basket": []}, "basket: must hold keys and values"),
        ({"notes": {"a": "x"}}, "notes.a: must be a number, not 'x'"),
        ({"notes": [1]}, "notes: must hold keys and values, not [1]"),
    ],
)
def test_what_is_wrong_is_named_with_its_place(change: dict[str, Any], says: str) -> None:
    with pytest.raises(UserError) as caught:
        read(Bicycle, {**WHOLE, **change})
    assert str(caught.value).startswith(says)
    assert "\n" not in str(caught.value)
