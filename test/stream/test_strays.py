"""A stamp that is far from all others is left out; a clock that jumps is followed, and no image is lost of it."""

from __future__ import annotations

import pytest

from amtnet_ros.stream import Strays


def judged(stamps: list[int]) -> tuple[list[int], list[int]]:
    """Which of the stamps belong, in the order in which they are let through, and which are strays."""
    strays: Strays[int] = Strays()
    belonging, left_out = [], []
    for stamp in stamps:
        passed, stray = strays.take(stamp, stamp, far=10)
        belonging += passed
        left_out += [] if stray is None else [stray]
    return belonging, left_out


@pytest.mark.parametrize(
    ("stamps", "belonging", "strays"),
    [
        ([100, 101, 102, 103], [100, 101, 102, 103], []),
        ([100, 101, 5, 102, 103], [100, 101, 102, 103], [5]),
        ([100, 101, 10**15, 102, 103], [100, 101, 102, 103], [10**15]),
        ([100, 101, 10**15, 5, 102], [100, 101, 102], [10**15, 5]),
        ([100, 101, 5, 6, 7], [100, 101, 5, 6, 7], []),  # a bag that loops
        ([100, 101, 5, 5, 6], [100, 101, 5, 5, 6], []),
        ([100, 101, 10**15, 10**15 + 1], [100, 101, 10**15, 10**15 + 1], []),  # the clock was set
        ([100, 120, 140, 160, 180], [100, 120, 140, 160, 180], []),  # a slow camera
        ([100, 5, 101, 6, 102, 7, 103], [100, 101, 102, 103], [5, 6, 7]),  # another camera, with a clock of its own
        ([100, 109, 118, 111, 119], [100, 109, 118, 111, 119], []),  # late, but not far
    ],
)
def test_a_stray_is_told_from_a_clock_that_jumped_by_what_comes_next(
    stamps: list[int], belonging: list[int], strays: list[int]
) -> None:
    assert judged(stamps) == (belonging, strays)


def test_an_image_that_nothing_follows_is_believed() -> None:
    strays: Strays[str] = Strays()
    strays.take(100, "first", 10)
    assert strays.take(500, "far", 10) == ([], None)
    assert strays.holds
    assert strays.believe() == ["far"]
    assert strays.believe() == []
    assert strays.take(501, "next", 10) == (["next"], None)


def test_after_a_reset_any_stamp_belongs() -> None:
    strays: Strays[str] = Strays()
    strays.take(100, "first", 10)
    strays.take(500, "far", 10)
    strays.reset()
    assert strays.take(900, "anything", 10) == (["anything"], None)
