"""A box for every frame between those in which a tube was seen; and for every image, where there was one.

The linker counts in frames of the model's rate. A faster camera has images between them, a slower one does not have an
image for each: what is reported is brought to the stamps of the images that did come.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Sequence
from itertools import repeat
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from amtnet_ros.contracts import Bool, Float32, Int64, Tube, TubeState, TubeUpdate

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


class _Last(NamedTuple):
    """The newest box of a tube that was reported: boxes (1, 4), scores (1,)."""

    stamp: int
    boxes: Float32
    scores: Float32


class _Grid(NamedTuple):
    """The images between two boxes of a tube, and where its known boxes lie around them.

    frames, stamps: (K,) of the images. before, weight: (K,) an image lies `weight` of the way from known box `before`
    to the next. seen: (K,) whether it has a box of its own that was seen. is_same: the images are the linker's frames.
    """

    frames: Int64
    stamps: Int64
    before: Int64
    weight: NDArray[np.float64]
    seen: Bool
    is_same: bool


class ImageBoxes:
    """Brings the boxes of tubes to the stamps of the images.

    limit: images that are remembered; for older ones no box is reported any more.
    """

    def __init__(self, limit: int) -> None:
        self._images: deque[tuple[int, int]] = deque(maxlen=limit)
        self._last: dict[int, _Last] = {}

    def add(self, stamp: int, frame: int | None) -> None:
        """An image came, with stamps (ns) that ascend. frame: its number; None: it gets that of the one before."""
        if frame is None:
            frame = self._images[-1][0] if self._images else 0
        self._images.append((frame, stamp))

    def reset(self) -> None:
        """A new stream begins; its stamps may be any."""
        self._images.clear()
        self._last.clear()

    def fit(self, update: TubeUpdate) -> TubeUpdate:
        """The update with boxes at images alone, linear in time between the boxes that it and those before it hold.

        A tube's `frames` no longer ascend strictly: an image between two frames has the number of the earlier one.
        """
        images = np.array(self._images, np.int64).reshape(-1, 2)
        grids: dict[tuple[int, int], _Grid] = {}  # most tubes share one
        tubes = tuple(self._fit(tube, images, grids) for tube in update.tubes)
        return TubeUpdate(update.frame, update.stamp, update.image_size, update.delta, tubes)

    def conclude(self, update: TubeUpdate) -> TubeUpdate:
        """The update that ends all tubes with the stream: in images after its frame they stay where they were in it."""
        late = [(frame, stamp) for frame, stamp in self._images if stamp > update.stamp]
        if not late:
            return self.fit(update)
        frames, stamps = np.array(late, np.int64).T
        lasts = [(tube, self._last.pop(tube.id, None)) for tube in update.tubes]
        tubes = (
            tube._replace(
                frames=frames,
                stamps=stamps,
                boxes=last.boxes.repeat(len(late), axis=0),
                scores=last.scores.repeat(len(late)),
                interpolated=np.ones(len(late), np.bool_),
            )
            if last is not None and last.stamp == update.stamp
            else tube
            for tube, last in lasts
        )
        return TubeUpdate(update.frame, update.stamp, update.image_size, update.delta, tuple(tubes))

    def _fit(self, tube: Tube, images: Int64, grids: dict[tuple[int, int], _Grid]) -> Tube:
        if not len(tube.stamps):
            if tube.state == TubeState.ENDED:
                self._last.pop(tube.id, None)
            return tube
        last = self._last.get(tube.id)
        if last is not None and last.stamp >= tube.stamps[0]:
            last = None  # the linker sends its newest box again, revised
        key = (last.stamp if last else -1, id(tube.stamps))
        if key not in grids:
            grids[key] = _grid(last.stamp if last else None, tube, images)
        grid = grids[key]
        self._last[tube.id] = _Last(int(tube.stamps[-1]), tube.boxes[-1:], tube.scores[-1:])
        if tube.state == TubeState.ENDED:
            del self._last[tube.id]
        return tube._replace(stamps=grid.stamps) if grid.is_same else _at(grid, tube, last)


def _grid(last: int | None, tube: Tube, images: Int64) -> _Grid:
    known = tube.stamps if last is None else np.concatenate([[last], tube.stamps])
    begin = int(np.searchsorted(images[:, 1], known[0], side="left" if last is None else "right"))
    frames, stamps = images[begin : int(np.searchsorted(images[:, 1], known[-1], side="right"))].T
    after = known.searchsorted(stamps)
    exact = known.take(after) == stamps
    before = np.maximum(after - 1, 0)
    span = np.maximum(known.take(after) - known.take(before), 1)
    seen = np.concatenate([np.zeros(len(known) - len(tube.stamps), np.bool_), ~tube.interpolated])
    is_same = len(frames) == len(tube.frames) and bool((frames == tube.frames).all())
    return _Grid(frames, stamps, before, (stamps - known.take(before)) / span, exact & seen.take(after), is_same)


def _at(grid: _Grid, tube: Tube, last: _Last | None) -> Tube:
    boxes, scores = tube.boxes, tube.scores
    if last is not None:
        boxes, scores = np.concatenate([last.boxes, boxes]), np.concatenate([last.scores, scores])
    before, after = grid.before, np.minimum(grid.before + 1, len(boxes) - 1)
    weight = grid.weight
    low, low_score = boxes.take(before, axis=0), scores.take(before)
    return tube._replace(
        frames=grid.frames,
        stamps=grid.stamps,
        boxes=(low + (boxes.take(after, axis=0) - low) * weight[:, None]).astype(np.float32),
        scores=(low_score + (scores.take(after) - low_score) * weight).astype(np.float32),
        interpolated=~grid.seen,
    )
