"""Options are checked when they are made."""

from dataclasses import fields

import pytest

from amtnet_ros.errors import UserError
from amtnet_ros.tubes import LinkerOptions
from amtnet_ros.tubes.options import CHOICES, RANGES


@pytest.mark.parametrize(
    ("option", "value", "says"),
    [
        ("mode", "actors", "not one of per_class, actor"),
        ("iou_threshold", 1.5, "not within 0.0 to 1.0"),
        ("iou_threshold", float("nan"), "not within"),
        ("iou_threshold", "0.1", "not a number"),
        ("max_misses", 0, "not within 1"),
        ("max_misses", 2.0, "not a whole number"),
        ("max_tubes", True, "not a whole number"),
        ("revise", 1, "neither true nor false"),
        ("match", None, "not one of score"),
    ],
)
def test_a_bad_value_is_told_in_one_line(option, value, says):
    with pytest.raises(UserError) as error:
        LinkerOptions(**{option: value})
    assert f"linker option {option}: {value!r}" in str(error.value)
    assert says in str(error.value)
    assert "\n" not in str(error.value)


def test_every_option_is_checked_and_documented():
    for option in fields(LinkerOptions):
        assert (option.name in CHOICES) + (option.name in RANGES) + isinstance(option.default, bool) == 1
        assert f"        {option.name}: " in LinkerOptions.__doc__


def test_whole_numbers_will_do_for_real_ones():
    assert LinkerOptions(max_frame_gap=3).max_frame_gap == 3
