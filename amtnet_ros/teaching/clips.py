"""Clips in folders that are named by what people do in them, and which of them belong together."""

from __future__ import annotations

import hashlib
import re
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from amtnet_ros.contracts import NOBODY, OTHER
from amtnet_ros.data.actions_file import NONE
from amtnet_ros.errors import UserError

SUFFIXES = (".avi", ".m4v", ".mkv", ".mov", ".mp4", ".mpg", ".mpeg", ".ogv", ".webm", ".wmv")
LABEL = re.compile(r"[^\W_][\w -]*")
TEST_SHARE, LEAST_GROUPS = 0.2, 6
"""A fifth of an action's sources is for tests, if it has so many of them."""


@dataclass(frozen=True)
class Clip:
    """name: unique, LABEL/STEM. group: clips of the same come from one source, as far as their names tell."""

    name: str
    label: str
    path: Path
    group: str


def find_clips(folder: Path) -> tuple[list[Clip], list[str]]:
    """All clips FOLDER/LABEL/*.mp4 (or another video), sorted, and a line for each thing that is left out.

    Raises UserError where there are none.
    """
    if not folder.is_dir():
        raise UserError(f"{folder}: no such folder; it should hold a folder for each action, and `{NONE}`")
    clips: list[Clip] = []
    remarks: list[str] = []
    for place in sorted(folder.iterdir()):
        if place.name.startswith("."):
            continue
        if not place.is_dir():
            if place.suffix.lower() in SUFFIXES:
                remarks.append(f"{place}: lies in no action's folder; left out")
            continue
        problem = _wrong_with(place.name)
        if problem:
            remarks.append(f"{place}: {problem}; its clips are left out")
            continue
        files = [file for file in sorted(place.iterdir()) if file.suffix.lower() in SUFFIXES and file.is_file()]
        if not files:
            remarks.append(f"{place}: holds no clips ({', '.join(SUFFIXES)})")
        clips += _named(place.name, files, remarks)
    if not clips:
        why = f" ({remarks[0]})" if remarks else ""
        raise UserError(f"{folder}: no clips found in folders named by actions, such as {folder}/wave/1.mp4{why}")
    return clips, remarks


def _wrong_with(label: str) -> str:
    if label in (OTHER, NOBODY):
        return f"'{label}' is an answer of its own; people who do none of the actions go into '{NONE}'"
    if not LABEL.fullmatch(label):
        return "no name of an action: letters, digits, '_', '-' and spaces, beginning with a letter or digit"
    return ""


def _named(label: str, files: list[Path], remarks: list[str]) -> list[Clip]:
    """Two files that differ by their endings only keep these in their names."""
    stems = Counter(file.stem for file in files)
    for stem in (stem for stem, count in stems.items() if count > 1):
        remarks.append(f"{files[0].parent / stem}: two clips of one name; both are taken, with their endings")
    groups = {file: source_of(file.stem) for file in files}
    if len(set(groups.values())) == 1:  # names that are numbers tell nothing of the source
        groups = {file: file.stem for file in files}
    return [
        Clip(f"{label}/{file.stem if stems[file.stem] == 1 else file.name}", label, file, groups[file])
        for file in files
    ]


def source_of(stem: str) -> str:
    """What is left of a name without its last number: `anna_kitchen_02` and `anna_kitchen-3` → `anna_kitchen`."""
    return re.sub(r"[\s_.-]*[a-zA-Z]?\d+$", "", stem) or stem


def draw_split(clips: Iterable[Clip], split_of: dict[str, str], seed: int) -> dict[str, str]:
    """`train` or `test` by name of a clip. Groups stay together; which are drawn follows from names and seed alone.

    split_of: the splits of clips that have one already, by name; they keep it.
    """
    splits = dict(split_of)
    clips = list(clips)
    of_group = {(clip.label, clip.group): splits[clip.name] for clip in clips if clip.name in splits}
    for label in sorted({clip.label for clip in clips}):
        groups = sorted({clip.group for clip in clips if clip.label == label}, key=lambda name: _draw(seed, name))
        wanted = round(TEST_SHARE * len(groups)) if len(groups) >= LEAST_GROUPS else 0
        left = wanted - sum(of_group.get((label, group)) == "test" for group in groups)
        for group in (group for group in groups if (label, group) not in of_group):
            of_group[label, group] = "test" if left > 0 else "train"
            left -= 1
    return {clip.name: splits.get(clip.name, of_group[clip.label, clip.group]) for clip in clips}


def _draw(seed: int, name: str) -> str:
    return hashlib.sha256(f"{seed} {name}".encode()).hexdigest()
