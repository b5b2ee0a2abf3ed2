"""The JSON file of your own actions, as it is written: what it may hold, reading it, writing it. `LAYOUT` shows it."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any, Literal

from pydantic import BaseModel, Field, StrictFloat, StrictInt, StrictStr, TypeAdapter, ValidationError

from amtnet_ros.errors import UserError
from amtnet_ros.files import read_json, write_whole

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
    },
    "none/0001": {
      "path": "videos/none_0001.mp4",
      "width": 640, "height": 480, "n_frames": 300,
      "split": "train",
      "actions": [
        {"label": "none", "first_frame": 0, "boxes": [[10, 20, 110, 220], [11, 20, 111, 221]]}
      ],
      "candidates": [
        {"first_frame": 0, "boxes": [[10, 20, 110, 220], [11, 20, 111, 221]]},
        {"first_frame": 7, "boxes": [[400, 20, 500, 220]]}
      ],
      "review": "accepted"
    }
  }
}
"""
"""An example of the layout.

path: video file or folder of images, relative to the JSON file; may be left out where only annotations are at hand.
split: "train" or "test".
actions: one entry for each actor and action; may be empty (a video in which nothing of interest happens).
label: one of the classes, or "none": a person who does none of them.
first_frame, or frames: 0-based; with first_frame the boxes are of consecutive frames, with frames (ascending) only some
    frames are annotated. Between the first and the last the action is taken to go on.
boxes: x1, y1, x2, y2 in pixels of the video, 0-based, exclusive maximum: the width is x2 - x1. Within the picture.
candidates: everybody whom a detector found, the longest first; may be left out. Where `actions` is empty, they are
    people who do none of the classes.
review: "open", "accepted", or "dropped", which leaves the video out; may be left out.
"""


NONE = "none"
"""The label of people who do none of the classes. It is no class itself."""


class Candidate(BaseModel, extra="forbid"):
    """A tube that a detector found: somebody in consecutive frames, whatever they do."""

    first_frame: StrictInt = Field(ge=0)
    boxes: list[list[StrictInt | StrictFloat]]


class Action(BaseModel, extra="forbid"):
    """One actor doing one action, or none of them (`NONE`)."""

    label: StrictStr
    first_frame: StrictInt | None = Field(default=None, ge=0)
    frames: list[StrictInt] | None = None
    boxes: list[list[StrictInt | StrictFloat]]


class Video(BaseModel, extra="forbid"):
    """One video; its name is its key."""

    path: StrictStr | None = None
    width: StrictInt = Field(ge=1)
    height: StrictInt = Field(ge=1)
    n_frames: StrictInt = Field(ge=1, lt=2**31)
    split: Literal["train", "test"]
    actions: list[Action]
    candidates: list[Candidate] | None = None
    review: Literal["open", "accepted", "dropped"] | None = None


class ActionsFile(BaseModel, extra="forbid"):
    """The whole file."""

    format: Literal["amtnet-actions"] = "amtnet-actions"
    version: Literal[1] = 1
    classes: list[StrictStr]
    videos: dict[str, Video]


def parse_actions_file(file: Path) -> ActionsFile:
    """The file's content; only its form is checked: keys and the types of values.

    Raises UserError naming the file, the place in it and the first mistake.
    """
    content = read_json(file, most=1 << 30, strict=True)
    if not isinstance(content, dict):
        raise UserError(f"{file}: expected a JSON object with format, version, classes and videos")
    try:
        return TypeAdapter(ActionsFile).validate_python(content)
    except ValidationError as error:
        raise UserError(f"{file}: {first_mistake(error)}") from error


def write_actions_file(file: Path, content: ActionsFile) -> None:
    """Write the file whole, a line for each video. Raises UserError if it cannot be written."""
    head = {"format": content.format, "version": content.version, "classes": content.classes}
    lines = [f"{json.dumps(key)}: {json.dumps(value, ensure_ascii=False)}," for key, value in head.items()]
    videos = ",\n".join(
        f"  {json.dumps(name, ensure_ascii=False)}: {json.dumps(_written(video), ensure_ascii=False)}"
        for name, video in content.videos.items()
    )
    write_whole(file, "\n".join(["{", *lines, f'"videos": {{\n{videos}\n}}', "}", ""]))


def _written(video: Video) -> dict[str, Any]:
    return video.model_dump(exclude_none=True)


def first_mistake(error: ValidationError) -> str:
    """Place and reason of the first mistake in what does not fit its model: "videos, a, actions[0]: Field required"."""
    first = error.errors()[0]
    text = ""
    for part in first["loc"]:
        # Members of a union ("StrictInt or StrictFloat") appear in the place as type names; they say nothing to a user.
        if part not in ("int", "float"):
            text += f"[{part}]" if isinstance(part, int) else f", {part}" if text else part
    return f"{text}: {first['msg']}" if text else first["msg"]
