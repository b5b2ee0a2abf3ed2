"""Scored tubes: one by one, with the accuracy of the best of each video, and as the table that tube metrics take."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from amtnet_ros.contracts import Bool, Int64
from amtnet_ros.data.annotations import Dataset

Float64 = NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class ScoredTube:
    """A detected action tube, as it is scored.

    video: name of the video in its dataset.
    label: 0-based index into the dataset's classes.
    score: any finite number; only its order against other scores counts.
    first_frame: 0-based frame of the first box.
    boxes: (T, 4) float, one box for each frame from first_frame on; x1 y1 x2 y2 in pixels of the video, 0-based,
        exclusive maximum.
    """

    video: str
    label: int
    score: float
    first_frame: int
    boxes: NDArray[np.floating]


def classification_accuracy(ground_truth: Dataset, tubes: Sequence[ScoredTube]) -> float:
    """The share of test videos whose best-scoring tube has the video's label, 0..1.

    A video without a tube is wrong. Of tubes with equal scores the one given first counts. A video with actions of
    several classes is right with any of them; one without actions has no label and is left out. NaN if none is left.
    """
    best: dict[str, ScoredTube] = {}
    for tube in tubes:
        if tube.video not in best or tube.score > best[tube.video].score:
            best[tube.video] = tube
    labels = {name: {instance.label for instance in ground_truth.videos[name].instances} for name in ground_truth.test}
    labelled = [name for name in ground_truth.test if labels[name]]
    if not labelled:
        return float("nan")
    return sum(name in best and best[name].label in labels[name] for name in labelled) / len(labelled)


@dataclass(frozen=True, slots=True)
class TubeTable:
    """N tubes as a structure of arrays; their M boxes lie one tube after the other.

    video: (N,) int64 index into the list of videos the table was made with.
    label: (N,) int64.
    score: (N,) float64; zeros for ground truth.
    first_frame: (N,) int64.
    offset: (N + 1,) int64; the boxes of tube i are ``boxes[offset[i]:offset[i + 1]]``.
    boxes: (M, 4) float64, one for each frame between a tube's first and last.
    annotated: (M,) bool, false at frames between two annotated ones that carry no box themselves (sparse annotation).
    """

    video: Int64
    label: Int64
    score: Float64
    first_frame: Int64
    offset: Int64
    boxes: Float64
    annotated: Bool

    def __len__(self) -> int:
        return len(self.video)

    @property
    def end_frame(self) -> Int64:
        """(N,) int64, the frame after each tube's last."""
        return self.first_frame + np.diff(self.offset)


def table_of_tubes(tubes: Sequence[ScoredTube], videos: Sequence[str]) -> TubeTable:
    """Gather detected tubes, ordered by video and within a video as given.

    Raises ValueError for a tube of a video that is not listed, without boxes, or with a value that is not finite.
    """
    index = {name: i for i, name in enumerate(videos)}
    unknown = next((tube.video for tube in tubes if tube.video not in index), None)
    if unknown is not None:
        raise ValueError(f"tube of video {unknown!r}, which is not among the {len(videos)} evaluated")
    ordered = sorted(tubes, key=lambda tube: index[tube.video])
    boxes = [np.asarray(tube.boxes, dtype=np.float64) for tube in ordered]
    malformed = next((box.shape for box in boxes if box.ndim != 2 or box.shape[1] != 4 or len(box) == 0), None)
    if malformed is not None:
        raise ValueError(f"boxes of a tube have shape {malformed}, expected (T, 4) with T >= 1")
    table = _table(
        video=[index[tube.video] for tube in ordered],
        label=[tube.label for tube in ordered],
        score=[tube.score for tube in ordered],
        first_frame=[tube.first_frame for tube in ordered],
        boxes=boxes,
        annotated=[np.ones(len(box), dtype=np.bool_) for box in boxes],
    )
    if not (np.isfinite(table.score).all() and np.isfinite(table.boxes).all()):
        raise ValueError("a tube has a score or box that is not finite")
    return table


def table_of_instances(dataset: Dataset, videos: Sequence[str], observed: Mapping[str, int] | None = None) -> TubeTable:
    """Gather the ground truth of some videos of a dataset.

    observed: if given, frames seen of each video: boxes from that frame on are left out, and with them instances that
        have not begun.
    """
    video, label, first, boxes, annotated = [], [], [], [], []
    for i, name in enumerate(videos):
        for instance in dataset.videos[name].instances:
            seen = instance.frames < observed[name] if observed is not None else np.ones(len(instance.frames), np.bool_)
            frames = instance.frames[seen]
            if len(frames) == 0:
                continue
            dense = np.zeros((frames[-1] - frames[0] + 1, 4))
            dense[frames - frames[0]] = instance.boxes[seen]
            here = np.zeros(len(dense), dtype=np.bool_)
            here[frames - frames[0]] = True
            video.append(i)
            label.append(instance.label)
            first.append(int(frames[0]))
            boxes.append(dense)
            annotated.append(here)
    return _table(video, label, [0.0] * len(video), first, boxes, annotated)


def _table(
    video: list[int],
    label: list[int],
    score: list[float],
    first_frame: list[int],
    boxes: list[Float64],
    annotated: list[Bool],
) -> TubeTable:
    return TubeTable(
        video=np.array(video, dtype=np.int64),
        label=np.array(label, dtype=np.int64),
        score=np.array(score, dtype=np.float64),
        first_frame=np.array(first_frame, dtype=np.int64),
        offset=np.cumsum([0, *(len(box) for box in boxes)], dtype=np.int64),
        boxes=np.concatenate(boxes) if boxes else np.zeros((0, 4)),
        annotated=np.concatenate(annotated) if annotated else np.zeros(0, dtype=np.bool_),
    )
