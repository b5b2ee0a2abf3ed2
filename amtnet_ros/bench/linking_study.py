"""What the linker's options do to the scores: the same micro-tubes are linked again by each variant, and scored."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from amtnet_ros.boxes import iou
from amtnet_ros.contracts import MicroTubes, TubeState, TubeUpdate
from amtnet_ros.data.annotations import AnnotatedVideo, Dataset
from amtnet_ros.evaluation.linking import check_trimming, ever_active, in_action, scored_tubes
from amtnet_ros.evaluation.online import (
    IdentityErrors,
    IdentityScore,
    detection_delays,
    identity_errors,
    identity_score,
)
from amtnet_ros.evaluation.tubes import ScoredTube
from amtnet_ros.evaluation.video_map import DEFINITIONS, VideoMap, video_map
from amtnet_ros.tubes import PAPER, LinkerOptions, TubeAssembler, TubeLinker

# Values of the options that are changed one at a time.
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
    "confirm_time": (0.0, 0.3, 0.5),
    "confirm_score": (0.0, 0.1, 0.2),
    "class_memory": (0.0, 0.5, 1.0),
}


def variants(base: LinkerOptions, changed: Collection[str] = tuple(VARIANTS)) -> list[tuple[str, LinkerOptions]]:
    """`base`, linking as in the paper, and `base` with every option of `changed` changed alone; with names."""
    named = [("defaults", base), ("as in the paper", replace(PAPER, mode=base.mode))]
    for option in changed:
        for value in VARIANTS[option]:
            if value != getattr(base, option):
                named.append((f"{option}={value}", replace(base, **{option: value})))
    return named


@dataclass(frozen=True)
class LinkingScores:
    """Scores of one way to link.

    tubes: how many are scored; those that were never confirmed (ACTIVE) are not.
    video_maps: by the name of the definition.
    identity, identities, following: see there.
    delay: median frames from an action's start to its first correct ACTIVE tube.
    missed: number of actions without any.
    """

    tubes: int
    video_maps: Mapping[str, VideoMap]
    identity: IdentityErrors
    identities: IdentityScore
    following: Following
    delay: float
    missed: int


@dataclass(frozen=True, slots=True)
class Following:
    """Sums over people (annotated actions) and updates; add them up over videos.

    A person's tubes: the ACTIVE ones, of any class, whose newest box overlaps the person's by an IoU of 0.5 or more.

    people: how many.
    steps: updates in which a person is annotated.
    covered: those of them in which the person has a tube.
    tubes: sum, over these, of the number of the person's tubes.
    switches: how often the person's best-scoring tube is another than before.
    """

    people: int = 0
    steps: int = 0
    covered: int = 0
    tubes: int = 0
    switches: int = 0

    def __add__(self, other: Following) -> Following:
        return Following(
            self.people + other.people,
            self.steps + other.steps,
            self.covered + other.covered,
            self.tubes + other.tubes,
            self.switches + other.switches,
        )

    @property
    def coverage(self) -> float:
        """Share of the steps in which a person has a tube."""
        return self.covered / max(self.steps, 1)

    @property
    def tubes_per_person(self) -> float:
        """Mean number of tubes on a person who has any; 1 is best."""
        return self.tubes / max(self.covered, 1)

    @property
    def switches_per_person(self) -> float:
        return self.switches / max(self.people, 1)


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
    identity, identities, following = IdentityErrors(), IdentityScore(), Following()
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
        identities += identity_score(video, confirmed, active)
        following += follow(video, updates)
        delays += detection_delays(video, updates)
    found = [delay for delay in delays if delay is not None]
    return LinkingScores(
        tubes=len(scored),
        video_maps=score(dataset, scored),
        identity=identity,
        identities=identities,
        following=following,
        delay=float(np.median(found)) if found else float("nan"),
        missed=len(delays) - len(found),
    )


def score(dataset: Dataset, tubes: Sequence[ScoredTube]) -> dict[str, VideoMap]:
    """Video-mAP under both definitions."""
    return {name: video_map(dataset, tubes, definition) for name, definition in DEFINITIONS.items()}


def follow(video: AnnotatedVideo, updates: Iterable[TubeUpdate]) -> Following:
    """Look at every person of a video in the newest frame of each update."""
    steps = covered = tubes = switches = 0
    last: dict[int, int] = {}
    for update in updates:
        seen = [tube for tube in update.tubes if tube.state == TubeState.ACTIVE and len(tube.frames)]
        newest = np.array([tube.boxes[-1] for tube in seen], np.float64).reshape(-1, 4)
        for number, instance in enumerate(video.instances):
            place = int(np.searchsorted(instance.frames, update.frame))
            if place == len(instance.frames) or instance.frames[place] != update.frame:
                continue
            steps += 1
            person = instance.boxes[place].astype(np.float64)[:, None]
            own = np.flatnonzero(iou(newest.T, person) >= 0.5).tolist()
            if own:
                best = max((seen[i] for i in own), key=lambda tube: tube.score)
                covered += 1
                tubes += len(own)
                switches += last.get(number, best.id) != best.id
                last[number] = best.id
    return Following(len(video.instances), steps, covered, tubes, switches)
