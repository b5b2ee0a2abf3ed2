"""What is said of a person in each second: enough to search for any name later, and no more."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from amtnet_ros.archive.recording import SECOND
from amtnet_ros.contracts import Float32

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
