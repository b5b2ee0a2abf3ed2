"""An MCAP recording that cannot be written costs itself alone."""

from __future__ import annotations

import resource
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

pytest.importorskip("mcap.writer", reason="mcap, which writes such files, is not installed")

from amtnet_ros.view.mcap_file import McapRecorder

NOISE = np.random.default_rng(0).integers(0, 256, (480, 640, 3), dtype=np.uint8)


@pytest.fixture
def small_disk() -> Iterator[None]:
    """No file may have more than 200 kB, as if the disk were full; Python ignores the signal of it."""
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (200_000, before[1]))
    yield
    resource.setrlimit(resource.RLIMIT_FSIZE, before)


@pytest.mark.usefixtures("small_disk")
@pytest.mark.parametrize("images", [1, 12])
def test_on_a_full_disk_it_is_given_up_once_and_nothing_is_left(tmp_path: Path, images: int) -> None:
    said: list[str] = []
    with McapRecorder(tmp_path / "seen.mcap", said.append) as recorder:
        for number in range(images):
            recorder.add_image(number * 10**8, NOISE, "camera")
    assert recorder.failed
    (line,) = said
    assert line.startswith(f"{tmp_path / 'seen.mcap'}: cannot be written (file too large)")
    assert list(tmp_path.iterdir()) == []


def test_a_block_that_fails_leaves_no_file(tmp_path: Path) -> None:
    recorder = McapRecorder(tmp_path / "seen.mcap")
    recorder.add_image(0, NOISE, "camera")
    with pytest.raises(ZeroDivisionError), recorder:
        _ = 1 // 0
    assert list(tmp_path.iterdir()) == []
