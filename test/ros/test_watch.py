"""The cause of missing images is named."""

from __future__ import annotations

import pytest

from amtnet_ros.ros.health import Input, complaint


@pytest.mark.parametrize(
    ("seen", "words"),
    [
        (Input("/eye", "image", silence=6.0, age=None, publishers=0), ("nobody publishes /eye",)),
        (
            Input("/eye", "image", silence=6.0, age=None, publishers=0, elsewhere=("/left", "/right")),
            ("nobody publishes /eye", "/left, /right"),
        ),
        (
            Input("/eye", "image", silence=6.0, age=None, publishers=1, incompatible="RELIABILITY"),
            ("incompatible QoS (RELIABILITY)", "qos_overrides./eye.subscription"),
        ),
        (
            Input("/eye", "image", silence=6.0, age=None, publishers=1, other_type="sensor_msgs/msg/CompressedImage"),
            ("/eye carries sensor_msgs/msg/CompressedImage",),
        ),
        (Input("/eye", "image", silence=6.25, age=0.1, publishers=1), ("no image on /eye for 6.2 s", "1 publisher")),
        (Input("/eye", "image", silence=0.1, age=3.0, publishers=1), ("3.0 s old", "synchronised")),
        (Input("/eye", "image", silence=0.1, age=-3.0, publishers=1), ("3.0 s in the future",)),
    ],
)
def test_trouble_is_named_in_one_line(seen: Input, words: tuple[str, ...]) -> None:
    said = complaint(seen, timeout=5.0, max_age=2.0)
    assert all(word in said for word in words), said
    assert "\n" not in said


@pytest.mark.parametrize(
    "seen",
    [
        Input("/eye", "image", silence=4.9, age=None, publishers=0),
        Input("/eye", "image", silence=0.03, age=0.05, publishers=1),
    ],
)
def test_nothing_is_said_while_all_is_well(seen: Input) -> None:
    assert complaint(seen, timeout=5.0, max_age=2.0) == ""
