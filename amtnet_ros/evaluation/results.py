"""All scores of one evaluation, and what is computed from tubes alone."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from amtnet_ros.data.annotations import Dataset
from amtnet_ros.evaluation.frame_map import FrameMap
from amtnet_ros.evaluation.online import IdentityErrors, ObservedScore
from amtnet_ros.evaluation.tubes import ScoredTube, classification_accuracy
from amtnet_ros.evaluation.video_map import Definition, VideoMap, video_map


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
    frame_map: FrameMap | None = None,
    online: OnlineScores | None = None,
) -> Evaluation:
    """Score finished tubes of the test videos; frame_map and online are passed on."""
    return Evaluation(
        ground_truth=ground_truth.name,
        videos=len(ground_truth.test),
        actions=sum(len(ground_truth.videos[name].instances) for name in ground_truth.test),
        tubes=len(tubes),
        accuracy=classification_accuracy(ground_truth, tubes),
        video_maps=tuple(video_map(ground_truth, tubes, definition) for definition in definitions),
        frame_map=frame_map,
        online=online,
    )
