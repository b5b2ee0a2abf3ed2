"""All scores of one evaluation: of finished tubes alone, or of a model from its kept detections."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass

import numpy as np

from amtnet_ros.data.annotations import Dataset
from amtnet_ros.errors import UserError
from amtnet_ros.evaluation.detections import KeptDetections
from amtnet_ros.evaluation.frame_map import FrameDetections, FrameMap, frame_map
from amtnet_ros.evaluation.linking import SHARES, ever_active, link_video
from amtnet_ros.evaluation.online import (
    IdentityErrors,
    ObservedScore,
    detection_delays,
    identity_errors,
    score_observed,
)
from amtnet_ros.evaluation.tubes import ScoredTube, classification_accuracy
from amtnet_ros.evaluation.video_map import Definition, VideoMap, tube_nms, video_map
from amtnet_ros.tubes import LinkerOptions

OBSERVED_THRESHOLDS = (0.2, 0.5)
"""Overlaps at which video-mAP is shown as a function of the observed share."""


@dataclass(frozen=True, slots=True)
class OnlineScores:
    """How the tubes served while the videos ran.

    observed: for each share of the videos.
    delays: for each action the frames to its first correct active tube, None if there was none.
    """

    observed: tuple[ObservedScore, ...]
    delays: tuple[int | None, ...]
    identity: IdentityErrors

    @property
    def found(self) -> float:
        """The share of actions that ever had a correct active tube, 0..1; NaN without actions."""
        return sum(delay is not None for delay in self.delays) / len(self.delays) if self.delays else float("nan")

    @property
    def median_delay(self) -> float:
        """Frames, over the actions that were found; NaN if none was."""
        found = [delay for delay in self.delays if delay is not None]
        return float(np.median(found)) if found else float("nan")

    @property
    def mean_delay(self) -> float:
        """Frames, over the actions that were found; NaN if none was."""
        found = [delay for delay in self.delays if delay is not None]
        return float(np.mean(found)) if found else float("nan")


@dataclass(frozen=True, slots=True)
class Evaluation:
    """The scores of one set of tubes; all shares and APs are 0..1.

    ground_truth: its name. videos, actions, tubes: how many were scored.
    video_maps: one for each definition asked for.
    frame_map, online: None where only finished tubes are known.
    """

    ground_truth: str
    videos: int
    actions: int
    tubes: int
    accuracy: float
    video_maps: tuple[VideoMap, ...]
    frame_map: FrameMap | None = None
    online: OnlineScores | None = None


def evaluate_tubes(
    ground_truth: Dataset,
    tubes: Sequence[ScoredTube],
    definitions: Sequence[Definition],
    *,
    frames: FrameMap | None = None,
    online: OnlineScores | None = None,
) -> Evaluation:
    """Score finished tubes of the test videos; frames and online are passed on."""
    return Evaluation(
        ground_truth=ground_truth.name,
        videos=len(ground_truth.test),
        actions=sum(len(ground_truth.videos[name].instances) for name in ground_truth.test),
        tubes=len(tubes),
        accuracy=classification_accuracy(ground_truth, tubes),
        video_maps=tuple(video_map(ground_truth, tubes, definition) for definition in definitions),
        frame_map=frames,
        online=online,
    )


def evaluate_kept(
    ground_truth: Dataset,
    kept: KeptDetections,
    options: LinkerOptions,
    definitions: Sequence[Definition],
    *,
    nms: float | None = None,
    trimmed: bool = False,
    progress: Callable[[Iterable[str]], Iterable[str]] = iter,
) -> tuple[Evaluation, list[ScoredTube]]:
    """Link the detections of all test videos and score tubes, frames and the online behaviour.

    nms: tube NMS before scoring, see `tube_nms`.
    trimmed: cut tubes to the frames in which their action goes on, see `link_video`.
    progress: wraps the names of the videos while they are worked through.
    Returns the scores and the tubes. Raises UserError if detections are missing, damaged or of another number of
    classes, or for trimming in `actor` mode.
    """
    missing = kept.missing(ground_truth)
    if missing:
        raise UserError(
            f"{kept.folder}: detections of {len(missing)} of {len(ground_truth.test)} videos are missing, the first "
            f"{missing[0]!r}; give --model to make them"
        )
    in_frames: dict[str, FrameDetections] = {}
    observed: list[list[ScoredTube]] = [[] for _ in SHARES]
    delays: list[int | None] = []
    identity = IdentityErrors()
    for name in progress(ground_truth.test):
        video, detections = ground_truth.videos[name], kept.read(name)
        if detections.n_classes != len(ground_truth.classes):
            raise UserError(
                f"{kept.folder}: detections of {detections.n_classes} classes, but {ground_truth.name} has "
                f"{len(ground_truth.classes)}"
            )
        linked = link_video(name, video.n_frames, detections, options, trimmed=trimmed)
        in_frames[name] = detections.in_frames()
        for known, now in zip(observed, linked.observed, strict=True):
            known += tube_nms(now, nms) if nms is not None else now
        delays += detection_delays(video, linked.updates)
        identity += identity_errors(video, linked.tubes, ever_active(linked.updates))
    tubes = observed[-1]
    online = OnlineScores(
        observed=tuple(score_observed(ground_truth, observed, definitions, OBSERVED_THRESHOLDS)),
        delays=tuple(delays),
        identity=identity,
    )
    frames = frame_map(ground_truth, in_frames)
    return evaluate_tubes(ground_truth, tubes, definitions, frames=frames, online=online), tubes
