"""Options are checked when they are made."""

import pytest

from amtnet_ros.errors import UserError
from amtnet_ros.tubes import PAPER, PER_CLASS, LinkerOptions


@pytest.mark.parametrize(
    ("option", "value", "says"),
    [
        ("mode", "actors", "not one of per_class, actor"),
        ("iou_threshold", 1.5, "not within 0 to 1"),
        ("iou_threshold", float("nan"), "not within"),
        ("iou_threshold", "0.1", "not a number"),
        ("min_coasting", 61, "not within 0 to 60 s"),
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


def test_a_robot_deals_with_people_and_the_papers_measure_with_classes():
    assert LinkerOptions().mode == "actor"
    assert PAPER.mode == PER_CLASS.mode == "per_class"


def test_a_robot_hears_what_is_done_now_and_scores_are_of_whole_clips():
    assert LinkerOptions().class_memory == 1.0
    assert PAPER.class_memory == PER_CLASS.class_memory == 0


def test_whole_numbers_will_do_for_real_ones():
    assert LinkerOptions(max_frame_gap=3).max_frame_gap == 3
