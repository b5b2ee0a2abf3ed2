"""A tube as the archive keeps it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from amtnet_ros.archive.recording import SECOND
from amtnet_ros.contracts import Bool, Float32, Int64
from amtnet_ros.tube_boxes import Box

KEPT = 6
"""Labels, and as many names, that are kept of a second: the best."""
LEAST = 0.01
"""A lower score is not kept."""


class Said(NamedTuple):
    """second: of the camera's clock, whole ones since stamp 0. score: the mean over the second, in 0..1."""

    second: int
    label: str
    score: float


class Seconds:
    """Means of scores by the second, for one tube; of each second that is over only the best are remembered.

    labels: what the scores are of, by index.
    """

    def __init__(self, labels: Sequence[str]) -> None:
        self._labels = labels
        self._second: int | None = None
        self._sum: NDArray[np.float64] = np.zeros(len(labels))
        self._count = 0
        self.said: list[Said] = []

    def add(self, stamp: int, scores: Float32) -> None:
        """Scores (L,) at a stamp (ns); stamps ascend."""
        second = stamp // SECOND
        if second != self._second:
            self.close()
            self._second = second
        self._sum += scores
        self._count += 1

    def close(self) -> list[Said]:
        """The second is over; returns all that was said so far."""
        if self._count and self._second is not None:
            mean = self._sum / self._count
            best = np.argsort(-mean, kind="stable")[:KEPT]
            kept = ((i, float(mean[i])) for i in best if mean[i] >= LEAST)
            self.said += [Said(self._second, self._labels[i], round(score, 4)) for i, score in kept]
        self._sum[:], self._count = 0, 0
        return self.said


@dataclass(frozen=True)
class ArchivedTube:
    """One person, followed.

    session: which of the camera's sessions; a new one begins where its clock falls back or its pictures change size.
    offset: a picture's position is its stamp + offset, about: see `Recording`.
    size: (width, height) of the pictures. confirmed: whether anything was ever claimed of it.
    stamps: (K,) ns; boxes: (K, 4) in pixels; scores: (K,); interpolated: (K,).
    actions: scores of the model's labels, `other` among them; names: of Kinetics' 600.
    """

    session: int
    offset: int
    size: tuple[int, int]
    confirmed: bool
    stamps: Int64
    boxes: Float32
    scores: Float32
    interpolated: Bool
    actions: tuple[Said, ...]
    names: tuple[Said, ...]

    @property
    def label(self) -> tuple[str, float]:
        """What it is called most, over its whole length, and the mean score; ("", 0) where nothing was said."""
        seconds = {said.second for said in self.actions}
        total: dict[str, float] = {}
        for said in self.actions:
            total[said.label] = total.get(said.label, 0.0) + said.score
        best = max(total, key=lambda label: total[label], default="")
        return best, total.get(best, 0.0) / max(len(seconds), 1)

    def between(self, begin: int | None, end: int | None) -> ArchivedTube:
        """The part of it from the stamp `begin` on and before `end`; None: no bound. Seconds go where they begin."""
        first = 0 if begin is None else int(self.stamps.searchsorted(begin))
        last = len(self.stamps) if end is None else int(self.stamps.searchsorted(end))
        part = slice(first, last)

        def within(said: Said) -> bool:
            at = said.second * SECOND
            return (begin is None or at >= begin) and (end is None or at < end)

        return replace(
            self,
            stamps=self.stamps[part],
            boxes=self.boxes[part],
            scores=self.scores[part],
            interpolated=self.interpolated[part],
            actions=tuple(filter(within, self.actions)),
            names=tuple(filter(within, self.names)),
        )

    def followed_by(self, later: ArchivedTube) -> ArchivedTube:
        """One tube of two, the second of which begins where the first ends."""
        return replace(
            self,
            confirmed=self.confirmed or later.confirmed,
            stamps=np.concatenate([self.stamps, later.stamps]),
            boxes=np.concatenate([self.boxes, later.boxes]),
            scores=np.concatenate([self.scores, later.scores]),
            interpolated=np.concatenate([self.interpolated, later.interpolated]),
            actions=self.actions + later.actions,
            names=self.names + later.names,
        )


def boxes_as_arrays(boxes: list[Box]) -> tuple[Int64, Float32, Float32, Bool]:
    """stamps, boxes, scores, interpolated of an `ArchivedTube`."""
    return (
        np.array([box.stamp for box in boxes], np.int64),
        np.array([box.box for box in boxes], np.float32).reshape(-1, 4),
        np.array([box.score for box in boxes], np.float32),
        np.array([box.interpolated for box in boxes], np.bool_),
    )
