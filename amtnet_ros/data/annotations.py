"""Annotated videos, whatever data set they come from, and which pairs of their frames can be learnt from."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TypeVar

import numpy as np

from amtnet_ros.contracts import Bool, Float32, Int64

_Item = TypeVar("_Item")

UNKNOWN = -1
"""Label of a person of whom nobody knows what they do: they teach where people end, and that somebody is there."""


@dataclass(frozen=True, slots=True)
class ActionInstance:
    """One actor doing one action: the ground truth of a tube.

    label: index into the dataset's classes, or UNKNOWN.
    frames: (n,) int64, 0-based frame indices that carry a box, ascending; gaps are allowed (sparse annotation).
    boxes: (n, 4) float32, x1 y1 x2 y2 in pixels of the video, 0-based, exclusive maximum.
    """

    label: int
    frames: Int64
    boxes: Float32


@dataclass(frozen=True, slots=True)
class AnnotatedVideo:
    """A video and the actions in it.

    name: unique in its dataset.
    size: (width, height) in pixels.
    path: video file or folder of images; None where only the annotations are at hand.
    others: people who are known to do none of the dataset's actions; their label is the number of its classes.
    first: the frame of the file that is frame 0 here; None where the video is the whole file.
    searched: whether a place without a box is one where nobody acts; False where not everybody was found.
    """

    name: str
    size: tuple[int, int]
    n_frames: int
    instances: tuple[ActionInstance, ...]
    path: Path | None
    others: tuple[ActionInstance, ...] = ()
    first: int | None = None
    searched: bool = True


@dataclass(frozen=True, slots=True)
class Dataset:
    """Videos by name, the class names, and which videos a split trains and tests on.

    groups: what source video each is from; a video that is not in it is of its own.
    """

    name: str
    classes: tuple[str, ...]
    videos: Mapping[str, AnnotatedVideo]
    train: tuple[str, ...]
    test: tuple[str, ...]
    groups: Mapping[str, str] = field(default_factory=dict)


def spread(items: tuple[_Item, ...], count: int | None) -> tuple[_Item, ...]:
    """`count` items evenly from the list, or all."""
    if count is None or count >= len(items):
        return items
    return tuple(items[i * len(items) // count] for i in range(count))


def pair_starts(video: AnnotatedVideo, delta: int) -> Int64:
    """Frames t, ascending, whose pair (t, t + delta) can be learnt from.

    At least one action must have a box in both frames. No action may have one in only one of them (as in the release),
    nor go on in either of them without a box (sparse annotations): it would be taught as background. Where a video was
    not searched, nothing is, and one action is enough.
    """
    n_starts = video.n_frames - delta
    if n_starts <= 0:
        return np.zeros(0, dtype=np.int64)
    some = np.zeros(n_starts, dtype=np.bool_)
    spoilt = np.zeros(n_starts, dtype=np.bool_)
    for instance in video.instances:
        boxed: Bool = np.zeros(video.n_frames, dtype=np.bool_)
        boxed[instance.frames] = True
        going_on: Bool = np.zeros(video.n_frames, dtype=np.bool_)
        going_on[instance.frames[0] : instance.frames[-1] + 1] = True
        both = boxed[:n_starts] & boxed[delta:]
        some |= both
        spoilt |= (going_on[:n_starts] | going_on[delta:]) & ~both
    return np.flatnonzero(some & ~spoilt if video.searched else some)


def micro_tubes_at(video: AnnotatedVideo, t: int, delta: int) -> tuple[Float32, Int64] | None:
    """The ground-truth micro-tubes (K, 2, 4) source pixels and labels (K,) of the pair (t, t + delta).

    None where the pair cannot be learnt from: see `pair_starts`.
    """
    boxes, labels = [], []
    for instance in video.instances:
        at = [_position(instance, frame) for frame in (t, t + delta)]
        if at[0] is not None and at[1] is not None:
            boxes.append(instance.boxes[[at[0], at[1]]])
            labels.append(instance.label)
        elif video.searched and any(instance.frames[0] <= frame <= instance.frames[-1] for frame in (t, t + delta)):
            return None
    if not boxes:
        return None
    return np.stack(boxes), np.array(labels, dtype=np.int64)


def _position(instance: ActionInstance, frame: int) -> int | None:
    """Index of a frame's box, if it has one."""
    at = int(np.searchsorted(instance.frames, frame))
    return at if at < len(instance.frames) and instance.frames[at] == frame else None
