"""A small video that the files in files/ speak of."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from amtnet_ros.formats.videos import VideoFolder
from amtnet_ros.media.video import VideoWriter

N_FRAMES, RATE, SIZE = 24, 10, (160, 120)


@pytest.fixture(scope="session")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Holds hall.mp4, in a folder below it."""
    folder = tmp_path_factory.mktemp("videos")
    with VideoWriter(folder / "clips" / "hall.mp4", RATE) as writer:
        for number in range(N_FRAMES):
            writer.write(np.full((SIZE[1], SIZE[0], 3), 10 * number, np.uint8), number / RATE)
    return folder


@pytest.fixture
def videos(folder: Path) -> VideoFolder:
    return VideoFolder(folder)
