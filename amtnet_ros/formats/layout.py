"""What was imported, as the JSON file that training and evaluation read."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Literal

from amtnet_ros.data.actions_file import NONE, Action, ActionsFile, Video
from amtnet_ros.errors import UserError
from amtnet_ros.formats.actions import ImportedVideo


def as_actions_file(
    imported: Sequence[ImportedVideo], folder: Path, split: Literal["train", "test"], rename: Mapping[str, str]
) -> ActionsFile:
    """The videos as they are written into a file in `folder`. A video that was imported twice has the actions of both.

    rename: of labels, other tool's → ours. The classes are in alphabetical order. Raises UserError where nothing but
    people without an action was imported, or a label to rename does not occur.
    """
    videos: dict[str, Video] = {}
    for each in imported:
        actions = [
            action.model_copy(update={"label": rename.get(action.label, action.label)}) for action in each.actions
        ]
        path = Path(os.path.relpath(each.video.path, folder)).as_posix()
        if each.video.name in videos:
            if videos[each.video.name].path != path:
                raise UserError(f"{path} and {videos[each.video.name].path} are two videos of one name; rename one")
            videos[each.video.name].actions.extend(actions)
            continue
        videos[each.video.name] = Video(
            path=path,
            width=each.video.width,
            height=each.video.height,
            n_frames=each.video.n_frames,
            split=split,
            actions=actions,
        )
    known = {action.label for each in imported for action in each.actions}
    unknown = sorted(set(rename) - known)
    if unknown:
        raise UserError(f"--rename {unknown[0]}: no such label; there are: {', '.join(sorted(known)) or 'none'}")
    classes = sorted({action.label for action in _actions(videos)} - {NONE})
    if not classes:
        raise UserError("no action was found: nobody has a box with a label")
    return ActionsFile(classes=classes, videos=videos)


def _actions(videos: Mapping[str, Video]) -> list[Action]:
    return [action for video in videos.values() for action in video.actions]
