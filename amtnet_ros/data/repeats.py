"""Frames that nearly repeat the one before them: about one in eight of J-HMDB-21, whose sources had lower frame rates.

Flow into such a frame is almost nil, and the flow after it holds the motion of both intervals.
"""

from __future__ import annotations

from typing import Literal

import numpy as np

from amtnet_ros.contracts import Bool, UInt8

RepeatHandling = Literal["keep", "skip", "repair"]
"""keep: as they are, and as the detector meets them. skip: no pair is drawn in which either frame repeats the one
before it. repair: the motion after repeats is spread evenly over the intervals it took."""

REPEAT_SHARE = 0.15
"""A frame repeats the one before it when they differ by less than this share of the clip's median difference."""

_EVERY = 2  # pixels, in x and y, that are looked at


def near_repeats(frames: UInt8) -> Bool:
    """Which of (T, h, w, 3) uint8 frames nearly repeat the one before them → (T,)."""
    sparse = np.asarray(frames[:, ::_EVERY, ::_EVERY], dtype=np.int16)
    differences = np.abs(np.diff(sparse, axis=0)).mean(axis=(1, 2, 3))
    repeats = np.zeros(len(frames), dtype=np.bool_)
    if len(differences):
        repeats[1:] = differences < REPEAT_SHARE * np.median(differences)
    return repeats


def interval_of(repeats: Bool, t: int) -> range:
    """The flow images that share one motion with flow image t: those between two frames that are no repeats."""
    first = t
    while repeats[first]:
        first -= 1
    end = t + 1
    while end < len(repeats) and repeats[end]:
        end += 1
    return range(first, end)


def repaired_flow(flows: UInt8, repeats: Bool, t: int) -> UInt8:
    """Flow image t, (h, w, 3) uint8, as the mean over its interval.

    flows: (T, h, w, 3) uint8 flow images. repeats: (T,). The mean motion an interval is what the flow between the two
    frames that differ, divided by the intervals between them, would be; motion beyond the encoding's range is cut off.
    """
    interval = interval_of(repeats, t)
    if len(interval) == 1:
        return np.asarray(flows[t])
    mean = np.asarray(flows[interval.start : interval.stop], dtype=np.float32).mean(axis=0)
    return np.asarray(np.rint(mean), dtype=np.uint8)
