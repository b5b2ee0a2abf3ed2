"""What the importers make: videos with actions, out of boxes at key frames or of boxes in the frames looked at."""

from __future__ import annotations

import math
import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal, NamedTuple

from amtnet_ros.data.actions_file import NONE, Action, ActionsFile, Video
from amtnet_ros.errors import UserError
from amtnet_ros.formats.videos import FoundVideo

Box = tuple[float, float, float, float]
"""x1, y1, x2, y2 in pixels, 0-based, exclusive maximum."""


@dataclass(frozen=True)
class ImportedVideo:
    """A video and what people do in it."""

    video: FoundVideo
    actions: list[Action]


class Key(NamedTuple):
    """A box that somebody drew.

    frame: 0-based. label: what the person does from this frame on; None: nothing, or they are not in view.
    """

    frame: int
    box: Box
    label: str | None


def pixels(where: str, box: Box, video: FoundVideo) -> Box:
    """The part of a box within the picture. Raises UserError if there is none, or a number is not finite."""
    if not all(map(math.isfinite, box)):
        raise UserError(f"{where}: the box {list(box)} is not of finite numbers")
    x1, y1 = max(box[0], 0.0), max(box[1], 0.0)
    x2, y2 = min(box[2], float(video.width)), min(box[3], float(video.height))
    if round(x1, 2) >= round(x2, 2) or round(y1, 2) >= round(y2, 2):
        shown = [round(value, 2) for value in box]
        raise UserError(f"{where}: nothing of the box {shown} is in the picture of {video.width} x {video.height}")
    return x1, y1, x2, y2


def frame_within(where: str, frame: int, video: FoundVideo) -> int:
    """The frame. Raises UserError if the video does not have it."""
    if not 0 <= frame < video.n_frames:
        raise UserError(f"{where}: frame {frame}, but {video.path} has frames 0 to {video.n_frames - 1}")
    return frame


def between_keys(keys: Sequence[Key], last: int) -> list[Action]:
    """One action for each stretch of consecutive frames under one label.

    keys: ascending by frame. last: the frame up to which the last key holds. Between two keys a box moves evenly;
    before one without a label it stays where it was.
    """
    stretches: list[tuple[str, int, list[Box]]] = []
    for i, key in enumerate(keys):
        after = keys[i + 1] if i + 1 < len(keys) else None
        if key.label is None:
            continue
        stop = after.frame if after else last + 1
        boxes = [_at(key, after, frame) for frame in range(key.frame, stop)]
        label, first, before = stretches[-1] if stretches else ("", 0, [])
        if before and (label, first + len(before)) == (key.label, key.frame):
            before += boxes
        elif boxes:
            stretches.append((key.label, key.frame, boxes))
    return [Action(label=label, first_frame=first, boxes=_written(boxes)) for label, first, boxes in stretches]


def seen_in(label: str, seen: Mapping[int, Box], looked_at: Sequence[int]) -> list[Action]:
    """One action for each stretch of frames that were looked at in which the person was seen doing it.

    seen: the boxes by frame; not empty. looked_at: all annotated frames of the video, ascending; those between two of
    them nobody looked at, and the action is taken to go on there.
    """
    stretches: list[list[int]] = [[]]
    for frame in looked_at:
        if frame in seen:
            stretches[-1].append(frame)
        elif stretches[-1]:
            stretches.append([])
    return [_sparse(label, frames, [seen[frame] for frame in frames]) for frames in stretches if frames]


def _sparse(label: str, frames: list[int], boxes: list[Box]) -> Action:
    if frames == list(range(frames[0], frames[0] + len(frames))):
        return Action(label=label, first_frame=frames[0], boxes=_written(boxes))
    return Action(label=label, frames=frames, boxes=_written(boxes))


def _at(key: Key, after: Key | None, frame: int) -> Box:
    if after is None or after.label is None:
        return key.box
    share = (frame - key.frame) / (after.frame - key.frame)
    x1, y1, x2, y2 = (a + (b - a) * share for a, b in zip(key.box, after.box, strict=True))
    return x1, y1, x2, y2


def _written(boxes: Sequence[Box]) -> list[list[int | float]]:
    return [[round(value, 2) for value in box] for box in boxes]


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
