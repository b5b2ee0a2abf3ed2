"""People whom a detector found in clips of UCF-101: where they are is known, what they do often is not.

A place without a box is not one without a person: small and blurred people are missed.
"""

from __future__ import annotations

import hashlib
import zipfile
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import cv2
import numpy as np
from rich.console import Console
from rich.progress import track

from amtnet_ros.boxes import iou
from amtnet_ros.contracts import Float32
from amtnet_ros.data.annotations import UNKNOWN, ActionInstance, AnnotatedVideo, Dataset
from amtnet_ros.data.groups import ucf101_group
from amtnet_ros.data.people_detector import PeopleDetector
from amtnet_ros.data.ucf101_24 import SIZE
from amtnet_ros.errors import UserError
from amtnet_ros.files import WholeFile, read_json
from amtnet_ros.media.video import open_source

SEGMENT = 24
"""Frames of a segment of ucf101_people."""
STRETCH, EVERY = 25, 4
"""Frames of a clip in which people are looked for, and every which of them is looked at."""
LEAST_SCORE, SAME_BOX, SAME_PERSON = 0.45, 0.6, 0.5
"""Of a person; IoU above which the less certain of two boxes is dropped; least IoU from one look to the next."""
SAME_ACTOR = 0.3
"""Mean IoU from which somebody found is the annotated actor: the annotated boxes are loose."""


def read_ucf101_people(folder: Path) -> Dataset:
    """The segments with somebody in them, each a video of SEGMENT frames; a person's label is the class of the clip.

    Segments of groups that are kept out for tests are left out. Raises UserError if a file cannot be read.
    """
    path = folder / "segments.npz"
    try:
        names = read_json(folder / "names.json")["classes"]
        with np.load(path, allow_pickle=False) as file:
            content = {key: file[key] for key in file}
        ends = np.cumsum(content["tube_stop"].astype(int) - content["tube_start"])
        boxes = np.split(content["tube_boxes"].astype(np.float32), ends[:-1])
        people: dict[int, list[ActionInstance]] = {}
        for segment, start, person in zip(content["tube_segment"], content["tube_start"], boxes, strict=True):
            if not content["kept_out"][segment]:
                label, frames = int(content["seg_file"][segment]), np.arange(start, int(start) + len(person))
                people.setdefault(int(segment), []).append(ActionInstance(label, frames, person))
        videos, groups = {}, {}
        for segment, found in people.items():
            name, first = names[content["seg_file"][segment]], SEGMENT * int(content["seg_pos"][segment])
            video = _part(f"ucf101_people/{name}", folder / f"{name}.mp4", first, SEGMENT, found)
            videos[video.name], groups[video.name] = video, ucf101_group(str(content["seg_clip"][segment]))
    except (OSError, ValueError, KeyError, IndexError, zipfile.BadZipFile) as error:
        raise UserError(f"{path}: cannot be read ({error})") from error
    return Dataset("ucf101_people", tuple(names), videos, tuple(videos), (), groups)


def find_people(dataset: Dataset, folder: Path, detector: Path) -> Dataset:
    """A stretch of each training video, with everybody whom the people detector finds in place of the annotated boxes.

    The stretch lies around the middle of the video's first action. Who is the annotated actor keeps the action's label;
    all others are UNKNOWN. Found once, and kept in a file in `folder`. Videos in which nobody is found are left out.
    Raises UserError if a video, the detector or the file cannot be used.
    """
    stretches = []
    for video in (dataset.videos[name] for name in dataset.train):
        if video.path is not None and video.path.exists() and video.instances and video.n_frames >= STRETCH:
            frames = video.instances[0].frames
            first = int(np.clip(frames[len(frames) // 2] - STRETCH // 2, 0, video.n_frames - STRETCH))
            stretches.append((video, first))
    parts, groups = {}, {}
    for (video, first), tracklets in zip(stretches, _found(stretches, folder, detector), strict=True):
        if tracklets:
            people = [_labelled(person, first, video.instances) for person in tracklets]
            part = _part(f"{dataset.name}/{video.name}", video.path, first, STRETCH, people)
            parts[part.name], groups[part.name] = part, dataset.groups[video.name]
    return replace(dataset, videos=parts, train=tuple(parts), test=(), groups=groups)


def link_boxes(looks: Sequence[Float32], every: int) -> list[ActionInstance]:
    """Boxes of every so many frames, (n, 4) of each look, as people of UNKNOWN action with a box in each frame between.

    A person goes on with the box that overlaps the last one most, by SAME_PERSON at least; who is seen once is nobody.
    """
    people: list[list[Float32]] = []
    starts: list[int] = []
    seen: list[int] = []
    for number, boxes in enumerate(looks):
        last = np.array([people[person][-1] for person in seen], np.float32).reshape(-1, 4)
        now = []
        for box, of in zip(boxes, _going_on(last, boxes), strict=True):
            if of is None:
                people.append([])
                starts.append(number)
            now.append(len(people) - 1 if of is None else seen[of])
            people[now[-1]].append(box)
        seen = now
    return [
        _between(np.stack(boxes), every * start, every)
        for boxes, start in zip(people, starts, strict=True)
        if len(boxes) > 1
    ]


def _going_on(last: Float32, boxes: Float32) -> list[int | None]:
    """Which of the last boxes each box goes on from, those that overlap most first."""
    overlap = iou(last.T[:, :, None], boxes.T[:, None, :])
    followed: list[int | None] = [None] * len(boxes)
    while overlap.size and overlap.max() >= SAME_PERSON:
        old, new = np.unravel_index(overlap.argmax(), overlap.shape)
        followed[int(new)] = int(old)
        overlap[old, :] = overlap[:, new] = 0
    return followed


def _between(boxes: Float32, first: int, every: int) -> ActionInstance:
    """A person with a box in each frame, from boxes (n, 4) of every so many frames from `first` on."""
    frames = np.arange(every * (len(boxes) - 1) + 1)
    sides = [np.interp(frames, every * np.arange(len(boxes)), side) for side in boxes.T]
    return ActionInstance(UNKNOWN, first + frames, np.stack(sides, axis=1).astype(np.float32))


def _labelled(person: ActionInstance, first: int, actions: Sequence[ActionInstance]) -> ActionInstance:
    """A person of a stretch that begins at `first`, with the label of the action that they do."""
    for action in actions:
        _, here, there = np.intersect1d(first + person.frames, action.frames, return_indices=True)
        if len(here) and iou(person.boxes[here].T, action.boxes[there].T).mean() >= SAME_ACTOR:
            return replace(person, label=action.label)
    return person


def _part(name: str, path: Path | None, first: int, length: int, people: Sequence[ActionInstance]) -> AnnotatedVideo:
    return AnnotatedVideo(f"{name}@{first}", SIZE, length, tuple(people), path, first=first, searched=False)


def _found(stretches: Sequence[tuple[AnnotatedVideo, int]], folder: Path, detector: Path) -> list[list[ActionInstance]]:
    """Everybody in each stretch, from the file or looked for now."""
    listed = "\n".join(f"{video.name} {first}" for video, first in stretches)
    path = folder / f"found-{hashlib.sha256(listed.encode()).hexdigest()[:8]}.npz"
    if not path.exists():
        _look(stretches, detector, path)
    looks = len(range(0, STRETCH, EVERY))
    try:
        with np.load(path, allow_pickle=False) as file:
            boxes = np.split(file["boxes"], np.cumsum(file["counts"])[:-1])
    except (KeyError, ValueError, EOFError, zipfile.BadZipFile) as error:
        raise UserError(f"{path}: damaged ({error}); delete it, and it will be made anew") from error
    return [link_boxes(boxes[i : i + looks], EVERY) for i in range(0, len(boxes), looks)]


def _look(stretches: Sequence[tuple[AnnotatedVideo, int]], detector_file: Path, path: Path) -> None:
    detector, found = PeopleDetector(detector_file), []
    for video, first in track(stretches, "looking for people", console=Console(stderr=True)):
        wanted = range(first, first + STRETCH, EVERY)
        for number, image in enumerate(open_source(str(video.path))):
            if number in wanted:
                boxes, scores = detector.people(image, LEAST_SCORE)
                sides = np.concatenate([boxes[:, :2], boxes[:, 2:] - boxes[:, :2]], axis=1)
                kept = cv2.dnn.NMSBoxes(sides.tolist(), scores.tolist(), LEAST_SCORE, SAME_BOX)
                found.append(boxes[np.array(kept, np.int64).ravel()])
            if number >= wanted[-1]:
                break
    with WholeFile(path, parents=True) as temporary, temporary.open("wb") as file:
        np.savez(file, counts=[len(boxes) for boxes in found], boxes=np.concatenate(found))
