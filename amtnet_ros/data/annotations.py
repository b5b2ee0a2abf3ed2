"""Annotated videos, whatever dataset they come from."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from amtnet_ros.contracts import Float32, Int64


@dataclass(frozen=True, slots=True)
class ActionInstance:
    """One actor doing one action: the ground truth of a tube.

    label: index into the dataset's classes.
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
    """

    name: str
    size: tuple[int, int]
    n_frames: int
    instances: tuple[ActionInstance, ...]
    path: Path | None


@dataclass(frozen=True, slots=True)
class Dataset:
    """Videos by name, the class names, and which videos a split trains and tests on."""

    name: str
    classes: tuple[str, ...]
    videos: Mapping[str, AnnotatedVideo]
    train: tuple[str, ...]
    test: tuple[str, ...]


def spread(names: tuple[str, ...], count: int | None) -> tuple[str, ...]:
    """`count` names evenly from the list, or all."""
    if count is None or count >= len(names):
        return names
    return tuple(names[i * len(names) // count] for i in range(count))
