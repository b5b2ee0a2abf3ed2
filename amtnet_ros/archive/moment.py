"""A moment that was found: its pictures, with the tube drawn."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, fields
from datetime import datetime
from typing import Any

import cv2
import numpy as np

from amtnet_ros.archive.places import name_of
from amtnet_ros.archive.recording import SECOND, Kind, Recording
from amtnet_ros.archive.sources import pictures_of
from amtnet_ros.archive.tube import ArchivedTube
from amtnet_ros.contracts import Tube, TubeState, TubeUpdate, UInt8
from amtnet_ros.media.drawing import Style, TubePainter


@dataclass(frozen=True)
class Moment:
    """A row of `Archive.find`; what the columns mean stands there."""

    rank: int
    score: float
    file: str
    dataset: str
    topic: str
    episode: int | None
    session: int
    tube: int
    start: int
    stop: int
    time: datetime | None
    people: int
    size: float
    offset: int
    kind: Kind
    file_begin: int
    key: str

    @property
    def seconds(self) -> float:
        """How long it is."""
        return (self.stop - self.start) / SECOND

    @property
    def begin(self) -> int:
        """The position where it begins, see `Recording`."""
        return self.start + self.offset

    @property
    def recording(self) -> Recording:
        """Where its pictures are."""
        return Recording(self.key, self.kind, self.file, self.topic, self.file_begin, None, self.dataset, self.episode)

    @property
    def where(self) -> str:
        """The file, without its folder, the episode and the topic; for people."""
        parts = [name_of(self.dataset or self.file), f"episode {self.episode}" if self.dataset else "", self.topic]
        return " ".join(part for part in parts if part)

    @property
    def when(self) -> str:
        """The time of day where it is known, else the time since the file's beginning; for people."""
        if self.time is not None:
            return f"{self.time:%Y-%m-%d %H:%M:%S}"
        seconds = (self.begin - self.file_begin) / SECOND
        return f"{int(seconds) // 60}:{seconds % 60:04.1f}"


def moments_of(table: Any) -> list[Moment]:
    """The rows of a table that `Archive.find` gave."""
    names = [field.name for field in fields(Moment)]
    return [Moment(**row) for row in table.select(names).to_pylist()]


def drawn(
    moment: Moment, tube: ArchivedTube, name: str, around: float = 0.0, most: tuple[int, int] | None = None
) -> Iterator[tuple[int, UInt8]]:
    """The moment's pictures, each with its stamp (ns), (height, width, 3) uint8 RGB; the tube stands in them.

    name: what is written at it. around: seconds before and after it that are shown too. most: (width, height) of the
    pictures. Raises UserError where the file is gone, or broken.
    """
    painter = TubePainter({0: name}, Style())
    margin = round(around * SECOND)
    for picture in pictures_of(moment.recording, moment.begin - margin, moment.stop + moment.offset + margin + 1):
        stamp, image = picture.load()
        painter.update(_update(moment, tube, stamp))
        yield stamp, painter.draw(image if most is None else _fitted(image, *most), stamp)


def _fitted(image: UInt8, width: int, height: int) -> UInt8:
    """The image as large as fits."""
    zoom = min(width / image.shape[1], height / image.shape[0])
    size = max(1, round(image.shape[1] * zoom)), max(1, round(image.shape[0] * zoom))
    return np.asarray(cv2.resize(image, size, interpolation=cv2.INTER_AREA), np.uint8)


def _update(moment: Moment, tube: ArchivedTube, stamp: int) -> TubeUpdate:
    """The tube at a stamp, as the painter takes it; between pictures that were watched, between its boxes."""
    boxes, scores = np.zeros((0, 4), np.float32), np.zeros(0, np.float32)
    if tube.stamps[0] <= stamp <= tube.stamps[-1]:
        corners = [np.interp(stamp, tube.stamps, corner) for corner in tube.boxes.T]
        boxes = np.array([corners], np.float32)
        scores = np.array([np.interp(stamp, tube.stamps, tube.scores)], np.float32)
    seen = Tube(
        id=moment.tube,
        state=TubeState.ACTIVE,
        label=0,
        score=moment.score,
        class_scores=np.array([moment.score], np.float32),
        start_stamp=moment.start,
        last_stamp=stamp,
        frames=np.zeros(len(boxes), np.int64),
        stamps=np.full(len(boxes), stamp, np.int64),
        boxes=boxes,
        scores=scores,
        interpolated=np.zeros(len(boxes), np.bool_),
    )
    return TubeUpdate(0, stamp, tube.size, 1, (seen,))
