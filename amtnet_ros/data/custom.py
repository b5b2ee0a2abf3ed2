"""Your own actions: one JSON file that lists classes, videos and boxes. `LAYOUT` is its documentation.

The reader checks everything and names the first mistake; `check_videos` also opens the videos.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, Literal

import numpy as np
from pydantic import BaseModel, Field, StrictFloat, StrictInt, StrictStr, ValidationError

from amtnet_ros.contracts import Float32, Int64
from amtnet_ros.data.annotations import ActionInstance, AnnotatedVideo, Dataset
from amtnet_ros.errors import UserError

LAYOUT = """\
{
  "format": "amtnet-actions",
  "version": 1,
  "classes": ["wave", "sit_down"],
  "videos": {
    "kitchen/0001": {
      "path": "videos/kitchen_0001.mp4",
      "width": 640, "height": 480, "n_frames": 300,
      "split": "train",
      "actions": [
        {"label": "wave", "first_frame": 41, "boxes": [[10, 20, 110, 220], [11, 20, 111, 221]]},
        {"label": "sit_down", "frames": [100, 110, 120], "boxes": [[0, 0, 9, 9], [1, 0, 10, 9], [2, 0, 11, 9]]}
      ]
    }
  }
}
"""
"""An example of the layout.

path: video file or folder of images, relative to the JSON file; may be left out where only annotations are at hand.
split: "train" or "test".
actions: one entry for each actor and action; may be empty (a video in which nothing of interest happens).
label: one of the classes.
first_frame, or frames: 0-based; with first_frame the boxes are of consecutive frames, with frames (ascending) only some
    frames are annotated. Between the first and the last the action is taken to go on.
boxes: x1, y1, x2, y2 in pixels of the video, 0-based, exclusive maximum: the width is x2 - x1. Within the picture.
"""


class _Action(BaseModel, extra="forbid"):
    label: StrictStr
    first_frame: StrictInt | None = Field(default=None, ge=0)
    frames: list[StrictInt] | None = None
    boxes: list[list[StrictInt | StrictFloat]]


class _Video(BaseModel, extra="forbid"):
    path: StrictStr | None = None
    width: StrictInt = Field(ge=1)
    height: StrictInt = Field(ge=1)
    n_frames: StrictInt = Field(ge=1, lt=2**31)
    split: Literal["train", "test"]
    actions: list[_Action]


class _File(BaseModel, extra="forbid"):
    format: Literal["amtnet-actions"]
    version: Literal[1]
    classes: list[StrictStr]
    videos: dict[str, _Video]


def read_custom(file: Path) -> Dataset:
    """Read a data set in the layout of `LAYOUT`.

    Raises UserError naming the file, the place in it and the first mistake: text that is not JSON, a key that is twice
    in one object, missing, misspelt or of the wrong type, an unknown label, frames that are outside the video or do not
    ascend, boxes that are of the wrong count, empty, reversed, not finite or outside the picture, a missing video.
    """
    content = _parse(file)
    if not content.classes:
        raise UserError(f"{file}: classes: empty; name at least one action")
    if len(set(content.classes)) < len(content.classes):
        twice = next(name for i, name in enumerate(content.classes) if name in content.classes[:i])
        raise UserError(f"{file}: classes: {twice!r} is listed twice")
    if not content.videos:
        raise UserError(f"{file}: videos: empty; list at least one video")
    videos = {name: _video(file, content.classes, name, video) for name, video in content.videos.items()}
    return Dataset(
        name=file.stem,
        classes=tuple(content.classes),
        videos=videos,
        train=tuple(name for name, video in content.videos.items() if video.split == "train"),
        test=tuple(name for name, video in content.videos.items() if video.split == "test"),
    )


def check_videos(dataset: Dataset, open_video: Callable[[Path], tuple[int, int, int]]) -> None:
    """Compare each video of a data set with its annotations.

    open_video: returns (width, height, number of frames) of a file or folder.
    Raises UserError naming the first video that is missing or of another size or length.
    """
    for name, video in dataset.videos.items():
        if video.path is None:
            raise UserError(f"{dataset.name}: video {name!r}: its path is not given")
        width, height, n_frames = open_video(video.path)
        if (width, height) != video.size:
            raise UserError(f"{video.path}: is {width}x{height}, annotated as {video.size[0]}x{video.size[1]}")
        if n_frames != video.n_frames:
            raise UserError(f"{video.path}: has {n_frames} frames, annotated as {video.n_frames}")


def _parse(file: Path) -> _File:
    try:
        content = json.loads(file.read_text(encoding="utf-8"), object_pairs_hook=_unique_keys, parse_constant=_refuse)
    except OSError as error:
        raise UserError(f"{file}: cannot read: {error.strerror}") from error
    except json.JSONDecodeError as error:
        raise UserError(f"{file}, line {error.lineno}: not JSON ({error.msg}); is the file whole?") from error
    except ValueError as error:
        raise UserError(f"{file}: {error}") from error
    if not isinstance(content, dict):
        raise UserError(f"{file}: expected a JSON object with format, version, classes and videos")
    try:
        return _File(**content)
    except ValidationError as error:
        first = error.errors()[0]
        # Members of a union ("StrictInt or StrictFloat") appear in the place as type names; they say nothing to a user.
        place = [part for part in first["loc"] if part not in ("int", "float")]
        raise UserError(f"{file}: {_place(place)}: {first['msg']}") from error


def _unique_keys(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    result = dict(pairs)
    if len(result) < len(pairs):
        keys = [key for key, _ in pairs]
        twice = next(key for i, key in enumerate(keys) if key in keys[:i])
        raise ValueError(f"{twice!r} is twice in the same object; one of the two would be lost")
    return result


def _refuse(constant: str) -> None:
    raise ValueError(f"{constant} is not a number that can be used")


def _place(parts: Sequence[int | str]) -> str:
    """("videos", "a", "actions", 0) → "videos, a, actions[0]"."""
    text = ""
    for part in parts:
        text += f"[{part}]" if isinstance(part, int) else f", {part}" if text else part
    return text


def _video(file: Path, classes: list[str], name: str, video: _Video) -> AnnotatedVideo:
    where = f"{file}: videos, {name}"
    path = None
    if video.path is not None:
        path = file.parent / video.path
        if not path.exists():
            raise UserError(f"{where}, path: {path} does not exist")
    return AnnotatedVideo(
        name=name,
        size=(video.width, video.height),
        n_frames=video.n_frames,
        instances=tuple(
            _instance(f"{where}, actions[{i}]", classes, video, action) for i, action in enumerate(video.actions)
        ),
        path=path,
    )


def _instance(where: str, classes: list[str], video: _Video, action: _Action) -> ActionInstance:
    if action.label not in classes:
        raise UserError(f"{where}, label: {action.label!r} is not one of the classes {', '.join(classes)}")
    frames = _frames(where, video, action)
    boxes = _boxes(where, video, action.boxes)
    return ActionInstance(classes.index(action.label), frames, boxes)


def _frames(where: str, video: _Video, action: _Action) -> Int64:
    if not action.boxes:
        raise UserError(f"{where}, boxes: empty; an action needs at least one")
    if (action.frames is None) == (action.first_frame is None):
        raise UserError(f"{where}: give either first_frame (a box in every frame from there on) or frames (a list)")
    if action.first_frame is not None:
        frames = list(range(action.first_frame, action.first_frame + len(action.boxes)))
    else:
        frames = action.frames or []
    if len(frames) != len(action.boxes):
        raise UserError(f"{where}: {len(frames)} frames, but {len(action.boxes)} boxes")
    for i, frame in enumerate(frames):
        if not 0 <= frame < video.n_frames:
            raise UserError(f"{where}: frame {frame}, but the video has frames 0 to {video.n_frames - 1}")
        if i and frame <= frames[i - 1]:
            raise UserError(f"{where}, frames[{i}]: {frame} does not come after {frames[i - 1]}; frames must ascend")
    return np.array(frames, dtype=np.int64)


def _boxes(where: str, video: _Video, boxes: list[list[int | float]]) -> Float32:
    for i, box in enumerate(boxes):
        if len(box) != 4:
            raise UserError(f"{where}, boxes[{i}]: {len(box)} numbers, expected x1, y1, x2, y2")
        x1, y1, x2, y2 = box
        if not (0 <= x1 < x2 <= video.width and 0 <= y1 < y2 <= video.height):
            raise UserError(
                f"{where}, boxes[{i}]: {box} is not x1 < x2 and y1 < y2 within {video.width} x {video.height} pixels"
            )
    return np.array(boxes, dtype=np.float32)
