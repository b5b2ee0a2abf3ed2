"""Who is in a video, and where: the tubes of this package's detector, or of another one's boxes."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import NamedTuple, Protocol

import numpy as np

from amtnet_ros.contracts import Float32, MicroTubes, TubeState, UInt8
from amtnet_ros.data.people_detector import PeopleDetector
from amtnet_ros.evaluation.persons import SECOND, follow_persons
from amtnet_ros.pipeline import Pipeline
from amtnet_ros.tubes import LinkerOptions, TubeLinker

SHORTEST = 0.4
"""Seconds that somebody must be followed for; of less no action can be learnt."""
PERSON_SCORE = 0.4
"""Of another detector's boxes, at least."""


class PersonTube(NamedTuple):
    """One person in consecutive frames. first_frame: 0-based. boxes: (n, 4) float32 x1 y1 x2 y2, source pixels."""

    first_frame: int
    boxes: Float32


class PeopleFinder(Protocol):
    """Finds everybody in a video."""

    def __call__(self, images: Iterable[UInt8], rate: float) -> list[PersonTube]:
        """images: (h, w, 3) uint8 RGB, `rate` a second. Returns everybody, who is followed longest first."""
        ...


class DetectorTubes:
    """By the tubes of the detector itself. Tubes that it never confirmed count only where there is no other."""

    def __init__(self, pipeline: Pipeline) -> None:
        self._pipeline = pipeline

    def __call__(self, images: Iterable[UInt8], rate: float) -> list[PersonTube]:
        persons = follow_persons(self._pipeline, images, rate)
        chosen = [person for person in persons if person.confirmed] or persons
        tubes = (_consecutive(person.boxes) for person in chosen)
        return _long_enough(tubes, rate)


class LinkedBoxes:
    """By another detector's boxes, linked by their overlap from frame to frame.

    file: what `PeopleDetector` takes.
    """

    def __init__(self, file: Path) -> None:
        self._detector = PeopleDetector(file)

    def __call__(self, images: Iterable[UInt8], rate: float) -> list[PersonTube]:
        linker = TubeLinker(1, LinkerOptions(shared_box="old"))
        found: dict[int, dict[int, Float32]] = {}
        for index, image in enumerate(images):
            seen = self._micro_tubes(index, image, rate)
            for tube in linker.update(seen, 1).tubes:
                if tube.state != TubeState.ENDED:
                    found.setdefault(tube.id, {}).update(zip(tube.frames.tolist(), tube.boxes, strict=True))
        for boxes in found.values():
            boxes.pop(-1, None)
        return _long_enough((_consecutive(boxes) for boxes in found.values()), rate)

    def _micro_tubes(self, index: int, image: UInt8, rate: float) -> MicroTubes:
        """A frame's boxes as if it were a pair: that a box begins where it was before, is left to its overlap."""
        boxes, scores = self._detector.people(image, PERSON_SCORE)
        stamp = round(index * SECOND / rate)
        return MicroTubes(
            boxes=np.stack([boxes, boxes], axis=1),
            labels=np.zeros(len(boxes), np.int64),
            scores=scores,
            class_scores=scores[:, None],
            frames=(index - 1, index),
            stamps=(stamp - round(SECOND / rate), stamp),
            image_size=(image.shape[1], image.shape[0]),
        )


def _consecutive(boxes: dict[int, Float32]) -> PersonTube:
    """The longest run of frames without a gap."""
    numbers = np.array(sorted(boxes))
    if not len(numbers):
        return PersonTube(0, np.zeros((0, 4), np.float32))
    runs = np.split(numbers, np.flatnonzero(np.diff(numbers) > 1) + 1)
    longest = max(runs, key=len)
    return PersonTube(int(longest[0]), np.stack([boxes[int(number)] for number in longest]).astype(np.float32))


def _long_enough(tubes: Iterator[PersonTube], rate: float) -> list[PersonTube]:
    kept = [tube for tube in tubes if len(tube.boxes) >= SHORTEST * rate]
    return sorted(kept, key=lambda tube: -len(tube.boxes))
