"""Episodes of LeRobot data sets, versions 2 and 3, as they lie: Parquet files that say where in which video each is."""

from __future__ import annotations

from collections.abc import Collection, Iterator
from dataclasses import dataclass
from functools import partial
from typing import Any

from amtnet_ros.archive.places import content_key, files_below, one_line, opened, read_json_at, within
from amtnet_ros.archive.recording import SECOND, Picture, Recording, key_of
from amtnet_ros.contracts import UInt8
from amtnet_ros.errors import UserError
from amtnet_ros.libraries import library
from amtnet_ros.media.encodings import rgb_from_compressed

INFO = "meta/info.json"
_EPISODES = "meta/episodes"


@dataclass
class _Stored:
    """A picture in a Parquet file, as `rgb_from_compressed` takes it."""

    format: str
    data: bytes


def find_episodes(place: str, wanted: Collection[str] = ()) -> list[Recording]:
    """A recording for each episode and camera of a data set. wanted: only these cameras, where there are any.

    Raises UserError where it is no such data set.
    """
    info = _info(place)
    cameras = {
        name: feature["dtype"] for name, feature in info["features"].items() if feature["dtype"] in ("video", "image")
    }
    chosen = {name: kind for name, kind in cameras.items() if not wanted or name in wanted}
    if not chosen:
        raise UserError(f"{place}: the data set has no such camera; there are: {', '.join(cameras) or 'none'}")
    listed = _listed(place) if info["codebase_version"].startswith("v3") else _numbered(info)
    contents: dict[str, str] = {}
    recordings = []
    for episode in listed:
        for camera, kind in chosen.items():
            file, begin, end = _where(place, info, episode, camera, kind)
            if file not in contents:
                contents[file] = content_key([file])
            recordings.append(
                Recording(
                    key_of(contents[file], camera, begin, episode["episode_index"]),
                    "video" if kind == "video" else "parquet",
                    file,
                    camera,
                    begin,
                    end,
                    place,
                    episode["episode_index"],
                )
            )
    return recordings


def stored_pictures(recording: Recording, begin: int, end: int | None) -> Iterator[Picture]:
    """The pictures of an episode whose pictures lie in its Parquet file, as in `video_pictures`.

    Raises UserError where the file is broken.
    """
    parquet = library("pyarrow.parquet", "reading LeRobot data sets")
    try:
        with opened(recording.file) as file:
            columns = ["episode_index", "timestamp", recording.topic]
            for batch in parquet.ParquetFile(file).iter_batches(batch_size=64, columns=columns):
                for row in batch.to_pylist():
                    position = round(row["timestamp"] * SECOND)
                    inside = begin <= position and (end is None or position < end)
                    if row["episode_index"] == recording.episode and inside:
                        yield Picture(position, partial(_load, row[recording.topic], position))
    except UserError:
        raise
    except Exception as error:  # Arrow's errors have no base of their own
        raise UserError(f"{recording.file}: cannot be read as Parquet ({one_line(error)})") from error


def _load(picture: dict[str, Any], stamp: int) -> tuple[int, UInt8]:
    return stamp, rgb_from_compressed(_Stored("image", picture["bytes"] or b""))


def _info(place: str) -> dict[str, Any]:
    where = within(place, INFO)
    info: dict[str, Any] = read_json_at(where)
    try:
        version, _ = info["codebase_version"], info["features"].items()
    except (KeyError, TypeError, AttributeError) as error:
        raise UserError(f"{where}: says nothing of a LeRobot data set ({one_line(error)})") from error
    if not version.startswith(("v2", "v3")):
        raise UserError(f"{place}: a LeRobot data set of version {version}; versions 2 and 3 are understood")
    return info


def _numbered(info: dict[str, Any]) -> list[dict[str, Any]]:
    """Version 2: a file an episode, found by its number."""
    return [
        {"episode_index": number, "episode_chunk": number // info["chunks_size"]}
        for number in range(info["total_episodes"])
    ]


def _listed(place: str) -> list[dict[str, Any]]:
    """Version 3: several episodes a file, listed in Parquet files."""
    parquet = library("pyarrow.parquet", "reading LeRobot data sets")
    rows: list[dict[str, Any]] = []
    for where in files_below(within(place, _EPISODES)):
        with opened(where) as file:
            table = parquet.read_table(file)
            rows += table.select([name for name in table.column_names if not name.startswith("stats/")]).to_pylist()
    return sorted(rows, key=lambda row: int(row["episode_index"]))


def _where(
    place: str, info: dict[str, Any], episode: dict[str, Any], camera: str, kind: str
) -> tuple[str, int, int | None]:
    """The file that holds an episode's pictures of a camera, and the positions between which they lie in it."""
    if kind == "image":
        chunk = {"chunk_index": episode.get("data/chunk_index"), "file_index": episode.get("data/file_index")}
        return within(place, info["data_path"].format(**episode, **chunk)), 0, None
    if "episode_chunk" in episode:
        return within(place, info["video_path"].format(video_key=camera, **episode)), 0, None
    column = f"videos/{camera}/"
    chunk = {"chunk_index": episode[f"{column}chunk_index"], "file_index": episode[f"{column}file_index"]}
    begin, end = (round(episode[f"{column}{which}_timestamp"] * SECOND) for which in ("from", "to"))
    return within(place, info["video_path"].format(video_key=camera, **chunk)), begin, end
