"""What an archive of fewer pictures keeps, and the recording of a camera that it is measured on."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from recordings import run, setup_of, write_video

from amtnet_ros.bench.archive import write_camera
from amtnet_ros.bench.archive_rates import compare
from amtnet_ros.media.video import open_source


def test_what_another_archive_keeps_of_the_seconds_and_the_boxes(tmp_path: Path, model: Path) -> None:
    video = write_video(tmp_path / "a.mp4", 2.0)
    run(setup_of(model, tmp_path / "full"), video)
    run(setup_of(model, tmp_path / "fewer", rate=10), video)
    run(setup_of(model, tmp_path / "blind", **{"link.start_score": 1.0}), video)
    fewer = compare(tmp_path / "full", tmp_path / "fewer")
    assert (fewer["seconds_found"], fewer["seconds_that_the_full_one_has"]) == (1, 1)
    assert fewer["boxes_found"] == pytest.approx(58 / 60, abs=0.001)  # the last of ten a second is two pictures sooner
    assert fewer["iou_of_boxes_found"] == pytest.approx(1, abs=1e-3)
    assert fewer["boxes_that_the_full_one_has"] == 1
    blind = compare(tmp_path / "full", tmp_path / "blind")
    assert (blind["seconds_found"], blind["boxes_found"], blind["boxes_that_the_full_one_has"]) == (0, 0, 1)


def test_clips_are_joined_to_the_recording_of_a_camera(tmp_path: Path) -> None:
    clips = [str(write_video(tmp_path / f"{seed}.mp4", 0.5, seed=seed)) for seed in range(2)]
    write_camera(tmp_path / "camera.mp4", clips, 1.5, seed=0)
    images = list(open_source(str(tmp_path / "camera.mp4")))
    assert (len(images), images[0].shape) == (45, (480, 640, 3))
    parts = [np.mean(images[at : at + 15], axis=0) for at in (0, 15, 30)]
    originals = [np.mean(list(open_source(clip)), axis=0) for clip in clips]
    which = [int(np.argmin([abs(part[::10, ::10] - o).mean() for o in originals])) for part in parts]
    assert sorted(which[:2]) == [0, 1]  # each once, before one comes again
