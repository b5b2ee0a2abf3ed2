"""An option's default, range and meaning stand at the field, and everything else reads them there."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import pytest

from amtnet_ros.errors import UserError
from amtnet_ros.options import check_options, option, options_of, same_option


@dataclass(frozen=True)
class Shelf:
    boards: int = option(3, "How many.", low=1, high=9)
    height: float = option(1.5, "Of the whole.", low=0.2, high=4.0, unit="m")
    wood: str = option("oak", "What it is made of.", choices=("oak", "ash"))
    painted: bool = option(False, "White.")
    owners: tuple[str, ...] = option((), "Whose.", names=True)
    books: int | None = option(None, "At most; None: as many as there is room for.", low=0, optional=True)
    note: str = ""

    def __post_init__(self) -> None:
        check_options(self, "shelf")


@dataclass(frozen=True)
class Cupboard:
    height: float = same_option(Shelf, "height", text="Of the cupboard.")


@pytest.mark.parametrize(
    ("name", "value", "says"),
    [
        ("boards", 10, "10 is not within 1 to 9"),
        ("boards", 2.0, "2.0 is not a whole number"),
        ("boards", True, "True is not a whole number"),
        ("height", 0.1, "0.1 is not within 0.2 to 4 m"),
        ("height", float("nan"), "nan is not within 0.2 to 4 m"),
        ("height", "high", "'high' is not a number"),
        ("height", None, "None is not a number"),
        ("wood", "fir", "'fir' is not one of oak, ash"),
        ("painted", 1, "1 is neither true nor false"),
        ("owners", "ann", "'ann' is not a list of strings"),
        ("owners", ("ann", 2), "('ann', 2) is not a list of strings"),
        ("owners", ("ann", "ann"), "'ann' is there twice"),
        ("owners", ("ann lee",), "'ann lee' cannot be part of a topic's name"),
        ("books", -1, "-1 is not within 0 or more"),
    ],
)
def test_a_bad_value_is_told_in_one_line_with_what_it_may_be(name: str, value: Any, says: str) -> None:
    with pytest.raises(UserError) as error:
        Shelf(**{name: value})
    assert str(error.value).startswith(f"shelf {name}: {says}")
    assert "\n" not in str(error.value)


def test_good_values_pass_and_whole_numbers_will_do_for_real_ones() -> None:
    shelf = Shelf(boards=9, height=2, wood="ash", painted=True, owners=("ann", "bob"), books=None)
    assert (shelf.height, shelf.books) == (2, None)
    height = options_of(Shelf)["height"].checked(2)
    assert (height, type(height)) == (2.0, float)


def test_a_field_that_says_no_meaning_is_no_option() -> None:
    assert list(options_of(Shelf)) == ["boards", "height", "wood", "painted", "owners", "books"]


def test_the_same_option_elsewhere_has_the_same_default_and_range() -> None:
    here, there = options_of(Shelf)["height"], options_of(Cupboard)["height"]
    assert (there.default, there.values) == (here.default, here.values) == (1.5, "0.2 to 4 m")
    assert (here.text, there.text) == ("Of the whole.", "Of the cupboard.")
