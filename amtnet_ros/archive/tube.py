"""A tube as the archive keeps it."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from amtnet_ros.archive.recording import SECOND
from amtnet_ros.archive.seconds import Said
from amtnet_ros.contracts import Bool, Float32, Int64
from amtnet_ros.tube_boxes import Box


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
