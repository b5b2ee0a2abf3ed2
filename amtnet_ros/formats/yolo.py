"""YOLO: a text file for each frame. https://docs.ultralytics.com/datasets/detect/"""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Iterable
from pathlib import Path
from typing import NamedTuple

import yaml

from amtnet_ros.data.actions_file import Action
from amtnet_ros.errors import UserError
from amtnet_ros.formats.actions import Box, ImportedVideo, frame_within, pixels, seen_in
from amtnet_ros.formats.videos import FoundVideo, VideoFolder

NAME_FILES = ("data.yaml", "classes.txt", "obj.names")
"""Where the names of the classes are looked for."""


class _Line(NamedTuple):
    """where: file and line. values: class, centre x, centre y, width, height, and one or two more."""

    where: str
    values: list[float]


def read_yolo(
    folder: Path, videos: VideoFolder, names: list[str], video: str | None = None, first: int = 1
) -> list[ImportedVideo]:
    """The files VIDEO_NUMBER.txt of a folder; lines: class, centre, width, height, as shares of the picture.

    A track's number may follow, after a score or without one, as `yolo track … save_txt=True` writes them; without,
    only one person may do an action at a time. names: of the classes. video: of which all files are, whatever their
    names say. first: the number of the first frame's file; Ultralytics counts from 1, CVAT and most others from 0.
    A file that is missing is a frame that nobody looked at. Raises UserError naming file, line and mistake.
    """
    of_video: dict[str, dict[int, list[_Line]]] = defaultdict(dict)
    for file in sorted(folder.glob("*.txt")):
        if file.name not in NAME_FILES:
            stem, number = _named(file)
            of_video[video or stem][number] = _lines(file)
    if not of_video:
        raise UserError(f"{folder}: holds no files such as clip_1.txt, one for each frame")
    tracked = _has_tracks(line for frames in of_video.values() for lines in frames.values() for line in lines)
    imported = []
    for called, frames in of_video.items():
        found = videos.find(str(folder), called)
        by_frame = {
            frame_within(f"{folder}: {called}, counted from {first} (--first)", number - first, found): frames[number]
            for number in frames
        }
        imported.append(ImportedVideo(found, _actions(by_frame, names, found, tracked)))
    return imported


def read_names(folder: Path, file: Path | None) -> list[str]:
    """The names of the classes: a YAML file with `names`, or a text file with one a line.

    file: else one of `NAME_FILES` in the folder or above it. Raises UserError if there is none, or it is neither.
    """
    file = file or next(
        (at / name for at in (folder, folder.parent) for name in NAME_FILES if (at / name).exists()), None
    )
    if file is None:
        raise UserError(f"{folder}: no {', '.join(NAME_FILES)} in it or above it; --names gives the classes' names")
    try:
        text = file.read_text(encoding="utf-8")
        content = yaml.safe_load(text) if file.suffix in (".yaml", ".yml") else {"names": text.split("\n")}
    except (OSError, UnicodeDecodeError, yaml.YAMLError) as error:
        raise UserError(f"{file}: cannot be read ({' '.join(str(error).split())})") from error
    names = content.get("names") if isinstance(content, dict) else None
    if isinstance(names, dict):
        names = [names[number] for number in range(len(names))] if set(names) == set(range(len(names))) else None
    if not isinstance(names, list) or not any(names):
        raise UserError(f"{file}: 'names' should list the classes' names")
    return [str(name).strip() for name in names]


def _named(file: Path) -> tuple[str, int]:
    """clip_2_15.txt → ("clip_2", 15)."""
    match = re.fullmatch(r"(.*?)[_-]?(\d+)", file.stem)
    if match is None:
        raise UserError(f"{file}: its name does not end with the number of a frame, as in clip_1.txt")
    return match[1], int(match[2])


def _lines(file: Path) -> list[_Line]:
    try:
        texts = file.read_text(encoding="utf-8").splitlines()
    except (OSError, UnicodeDecodeError) as error:
        raise UserError(f"{file}: cannot be read as text ({error})") from error
    lines = []
    for number, text in enumerate(texts, 1):
        if text.strip():
            where = f"{file}, line {number}"
            try:
                values = [float(value) for value in text.split()]
            except ValueError as error:
                raise UserError(f"{where}: {error}; a line holds numbers only") from error
            if not 5 <= len(values) <= 7:
                raise UserError(f"{where}: {len(values)} numbers; a box has class, x, y, width and height, and a track")
            lines.append(_Line(where, values))
    return lines


def _has_tracks(lines: Iterable[_Line]) -> bool:
    """Whether the last number of a line is a track's: of six numbers it may be a score, which is seldom whole."""
    longer = [line.values for line in lines if len(line.values) > 5]
    return bool(longer) and all(len(values) == 7 or values[5] == int(values[5]) for values in longer)


def _actions(frames: dict[int, list[_Line]], names: list[str], video: FoundVideo, tracked: bool) -> list[Action]:
    seen: dict[tuple[float, str], dict[int, Box]] = defaultdict(dict)
    for frame, lines in sorted(frames.items()):
        for where, values in lines:
            number = int(values[0])
            if number != values[0] or not 0 <= number < len(names):
                raise UserError(f"{where}: class {values[0]:g}, but the names are of 0 to {len(names) - 1}")
            track = values[-1] if tracked and len(values) > 5 else -1.0
            boxes = seen[track, names[number]]
            if frame in boxes:
                raise UserError(f"{where}: {names[number]!r} twice in a frame; a track's number must tell who is who")
            boxes[frame] = _box(where, values, video)
    return [action for (_, label), boxes in seen.items() for action in seen_in(label, boxes, sorted(frames))]


def _box(where: str, values: list[float], video: FoundVideo) -> Box:
    x, y, width, height = values[1:5]
    if max(x, y, width, height) > 1.5:
        raise UserError(f"{where}: the box is in pixels; YOLO's are shares of the picture, 0 to 1")
    x1, x2 = (x - width / 2) * video.width, (x + width / 2) * video.width
    y1, y2 = (y - height / 2) * video.height, (y + height / 2) * video.height
    return pixels(where, (x1, y1, x2, y2), video)
