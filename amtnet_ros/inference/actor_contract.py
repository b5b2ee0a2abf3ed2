"""What an engine of the actor stream looks like. NumPy alone: who uses one need not know how it computes."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple, Protocol

from amtnet_ros.contracts import Float32, UInt8

LEAST_AWAY = 1e-6
"""How near the hidden layer's values may be to the middle of a taught layer: nearer, there is no direction from it."""


class Look(NamedTuple):
    """What N pictures, of one person each, show after those before them.

    answers: (N, A), probabilities of the model's own answers; names: (N, 600), of Kinetics' classes; both of the mean
        of this picture's and the earlier features.
    features: (N, F) of this picture.
    memories: N, each the engine's own and on its device; what that person's next picture must come with.
    """

    answers: Float32
    names: Float32
    features: Float32
    memories: list[Any]


class ActorEngine(Protocol):
    """A loaded network that looks at persons, warmed up. One serves one thread at a time.

    picture_size: width and height of the pictures. n_features: F. provider, precision: as `Engine`'s.
    """

    picture_size: int
    n_features: int
    provider: str
    precision: str

    def look(self, pictures: UInt8, memories: Sequence[Any], earlier: Float32, count: Float32) -> Look:
        """Look at the next picture of each of N persons.

        pictures: (N, S, S, 3) RGB. memories: N, of each person's last picture; None before the first.
        earlier: (N, F), the sum of the features of the earlier pictures that count; count: (N,), how many those are.
        """
        ...

    def close(self) -> None:
        """Give back the device's memory; the engine cannot be used afterwards."""
        ...
