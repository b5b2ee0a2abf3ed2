"""Does one person stay one tube, whatever its label? What a robot that follows people by tube id gets to see."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np

from amtnet_ros.contracts import TubeState, TubeUpdate
from amtnet_ros.data.annotations import AnnotatedVideo
from amtnet_ros.evaluation.overlap import box_iou


@dataclass(frozen=True, slots=True)
class Following:
    """Sums over people (annotated actions) and updates; add them up over videos.

    A person's tubes: the ACTIVE ones, of any class, whose newest box overlaps the person's by an IoU of 0.5 or more.

    people: how many. steps: updates in which a person is annotated. covered: those in which the person has a tube.
    tubes: how many tubes there are, over these. switches: times that the likeliest of them is another than before.
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
            person = np.broadcast_to(instance.boxes[place].astype(np.float64), newest.shape)
            own = np.flatnonzero(box_iou(newest, person) >= 0.5).tolist()
            if own:
                best = max((seen[i] for i in own), key=lambda tube: tube.score)
                covered += 1
                tubes += len(own)
                switches += last.get(number, best.id) != best.id
                last[number] = best.id
    return Following(len(video.instances), steps, covered, tubes, switches)
