"""From a folder of clips to `actions.json`: who is in each clip, and where, without anybody drawing boxes."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from amtnet_ros.contracts import Float32, UInt8
from amtnet_ros.data.actions_file import (
    NONE,
    Action,
    ActionsFile,
    Candidate,
    Video,
    parse_actions_file,
    write_actions_file,
)
from amtnet_ros.errors import UserError
from amtnet_ros.media.video import open_source
from amtnet_ros.teaching.clips import Clip, draw_split
from amtnet_ros.teaching.people import SHORTEST, PeopleFinder, PersonTube

ALIKE = 0.8
"""Two people are alike if one is followed for as much of the other's time, and is as large."""
PART = 0.6
"""Who is followed for less of a clip may have been lost, at a cut for instance."""


@dataclass
class _Counted:
    """Images as they pass. size: (width, height) of the first one; count: how many passed."""

    images: Iterable[UInt8]
    size: tuple[int, int] = (0, 0)
    count: int = 0

    def __iter__(self) -> Iterator[UInt8]:
        for image in self.images:
            if not self.count:
                self.size = (image.shape[1], image.shape[0])
            self.count += 1
            yield image


def annotate(
    clips: list[Clip],
    out: Path,
    find: PeopleFinder,
    seed: int,
    say: Callable[[str], None],
    progress: Callable[[list[Clip]], Iterable[Clip]] = lambda clips: clips,
) -> ActionsFile:
    """Write `out`, whole after each clip, so that an interrupted run goes on where it was; what it holds stays.

    say: takes a line about each clip that is left out, or should be looked at. progress: wraps the clips to watch.
    Raises UserError if the file cannot be read or written.
    """
    content = parse_actions_file(out) if out.exists() else ActionsFile(classes=[], videos={})
    labels = sorted({clip.label for clip in clips} - {NONE, *content.classes})
    known = {name: video.split for name, video in content.videos.items()}
    splits = draw_split(clips, {name: str(split) for name, split in known.items()}, seed)
    content = content.model_copy(update={"classes": [*content.classes, *labels]})
    for clip in progress([clip for clip in clips if clip.name not in content.videos]):
        try:
            video = watched(clip, out.parent, splits[clip.name], find, say)
        except UserError as error:
            reason = str(error).removeprefix(f"{clip.path}: ")
            say(f"{clip.path}: left out: {reason}")
            continue
        content.videos[clip.name] = video
        write_actions_file(out, content)
    if not content.videos:
        raise UserError(f"{out}: not written: in no clip was anybody found")
    write_actions_file(out, content)
    return content


def watched(clip: Clip, folder: Path, split: str, find: PeopleFinder, say: Callable[[str], None]) -> Video:
    """One clip's entry. folder: that its path shall be relative to. Raises UserError if it cannot be used."""
    source = open_source(str(clip.path))
    images = _Counted(source)
    people = [_within(person, images.size) for person in find(images, source.rate)]
    if images.count < SHORTEST * source.rate:
        raise UserError(f"only {images.count} frames; {SHORTEST} seconds are needed at least")
    if not people:
        raise UserError("nobody was found in it for long enough")
    remark = _remark(people, images.count) if clip.label != NONE else ""
    if remark:
        say(f"{clip.path}: {remark}")
    candidates = [Candidate(first_frame=person.first_frame, boxes=_rounded(person.boxes)) for person in people]
    chosen = candidates if clip.label == NONE else candidates[:1]
    return Video(
        path=os.path.relpath(clip.path, folder),
        width=images.size[0],
        height=images.size[1],
        n_frames=images.count,
        split="test" if split == "test" else "train",
        actions=[Action(label=clip.label, first_frame=one.first_frame, boxes=one.boxes) for one in chosen],
        candidates=candidates,
        review="open",
    )


def _within(person: PersonTube, size: tuple[int, int]) -> PersonTube:
    """Boxes inside the picture, at least a pixel wide and high."""
    width, height = size
    low = np.clip(person.boxes[:, :2], 0, (width - 1, height - 1))
    high = np.clip(person.boxes[:, 2:], low + 1, (width, height))
    return PersonTube(person.first_frame, np.concatenate([low, high], axis=1).astype(np.float32))


def _rounded(boxes: Float32) -> list[list[int | float]]:
    """To a tenth of a pixel, as a file holds them."""
    return np.round(boxes.astype(np.float64), 1).tolist()  # type: ignore[no-any-return]


def _remark(people: list[PersonTube], n_frames: int) -> str:
    """What somebody should look at."""
    first = people[0]
    if len(first.boxes) < PART * n_frames:
        return f"somebody is followed in {len(first.boxes)} of {n_frames} frames only; is it cut in the middle?"
    alike = [
        other
        for other in people[1:]
        if len(other.boxes) >= ALIKE * len(first.boxes) and _area(other) >= ALIKE * _area(first)
    ]
    return f"{len(alike) + 1} people are as long in view; the first of them was taken" if alike else ""


def _area(person: PersonTube) -> float:
    return float(np.median((person.boxes[:, 2] - person.boxes[:, 0]) * (person.boxes[:, 3] - person.boxes[:, 1])))
