"""AVA actions: CSV with a box and an action a line, once a second. https://research.google.com/ava/download.html"""

from __future__ import annotations

import csv
import re
from collections import defaultdict
from pathlib import Path

from amtnet_ros.data.actions_file import Action
from amtnet_ros.errors import UserError
from amtnet_ros.formats.actions import Box, ImportedVideo, frame_within, pixels, seen_in
from amtnet_ros.formats.videos import FoundVideo, VideoFolder

COLUMNS = ("video_id", "timestamp", "x1", "y1", "x2", "y2", "action_id", "person_id")
_ONLY_LOOKED_AT = 2
"""Columns of a line that names a moment in which nobody does anything."""

_Seen = dict[tuple[int, str], dict[int, Box]]


def read_ava(file: Path, videos: VideoFolder, names: dict[int, str], start: float = 0.0) -> list[ImportedVideo]:
    """Every video of the file. A line is of the frame at its timestamp; between two of them nobody looked.

    names: of the actions, by their id: `read_action_list`. start: the second of the original film at which the video
    begins: 900 for AVA's quarters of an hour, if they are cut out. Raises UserError naming file, line and mistake.
    """
    seen: dict[str, _Seen] = {}
    looked_at: dict[str, set[int]] = defaultdict(set)
    found: dict[str, FoundVideo] = {}
    for where, row in _rows(file):
        video = found[row[0]] if row[0] in found else found.setdefault(row[0], videos.find(where, row[0]))
        frame = _frame(where, row[1], video, start)
        looked_at[row[0]].add(frame)
        people = seen.setdefault(row[0], defaultdict(dict))
        if len(row) > _ONLY_LOOKED_AT:
            person, label, box = _person(where, row, names, video)
            people[person, label][frame] = box
    return [ImportedVideo(found[name], _actions(people, sorted(looked_at[name]))) for name, people in seen.items()]


def read_action_list(file: Path) -> dict[int, str]:
    """The names in one of AVA's lists (`ava_action_list_v2.2.pbtxt`), by id. Raises UserError if it is none."""
    try:
        text = file.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise UserError(f"{file}: cannot be read as text ({error})") from error
    names = {}
    for entry in re.findall(r"\b(?:label|item)\s*\{([^}]*)\}", text):
        name, number = re.search(r'\bname\s*:\s*"([^"]*)"', entry), re.search(r"\b(?:label_)?id\s*:\s*(\d+)", entry)
        if name is None or number is None:
            raise UserError(f"{file}: the entry {' '.join(entry.split())!r} lacks a name or an id")
        names[int(number[1])] = name[1]
    if not names:
        raise UserError(f"{file}: no list of actions; it should hold entries such as label {{ name: … label_id: … }}")
    return names


def _rows(file: Path) -> list[tuple[str, list[str]]]:
    """Place and columns of every line that is not empty."""
    try:
        with file.open(encoding="utf-8", newline="") as lines:
            reader = csv.reader(lines)
            rows = [(f"{file}, line {reader.line_num}", row) for row in reader if row]
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise UserError(f"{file}: cannot be read as CSV ({error})") from error
    for where, row in rows:
        if len(row) not in (_ONLY_LOOKED_AT, len(COLUMNS)):
            raise UserError(f"{where}: {len(row)} columns; AVA v2.2 has {', '.join(COLUMNS)}")
    return rows


def _frame(where: str, timestamp: str, video: FoundVideo, start: float) -> int:
    seconds = _number(where, "timestamp", timestamp) - start
    if not 0 <= round(seconds * video.rate) < video.n_frames:
        raise UserError(
            f"{where}: second {timestamp}, but {video.path} is {video.n_frames / video.rate:.1f} s long and begins "
            f"at {start:g}; --start gives another second at which it begins"
        )
    return frame_within(where, round(seconds * video.rate), video)


def _person(where: str, row: list[str], names: dict[int, str], video: FoundVideo) -> tuple[int, str, Box]:
    values = [_number(where, name, text) for name, text in zip(COLUMNS[2:], row[2:], strict=True)]
    action, person = values[4], values[5]
    if action != int(action) or int(action) not in names:
        raise UserError(f"{where}: the action {row[6]} is not in the list of actions")
    if person != int(person):
        raise UserError(f"{where}: person_id {row[7]} is no whole number; is this a file of results, with scores?")
    if max(map(abs, values[:4])) > 1.5:
        raise UserError(f"{where}: the box {row[2:6]} is in pixels; AVA's are shares of the picture, 0 to 1")
    x1, x2 = values[0] * video.width, values[2] * video.width
    y1, y2 = values[1] * video.height, values[3] * video.height
    return int(person), names[int(action)], pixels(where, (x1, y1, x2, y2), video)


def _number(where: str, name: str, text: str) -> float:
    try:
        return float(text)
    except ValueError:
        raise UserError(f"{where}: {name} {text!r} is not a number") from None


def _actions(people: _Seen, looked_at: list[int]) -> list[Action]:
    return [action for (_, label), boxes in people.items() for action in seen_in(label, boxes, looked_at)]
