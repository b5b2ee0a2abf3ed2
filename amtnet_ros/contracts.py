"""What passes between the parts: frozen dataclasses holding arrays.

Conventions, everywhere in the package: boxes are ``x1, y1, x2, y2`` in pixels of the source image, 0-based, with
exclusive maximum (width is ``x2 - x1``); images are RGB; stamps are integer nanoseconds of the camera's clock; action
labels are 0-based indices into the model card's labels (the background is not one of them).
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import IntEnum
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

Float32 = NDArray[np.float32]
Int64 = NDArray[np.int64]
UInt8 = NDArray[np.uint8]
Bool = NDArray[np.bool_]

OTHER, NOBODY = "other", "nobody"
"""Answers that are no actions: somebody does none of those that are known; nobody is there."""


@dataclass(frozen=True, slots=True)
class Frame:
    """One image of the camera.

    index: running number of the frame in its stream, 0-based, strictly increasing within a session.
    stamp: nanoseconds of the camera's clock.
    image: (height, width, 3) uint8, RGB.
    """

    index: int
    stamp: int
    image: UInt8

    @property
    def size(self) -> tuple[int, int]:
        """(width, height) in pixels."""
        return self.image.shape[1], self.image.shape[0]


@dataclass(frozen=True, slots=True)
class FlowField:
    """Optical flow from one frame to the next, at the flow's working resolution.

    vectors: (height, width, 2) float32; u to the right, v down, in pixels of the working resolution *per nominal frame
        interval* (already scaled by the true time between the two frames).
    index, stamp: of the frame the flow starts from.
    """

    vectors: Float32
    index: int
    stamp: int


@dataclass(frozen=True, slots=True)
class MicroTubes:
    """What the network sees in one pair of frames: N micro-tubes, one action class and two boxes each.

    boxes: (N, 2, 4) float32, source pixels; ``[:, 0]`` in the first frame of the pair, ``[:, 1]`` in the second.
    labels: (N,) int64.
    scores: (N,) float32 in 0..1, the score of the label.
    class_scores: (N, C) float32, softmax scores of all C action classes (they sum to 1 minus the background's).
    frames: indices of the pair's two frames.
    stamps: nanoseconds, of the pair's two frames.
    image_size: (width, height) of the source image in pixels.
    """

    boxes: Float32
    labels: Int64
    scores: Float32
    class_scores: Float32
    frames: tuple[int, int]
    stamps: tuple[int, int]
    image_size: tuple[int, int]

    def __len__(self) -> int:
        return len(self.scores)


class TubeState(IntEnum):
    """Life of a tube. The numbers are those of the message ActionTube."""

    TENTATIVE = 0
    """Seen, but not often enough to be relied on."""
    ACTIVE = 1
    """Confirmed and seen in the newest pair."""
    COASTING = 2
    """Confirmed but missed in the newest pair or pairs."""
    ENDED = 3
    """Over; reported once, its id never returns."""


class Tube(NamedTuple):
    """One action tube as of the newest pair of frames.

    A named tuple, because a crowded scene makes a hundred of them an update and this makes them four times as fast.

    id: never reused within a session.
    label, score: the class the tube has now, and its score in 0..1; an early label from the first micro-tube on.
    class_scores: (C,) float32, the tube's score for every class.
    start_stamp, last_stamp: nanoseconds; of the first and the newest box that was seen (not interpolated).
    frames, stamps: (K,) int64, the frame index and the nanoseconds of each of the K boxes new since the last update,
        ascending. From a pipeline they are those of images: none where no image came, and one between two frames has
        the index of the earlier one.
    boxes: (K, 4) float32, source pixels.
    scores: (K,) float32 in 0..1.
    interpolated: (K,) bool, true where the box was interpolated between two that were seen.
    """

    id: int
    state: TubeState
    label: int
    score: float
    class_scores: Float32
    start_stamp: int
    last_stamp: int
    frames: Int64
    stamps: Int64
    boxes: Float32
    scores: Float32
    interpolated: Bool


@dataclass(frozen=True, slots=True)
class TubeUpdate:
    """The result of one processed step: every tube that lives, and those that ended in this step.

    frame, stamp: index and nanoseconds of the newest frame that has boxes (the second of the pair).
    image_size: (width, height) of the source image in pixels.
    delta: distance of the pair in frames at the model's nominal rate.
    tubes: ordered by id; an ENDED tube appears in exactly one update.
    """

    frame: int
    stamp: int
    image_size: tuple[int, int]
    delta: int
    tubes: tuple[Tube, ...]
