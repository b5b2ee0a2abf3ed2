"""Label Studio's JSON export, video object tracking. https://labelstud.io/guide/export"""

from __future__ import annotations

from pathlib import Path
from typing import Any

from pydantic import BaseModel, Field, StrictBool, ValidationError

from amtnet_ros.data.actions_file import first_mistake
from amtnet_ros.errors import UserError
from amtnet_ros.files import read_json
from amtnet_ros.formats.actions import ImportedVideo, Key, between_keys, pixels
from amtnet_ros.formats.videos import FoundVideo, VideoFolder

_RECTANGLE = "videorectangle"


class _KeyFrame(BaseModel):
    """frame: 1-based. x, y, width, height: percent of the picture. enabled: whether it is in view after this frame."""

    frame: int = Field(ge=1)
    enabled: StrictBool = True
    rotation: float = 0
    x: float
    y: float
    width: float
    height: float


class _Value(BaseModel):
    sequence: list[_KeyFrame]
    labels: list[str] = []
    frames: int | None = Field(default=None, alias="framesCount", ge=1)


class _Region(BaseModel):
    id: str = "?"
    type: str
    value: dict[str, Any] = {}


class _Annotation(BaseModel):
    result: list[_Region]
    was_cancelled: bool = False
    updated_at: str = ""


class _Task(BaseModel):
    id: int | str = "?"
    data: dict[str, Any]
    annotations: list[_Annotation]


class _Tasks(BaseModel):
    tasks: list[_Task]


def read_label_studio(file: Path, videos: VideoFolder) -> list[ImportedVideo]:
    """Every annotated task of an export as JSON (not JSON-MIN). Of several annotations of a task the newest is taken.

    Between key frames boxes are interpolated; one that is not enabled is the last in view; after an enabled one the box
    stays to the end. Where Label Studio counted frames at another rate than the video's, frames are scaled to it.
    Raises UserError naming the file, the task, the region and the first mistake.
    """
    content = read_json(file)
    try:
        tasks = _Tasks(tasks=content).tasks
    except ValidationError as error:
        raise UserError(
            f"{file}: {first_mistake(error)}; export from Label Studio as 'JSON', with <VideoRectangle>"
        ) from error
    return [_video(f"{file}: task {task.id}", task, videos) for task in tasks if _newest(task)]


def _newest(task: _Task) -> _Annotation | None:
    valid = [annotation for annotation in task.annotations if not annotation.was_cancelled]
    return max(valid, key=lambda annotation: annotation.updated_at, default=None)


def _video(where: str, task: _Task, videos: VideoFolder) -> ImportedVideo:
    named = task.data.get("video") or next((value for value in task.data.values() if isinstance(value, str)), None)
    if not isinstance(named, str):
        raise UserError(f"{where}: its data name no video")
    video = videos.find(where, named)
    annotation = _newest(task)
    actions = []
    for region in annotation.result if annotation else ():
        if region.type == _RECTANGLE:
            place = f"{where}, region {region.id}"
            labels, keys = _keys(place, region, video)
            for label in labels:
                actions += between_keys(
                    [key._replace(label=key.label and label) for key in keys], last=video.n_frames - 1
                )
    return ImportedVideo(video, actions)


def _keys(where: str, region: _Region, video: FoundVideo) -> tuple[list[str], list[Key]]:
    """The region's labels; and its keys, which have any label while it is in view."""
    try:
        value = _Value(**region.value)
    except ValidationError as error:
        raise UserError(f"{where}: {first_mistake(error)}") from error
    if not value.labels:
        raise UserError(f"{where}: has no label")
    keys: dict[int, Key] = {}
    for drawn in sorted(value.sequence, key=lambda each: each.frame):
        key = _key(where, drawn, video, value.frames or video.n_frames)
        if key.frame not in keys and not drawn.enabled and not _in_view(keys):
            continue
        keys[key.frame] = key
        if not drawn.enabled:
            keys[key.frame + 1] = Key(key.frame + 1, key.box, None)
    return value.labels, list(keys.values())


def _in_view(keys: dict[int, Key]) -> bool:
    return bool(keys) and list(keys.values())[-1].label is not None


def _key(where: str, drawn: _KeyFrame, video: FoundVideo, counted: int) -> Key:
    where = f"{where}, frame {drawn.frame}"
    if drawn.rotation % 360:
        raise UserError(f"{where}: the box is rotated; only upright boxes can be imported")
    frame = _frame(where, drawn.frame, counted, video)
    box = (
        drawn.x / 100 * video.width,
        drawn.y / 100 * video.height,
        (drawn.x + drawn.width) / 100 * video.width,
        (drawn.y + drawn.height) / 100 * video.height,
    )
    return Key(frame, pixels(where, box, video), _RECTANGLE)


def _frame(where: str, number: int, counted: int, video: FoundVideo) -> int:
    """The video's frame. Label Studio counts at the rate of its <Video> tag, 25 a second where none is given."""
    if number > counted:
        raise UserError(f"{where}: but its framesCount is {counted}")
    scale = video.n_frames / counted if abs(video.n_frames - counted) > 1 else 1.0
    return min(round((number - 1) * scale), video.n_frames - 1)
