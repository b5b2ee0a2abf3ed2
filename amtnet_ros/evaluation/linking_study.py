"""What the linker's options do to the scores: link the same micro-tubes again and again."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from amtnet_ros.contracts import MicroTubes
from amtnet_ros.data.annotations import Dataset
from amtnet_ros.evaluation.identity import Following, follow
from amtnet_ros.evaluation.linking import check_trimming, ever_active, in_action, scored_tubes
from amtnet_ros.evaluation.online import IdentityErrors, detection_delays, identity_errors
from amtnet_ros.evaluation.tubes import ScoredTube
from amtnet_ros.evaluation.video_map import DEFINITIONS, VideoMap, video_map
from amtnet_ros.tubes import PAPER, LinkerOptions, TubeAssembler, TubeLinker

# options changed one at a time …
VARIANTS: dict[str, tuple[Any, ...]] = {
    "match": ("score", "iou", "similarity", "both"),
    "assignment": ("greedy", "optimal"),
    "shared_box": ("old", "new", "mean"),
    "revise": (False, True),
    "interpolated_score": ("linear", "next", "lower", "zero"),
    "iou_threshold": (0.1, 0.2, 0.3, 0.4, 0.5),
    "lost_iou_threshold": (0.0, 0.1, 0.2, 0.3),
    "score_threshold": (0.01, 0.1, 0.2),
    "start_score": (0.0, 0.2),
    "nms_iou": (0.3, 0.45, 0.6),
    "score_window": (0, 4, 16),
    "top_scores": (1, 4, 16),
    "max_misses": (1, 2, 3, 5),
    "tentative_misses": (1, 3),
    "min_coasting": (0.0, 0.25, 0.5, 1.0),
    "confirm_after": (1, 2, 3),
    "class_memory": (0, 4, 16),
}


@dataclass(frozen=True)
class LinkingScores:
    """Scores of one way to link.

    tubes: how many are scored; those that were never confirmed (ACTIVE) are not.
    video_maps: by the name of the definition. identity, following: see there.
    delay: median frames from an action's start to its first correct ACTIVE tube; missed: actions without any.
    """

    tubes: int
    video_maps: Mapping[str, VideoMap]
    identity: IdentityErrors
    following: Following
    delay: float
    missed: int


def link_all(
    dataset: Dataset,
    pairs: Mapping[str, Sequence[MicroTubes]],
    delta: int,
    options: LinkerOptions,
    *,
    trimmed: bool = False,
) -> LinkingScores:
    """Link the micro-tubes of all test videos, each from its beginning to its end, and score the tubes.

    pairs: of every test video, in the order in which they were seen. delta: their distance in frames.
    trimmed: score the parts of tubes in which their action goes on (``per_class`` mode only); what is said of identity
        and delay is of whole tubes all the same.
    """
    check_trimming(trimmed, options)
    scored: list[ScoredTube] = []
    identity, following = IdentityErrors(), Following()
    delays: list[int | None] = []
    for name in dataset.test:
        video = dataset.videos[name]
        linker, assembler = TubeLinker(len(dataset.classes), options), TubeAssembler()
        updates = [linker.update(pair, delta) for pair in pairs[name]]
        updates.append(linker.end(delta))
        for update in updates:
            assembler.add(update)
        active = ever_active(updates)
        confirmed = [tube for tube in assembler.tubes() if tube.id in active]
        whole_or_cut = in_action(confirmed) if trimmed else confirmed
        scored += scored_tubes(name, whole_or_cut, every_class=options.mode == "actor")
        identity += identity_errors(video, confirmed, active)
        following += follow(video, updates)
        delays += detection_delays(video, updates)
    found = [delay for delay in delays if delay is not None]
    return LinkingScores(
        tubes=len(scored),
        video_maps=score(dataset, scored),
        identity=identity,
        following=following,
        delay=float(np.median(found)) if found else float("nan"),
        missed=len(delays) - len(found),
    )


def score(dataset: Dataset, tubes: Sequence[ScoredTube]) -> dict[str, VideoMap]:
    """Video-mAP under both definitions."""
    return {name: video_map(dataset, tubes, definition) for name, definition in DEFINITIONS.items()}


def variants(base: LinkerOptions, changed: Collection[str] = tuple(VARIANTS)) -> list[tuple[str, LinkerOptions]]:
    """`base`, linking as in the paper, and `base` with every option of `changed` changed alone; with names."""
    named = [("defaults", base), ("as in the paper", replace(PAPER, mode=base.mode))]
    for option in changed:
        for value in VARIANTS[option]:
            if value != getattr(base, option):
                named.append((f"{option}={value}", replace(base, **{option: value})))
    return named
