"""What is on the tape when a clip is cut, and that it never holds more than it may."""

from __future__ import annotations

import numpy as np
import pytest

from amtnet_ros.contracts import UInt8
from amtnet_ros.recording.tape import Tape


def picture(seed: int = 0) -> UInt8:
    """Noise, which JPEG cannot make small."""
    return np.random.default_rng(seed).integers(0, 256, (48, 64, 3), dtype=np.uint8)


def test_a_cut_holds_the_images_of_that_time_as_far_as_they_are_there() -> None:
    tape = Tape(seconds=2.0)
    for number in range(50):
        tape.add(picture(number), 100 + number / 10)
    assert tape.newest == 104.9
    assert tape.rate == pytest.approx(10)
    assert [round(shot.seconds, 1) for shot in tape.cut(104.5, 200)] == [104.5, 104.6, 104.7, 104.8, 104.9]
    assert round(tape.cut(0, 200)[0].seconds, 1) == 102.9  # two seconds before the newest
    assert tape.size == (64, 48)


def test_it_never_holds_more_bytes_than_it_may() -> None:
    most = 100_000
    tape = Tape(seconds=60.0, most_bytes=most)
    for number in range(100):
        tape.add(picture(number), number / 30)
        held = tape.cut(0, 60)
        assert tape.bytes == sum(shot.jpeg.nbytes for shot in held) <= most
    assert 5 < len(held) < 50
    assert held[-1].seconds == 99 / 30


def test_an_image_that_is_larger_than_all_it_may_hold_is_kept_alone() -> None:
    tape = Tape(seconds=60.0, most_bytes=10)
    tape.add(picture(0), 0.0)
    tape.add(picture(1), 0.1)
    assert len(tape.cut(0, 1)) == 1
    assert tape.rate == 0
