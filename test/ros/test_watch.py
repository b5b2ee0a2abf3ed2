"""What is wrong with an input is named in one line, with the numbers."""

from __future__ import annotations

import time
from dataclasses import replace

import pytest

from amtnet_ros.ros.health import (
    Health,
    Limits,
    Losses,
    Rate,
    Stamps,
    TopicFacts,
    complaint_about_depth,
    complaint_about_frames,
    complaint_about_images,
)
from amtnet_ros.stream import Admission

LIMITS = Limits(image_timeout=5.0, max_image_age=2.0, max_frame_gap=0.5)
WELL = TopicFacts("/eye", "image", silence=0.03, publishers=("/left",))
DEPTH = TopicFacts("/far", "depth_image", silence=0.03, publishers=("/left",), what="depth")
UNREADABLE = TopicFacts("/far", "depth_image", silence=0.03, publishers=("/left",), what="depth")
SECOND = 10**9


def rate_of(hertz: float) -> Rate:
    """As if events had come for the last few seconds."""
    rate = Rate()
    rate._times.extend(time.monotonic() - back / hertz for back in range(int(4 * hertz), -1, -1))
    return rate


@pytest.mark.parametrize(
    ("facts", "age", "words"),
    [
        (TopicFacts("/eye", "image", silence=6.0), None, ("nobody publishes /eye",)),
        (
            TopicFacts("/eye", "image", silence=6.0, elsewhere=("/left", "/right")),
            None,
            ("nobody publishes /eye", "images are published on /left, /right"),
        ),
        (
            TopicFacts("/eye", "image", silence=6.0, publishers=("/left",), incompatible="RELIABILITY"),
            None,
            ("incompatible QoS (RELIABILITY)", "qos_overrides./eye.subscription"),
        ),
        (
            TopicFacts("/eye", "image", silence=6.0, other_type="sensor_msgs/msg/CompressedImage"),
            None,
            ("/eye carries sensor_msgs/msg/CompressedImage", "image_transport"),
        ),
        (
            TopicFacts("/eye", "image", silence=6.25, publishers=("/left",)),
            0.1,
            ("no image on /eye for 6.2 s", "1 publisher"),
        ),
        (
            TopicFacts("/eye", "image", silence=0.1, publishers=("/left", "/right")),
            0.1,
            ("2 publishers on /eye: /left, /right", "cameras"),
        ),
        (
            TopicFacts("/eye", "image", silence=0.1, publishers=("/left",), lost=15, sent=60, size=24_883_200),
            0.1,
            ("15 of 60 messages on /eye, of 24.9 MB", "qos_overrides./eye.subscription.reliability:=reliable", "compr"),
        ),
        (WELL, 3.0, ("3.0 s old", "synchronised")),
        (WELL, -3.0, ("3.0 s in the future",)),
    ],
)
def test_trouble_with_images_is_named_in_one_line(facts: TopicFacts, age: float | None, words: tuple[str, ...]) -> None:
    said = complaint_about_images(facts, Health(image_age=age), LIMITS)
    assert all(word in said for word in words), said
    assert "\n" not in said


@pytest.mark.parametrize(
    ("frames", "words"),
    [
        (("eye",), ()),
        (("",), ("image on /eye comes without a frame_id", "cannot be placed in space")),
        (("left", "right"), ("image on /eye comes with more than one frame_id: 'left' and 'right'",)),
        (("left", ""), ("'left' and ''",)),
        (("\n" * 200, "b"), ("'\\n\\n",)),
    ],
)
def test_a_frame_that_is_not_said_or_changes_is_named(frames: tuple[str, ...], words: tuple[str, ...]) -> None:
    said = complaint_about_frames(replace(WELL, frames=frames))
    assert bool(said) == bool(words)
    assert all(word in said for word in words), said
    assert len(said) < 400
    assert said.isprintable()


def test_losses_are_counted_for_some_seconds() -> None:
    losses = Losses()
    losses.note(lost=False)
    losses.note(lost=True, count=3)
    assert losses.counts() == (3, 4)
    losses._WINDOW = 0.0
    assert losses.counts() == (0, 0)


FEW_LOST = TopicFacts("/eye", "image", silence=0.1, publishers=("/left",), lost=6, sent=300)


@pytest.mark.parametrize("facts", [TopicFacts("/eye", "image", silence=4.9), WELL, FEW_LOST])
def test_nothing_is_said_while_all_is_well(facts: TopicFacts) -> None:
    stamps = Stamps()
    for number in range(1, 50):
        stamps.note(number * SECOND // 10, Admission.TAKEN)
        stamps.note(number * SECOND // 10, Admission.DUPLICATE)  # each comes twice
    assert complaint_about_images(facts, Health(image_age=0.05, stamps=stamps), LIMITS) == ""


def test_stamps_that_stand_still_are_named() -> None:
    stamps = Stamps()
    stamps.note(7 * SECOND, Admission.TAKEN)
    for count in range(1, 6):
        assert complaint_about_images(WELL, Health(stamps=stamps), LIMITS) == "", f"after {count - 1}"
        stamps.note(7 * SECOND, Admission.DUPLICATE)
    said = complaint_about_images(WELL, Health(stamps=stamps), LIMITS)
    assert "the last 5 images on /eye are left out" in said
    assert "7.000 s" in said
    stamps.note(8 * SECOND, Admission.TAKEN)
    assert complaint_about_images(WELL, Health(stamps=stamps), LIMITS) == ""


@pytest.mark.parametrize(("hertz", "who"), [(1.0, "images on /eye are 1.00 s apart"), (30.0, "this machine looks at")])
def test_images_too_far_apart_for_a_pair_are_named_with_both_numbers(hertz: float, who: str) -> None:
    health = Health(images_in=rate_of(hertz), stamps=Stamps())
    health.stamps.note(1 * SECOND, Admission.TAKEN)
    for number in range(2, 5):
        assert complaint_about_images(WELL, health, LIMITS) == ""
        health.stamps.note(number * SECOND, Admission.GAP)
    said = complaint_about_images(WELL, health, LIMITS)
    assert who in said
    assert "1.00 s" in said
    assert "max_frame_gap (0.50 s)" in said


@pytest.mark.parametrize(
    ("facts", "away", "misses", "words"),
    [
        (TopicFacts("/far", "depth_image", silence=6.0, what="depth"), None, 9, ("nobody publishes /far",)),
        (
            TopicFacts("/far", "points", 6.0, other_type="sensor_msgs/msg/Image", what="depth"),
            None,
            9,
            ("/far carries sensor_msgs/msg/Image", "depth.source"),
        ),
        (
            TopicFacts("/far", "points", 6.0, publishers=("/left",), what="depth"),
            None,
            9,
            ("no depth on /far for 6.0 s",),
        ),
        (DEPTH, 0.2, 5, ("nearest depth is 0.20 s away; tolerance 0.05",)),
        (UNREADABLE, 0.0, 5, ("depth images come on /far, but no CameraInfo",)),
    ],
)
def test_trouble_with_depth_is_named_in_one_line(
    facts: TopicFacts, away: float | None, misses: int, words: tuple[str, ...]
) -> None:
    health = Health(depth_away=away, depth_misses=misses, depth_readable=facts is not UNREADABLE)
    said = complaint_about_depth(facts, health, tolerance=0.05, timeout=5.0)
    assert all(word in said for word in words), said
    assert "\n" not in said


def test_depth_for_every_other_image_is_well() -> None:
    assert complaint_about_depth(DEPTH, Health(depth_away=0.1, depth_misses=1), tolerance=0.05, timeout=5.0) == ""
