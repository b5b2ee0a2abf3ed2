"""Your own actions as a data set. `actions_file.LAYOUT` is the documentation of the file.

The reader checks everything and names the first mistake; `check_videos` also opens the videos.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np

from amtnet_ros.contracts import Float32, Int64
from amtnet_ros.data.actions_file import NONE, Action, Candidate, Video, parse_actions_file
from amtnet_ros.data.annotations import ActionInstance, AnnotatedVideo, Dataset
from amtnet_ros.errors import UserError


def read_custom(file: Path) -> Dataset:
    """Read a data set in the layout of `LAYOUT`. Videos whose review is "dropped" are left out.

    Raises UserError naming the file, the place in it and the first mistake: text that is not JSON, a key that is twice
    in one object, missing, misspelt or of the wrong type, an unknown label, frames that are outside the video or do not
    ascend, boxes that are of the wrong count, empty, reversed, not finite or outside the picture, a missing video.
    """
    content = parse_actions_file(file)
    _check_classes(file, content.classes)
    if not content.videos:
        raise UserError(f"{file}: videos: empty; list at least one video")
    kept = {name: video for name, video in content.videos.items() if video.review != "dropped"}
    if not kept:
        raise UserError(f"{file}: videos: all were dropped in review")
    return Dataset(
        name=file.stem,
        classes=tuple(content.classes),
        videos={name: read_video(file, content.classes, name, video) for name, video in kept.items()},
        train=tuple(name for name, video in kept.items() if video.split == "train"),
        test=tuple(name for name, video in kept.items() if video.split == "test"),
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


def _check_classes(file: Path, classes: list[str]) -> None:
    if not classes:
        raise UserError(f"{file}: classes: empty; name at least one action")
    twice = next((name for i, name in enumerate(classes) if name in classes[:i]), None)
    if twice is not None:
        raise UserError(f"{file}: classes: {twice!r} is listed twice")
    if NONE in classes:
        raise UserError(f"{file}: classes: {NONE!r} is no class, but the label of people who do none of them")


def read_video(file: Path, classes: list[str], name: str, video: Video) -> AnnotatedVideo:
    """One video of the file, checked as `read_custom` does."""
    where = f"{file}: videos, {name}"
    path = None
    if video.path is not None:
        path = file.parent / video.path
        if not path.exists():
            raise UserError(f"{where}, path: {path} does not exist")
    found = [
        _instance(f"{where}, actions[{i}]", [*classes, NONE], video, action) for i, action in enumerate(video.actions)
    ]
    candidates = [
        _person(f"{where}, candidates[{i}]", len(classes), video, candidate)
        for i, candidate in enumerate(video.candidates or [])
    ]
    return AnnotatedVideo(
        name=name,
        size=(video.width, video.height),
        n_frames=video.n_frames,
        instances=tuple(instance for instance in found if instance.label < len(classes)),
        path=path,
        others=tuple(instance for instance in (found or candidates) if instance.label == len(classes)),
    )


def _instance(where: str, labels: list[str], video: Video, action: Action) -> ActionInstance:
    if action.label not in labels:
        raise UserError(
            f"{where}, label: {action.label!r} is not one of the classes {', '.join(labels[:-1])}, nor '{NONE}'"
        )
    return _person(where, labels.index(action.label), video, action)


def _person(where: str, label: int, video: Video, person: Action | Candidate) -> ActionInstance:
    if not person.boxes:
        raise UserError(f"{where}, boxes: empty; an action needs at least one")
    frames = _frames(where, video, person)
    return ActionInstance(label, frames, _boxes(where, video, person.boxes))


def _frames(where: str, video: Video, person: Action | Candidate) -> Int64:
    listed = person.frames if isinstance(person, Action) else None
    if (listed is None) == (person.first_frame is None):
        raise UserError(f"{where}: give either first_frame (a box in every frame from there on) or frames (a list)")
    if person.first_frame is not None:
        frames = list(range(person.first_frame, person.first_frame + len(person.boxes)))
    else:
        frames = listed or []
    if len(frames) != len(person.boxes):
        raise UserError(f"{where}: {len(frames)} frames, but {len(person.boxes)} boxes")
    for i, frame in enumerate(frames):
        if not 0 <= frame < video.n_frames:
            raise UserError(f"{where}: frame {frame}, but the video has frames 0 to {video.n_frames - 1}")
        if i and frame <= frames[i - 1]:
            raise UserError(f"{where}, frames[{i}]: {frame} does not come after {frames[i - 1]}; frames must ascend")
    return np.array(frames, dtype=np.int64)


def _boxes(where: str, video: Video, boxes: list[list[int | float]]) -> Float32:
    for i, box in enumerate(boxes):
        if len(box) != 4:
            raise UserError(f"{where}, boxes[{i}]: {len(box)} numbers, expected x1, y1, x2, y2")
        x1, y1, x2, y2 = box
        if not (0 <= x1 < x2 <= video.width and 0 <= y1 < y2 <= video.height):
            raise UserError(
                f"{where}, boxes[{i}]: {box} is not x1 < x2 and y1 < y2 within {video.width} x {video.height} pixels"
            )
    return np.array(boxes, dtype=np.float32)
