"""What a taught layer tells apart."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from amtnet_ros.contracts import NOBODY, OTHER, Int64
from amtnet_ros.teaching.layer import Layer

Float64 = NDArray[np.float64]


@dataclass(frozen=True)
class Answers:
    """What a layer tells apart. learnt: new actions, and, where nothing is kept, `other` and `nobody`.

    given: what the layer before keeps saying, with its rows; () where nothing is kept.
    """

    actions: tuple[str, ...]
    kept: tuple[str, ...] = ()
    given: Layer | None = None

    @property
    def order(self) -> tuple[str, ...]:
        """Of the layer's rows: the new actions come first."""
        return (*self.actions, *self.kept, OTHER, NOBODY)

    @property
    def n_learnt(self) -> int:
        return len(self.actions) + (0 if self.given is not None else 2)

    def right(self, labels: NDArray[np.str_]) -> Int64:
        """(N,) the index of the right answer of each label; of one that is no answer it is `other`."""
        index = {name: i for i, name in enumerate(self.order)}
        return np.array([index.get(str(label), index[OTHER]) for label in labels], np.int64)

    @property
    def caution(self) -> Float64:
        """(A,) what logits get so that less is claimed: `other` more, or, where it is given, the new actions less."""
        if self.given is None:
            return np.array([float(name == OTHER) for name in self.order])
        return np.array([-float(name in self.actions) for name in self.order])
