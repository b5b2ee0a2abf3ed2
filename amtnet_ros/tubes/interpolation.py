"""Boxes for every frame between those in which a tube was seen."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import repeat
from typing import Any

import numpy as np
from numpy.typing import NDArray

from amtnet_ros.contracts import Bool, Float32, Int64

Track = tuple[Int64, Int64, Float32, Float32, Bool]
"""Boxes of one tube on successive frames: frames (K,), stamps (K,), boxes (K, 4), scores (K,), interpolated (K,).

The arrays are read-only, and tubes share them.
"""


def _read_only(*arrays: NDArray[Any]) -> None:
    for array in arrays:
        array.flags.writeable = False


def _no_boxes() -> Track:
    numbers, boxes, scores = np.zeros(0, np.int64), np.zeros((0, 4), np.float32), np.zeros(0, np.float32)
    flags = np.zeros(0, np.bool_)
    _read_only(numbers, boxes, scores, flags)
    return numbers, numbers, boxes, scores, flags


NO_BOXES = _no_boxes()


def interpolate(
    frames: Sequence[int], stamps: Sequence[int], boxes: Float32, scores: Float32, first: int, score_rule: str
) -> list[Track]:
    """Tracks of M tubes that were all seen in the same k frames.

    frames, stamps: of the k sightings, ascending; boxes: (M, k, 4); scores: (M, k).
    Returns M tracks from frame `first` (which is not before the first sighting) to the last sighting.
    Boxes and stamps in between are linear in the frame number; `score_rule` is the option `interpolated_score`.
    """
    seen, at = np.array(frames, np.int64), np.array(stamps, np.int64)
    wanted = np.arange(first, frames[-1] + 1)
    after = seen.searchsorted(wanted)
    interpolated = seen.take(after) != wanted
    before = after - interpolated
    gap = np.maximum(seen.take(after) - seen.take(before), 1)
    # float64, so that rounding to float32 cannot lead beyond the two boxes, and so beyond the image
    weight = (wanted - seen.take(before)) / gap
    track_stamps = at.take(before) + ((at.take(after) - at.take(before)) * weight).astype(np.int64)
    low = boxes.take(before, axis=1)
    track_boxes = (low + (boxes.take(after, axis=1) - low) * weight[:, None]).astype(np.float32)
    score_before, track_scores = scores.take(before, axis=1), scores.take(after, axis=1)
    if score_rule == "linear":
        track_scores = (score_before + (track_scores - score_before) * weight).astype(np.float32)
    elif score_rule == "lower":
        track_scores = np.minimum(score_before, track_scores)
    elif score_rule == "zero":
        track_scores[:, interpolated] = 0
    _read_only(wanted, track_stamps, track_boxes, track_scores, interpolated)
    return list(zip(repeat(wanted), repeat(track_stamps), track_boxes, track_scores, repeat(interpolated)))
