"""Classification accuracy of videos by their best tube."""

from __future__ import annotations

from collections.abc import Sequence

from amtnet_ros.data.annotations import Dataset
from amtnet_ros.evaluation.tubes import ScoredTube


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
