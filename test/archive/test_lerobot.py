"""Episodes of LeRobot data sets, laid out as the project's documentation says, versions 2 and 3."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from recordings import SECOND, pictures, rows_of, run, setup_of, write_video

from amtnet_ros.archive.lerobot import find_episodes
from amtnet_ros.archive.sources import pictures_of
from amtnet_ros.errors import UserError

CAMERA = "observation.images.top"


def write_info(folder: Path, version: str, **others: Any) -> None:
    """meta/info.json, as far as it matters here."""
    info = {
        "codebase_version": version,
        "fps": 30,
        "total_episodes": 2,
        "chunks_size": 1000,
        "features": {
            CAMERA: {"dtype": "video", "shape": [48, 64, 3]},
            "observation.state": {"dtype": "float32", "shape": [6]},
        },
        **others,
    }
    (folder / "meta").mkdir(parents=True)
    (folder / "meta" / "info.json").write_text(json.dumps(info))


def write_v2(folder: Path) -> None:
    """A video an episode: of 2 and of 1 second."""
    paths = {
        "data_path": "data/chunk-{episode_chunk:03d}/episode_{episode_index:06d}.parquet",
        "video_path": "videos/chunk-{episode_chunk:03d}/{video_key}/episode_{episode_index:06d}.mp4",
    }
    write_info(folder, "v2.1", **paths)
    for number, seconds in enumerate((2.0, 1.0)):
        video = folder / "videos/chunk-000" / CAMERA / f"episode_{number:06d}.mp4"
        write_video(video, seconds, seed=number)


def write_v3(folder: Path) -> None:
    """One video of 3 seconds for both."""
    paths = {
        "data_path": "data/chunk-{chunk_index:03d}/file-{file_index:03d}.parquet",
        "video_path": "videos/{video_key}/chunk-{chunk_index:03d}/file-{file_index:03d}.mp4",
    }
    write_info(folder, "v3.0", **paths)
    write_video(folder / "videos" / CAMERA / "chunk-000" / "file-000.mp4", 3.0)
    column = f"videos/{CAMERA}/"
    rows = [
        {
            "episode_index": number,
            "data/chunk_index": 0,
            "data/file_index": 0,
            f"{column}chunk_index": 0,
            f"{column}file_index": 0,
            f"{column}from_timestamp": begin,
            f"{column}to_timestamp": end,
            "stats/x": 1.0,
        }
        for number, (begin, end) in enumerate([(0.0, 2.0), (2.0, 3.0)])
    ]
    (folder / "meta/episodes/chunk-000").mkdir(parents=True)
    pq.write_table(pa.Table.from_pylist(rows), folder / "meta/episodes/chunk-000/file-000.parquet")


@pytest.mark.parametrize("write", [write_v2, write_v3], ids=["version 2", "version 3"])
def test_each_episode_is_a_recording_of_its_own(tmp_path: Path, model: Path, write: Any) -> None:
    folder = tmp_path / "sets" / "one"
    write(folder)
    run(setup_of(model, tmp_path / "out"), tmp_path / "sets")
    rows = rows_of(tmp_path / "out")
    found = {(row["dataset"], row["topic"], row["episode"]): row["stamps"] for row in rows}
    assert found.keys() == {(str(folder), CAMERA, 0), (str(folder), CAMERA, 1)}
    for episode, count in ((0, 60), (1, 30)):
        stamps = found[str(folder), CAMERA, episode]
        np.testing.assert_allclose(stamps, np.arange(count) * SECOND / 30, atol=1)


def test_pictures_in_parquet_are_read_too(tmp_path: Path) -> None:
    write_info(
        tmp_path,
        "v2.1",
        data_path="data/episode_{episode_index:06d}.parquet",
        features={CAMERA: {"dtype": "image", "shape": [48, 64, 3]}},
        total_episodes=1,
    )
    images = list(pictures(0.2, 0))
    files = [cv2.imencode(".png", image[..., ::-1])[1].tobytes() for image in images]
    rows = [
        {"episode_index": 0, "timestamp": i / 30, CAMERA: {"bytes": file, "path": None}} for i, file in enumerate(files)
    ]
    (tmp_path / "data").mkdir()
    pq.write_table(pa.Table.from_pylist(rows), tmp_path / "data/episode_000000.parquet")
    (recording,) = find_episodes(str(tmp_path))
    read = [picture.load() for picture in pictures_of(recording)]
    assert [stamp for stamp, _ in read] == [round(i / 30 * SECOND) for i in range(6)]
    for (_, image), wanted in zip(read, images, strict=True):
        np.testing.assert_array_equal(image, wanted)
    later = pictures_of(recording, begin=round(3 / 30 * SECOND), end=round(5 / 30 * SECOND))
    assert [picture.position for picture in later] == [round(i / 30 * SECOND) for i in (3, 4)]


def test_what_is_no_such_data_set_is_named(tmp_path: Path) -> None:
    write_info(tmp_path / "old", "v1.6")
    with pytest.raises(UserError, match=r"version v1\.6; versions 2 and 3"):
        find_episodes(str(tmp_path / "old"))
    write_v2(tmp_path / "new")
    with pytest.raises(UserError, match=f"no such camera; there are: {CAMERA}"):
        find_episodes(str(tmp_path / "new"), ("side",))
    (tmp_path / "new/meta/info.json").write_text("{}")
    with pytest.raises(UserError, match=r"info\.json: says nothing of a LeRobot data set"):
        find_episodes(str(tmp_path / "new"))
