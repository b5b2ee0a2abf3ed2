"""An actions.json of two clips: a bright square that walks to the right, and a dark one with two tubes."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from amtnet_ros.media.video import VideoWriter

N_FRAMES, WIDTH, HEIGHT = 30, 160, 120


def square(frame: int) -> list[float]:
    """Where it is."""
    return [10 + 2 * frame, 30, 50 + 2 * frame, 90]


@pytest.fixture(scope="session")
def clips(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("clips")
    for name in ("a", "b"):
        with VideoWriter(folder / f"{name}.mp4", 10) as writer:
            for frame in range(N_FRAMES):
                image = np.full((HEIGHT, WIDTH, 3), 40, np.uint8)
                x1, y1, x2, y2 = map(int, square(frame))
                image[y1:y2, x1:x2] = 120 + 3 * frame
                writer.write(image, frame / 10)
    return folder


@pytest.fixture
def actions(clips: Path, tmp_path: Path) -> Path:
    """The file, beside which the clips lie."""
    for clip in clips.iterdir():
        (tmp_path / clip.name).symlink_to(clip)
    tube = {"first_frame": 0, "boxes": [square(frame) for frame in range(N_FRAMES)]}
    other = {"first_frame": 5, "boxes": [[100, 10, 140, 110]] * 20}
    video: dict[str, Any] = {"width": WIDTH, "height": HEIGHT, "n_frames": N_FRAMES, "split": "train"}
    content = {
        "format": "amtnet-actions",
        "version": 1,
        "classes": ["wave", "clap"],
        "videos": {
            "wave/a": {**video, "path": "a.mp4", "actions": [{"label": "wave", **tube}], "candidates": [tube, other]},
            "clap/b": {**video, "path": "b.mp4", "actions": [], "candidates": [tube, other], "review": "open"},
        },
    }
    file = tmp_path / "actions.json"
    file.write_text(json.dumps(content))
    return file
