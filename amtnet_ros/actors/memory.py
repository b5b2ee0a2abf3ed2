"""What is remembered of a person: where they were, what the network needs for their next picture, what it said."""

from __future__ import annotations

from collections import deque
from typing import Any, NamedTuple

import numpy as np

from amtnet_ros.actors.crops import SECOND, SmoothBox
from amtnet_ros.contracts import Float32

FORGOTTEN = SECOND // 2
"""Nanoseconds after which a picture has nothing to do with the one before it."""
LEAST_PICTURES = 2
"""Of fewer no movement can be told."""


class Answer(NamedTuple):
    """What the stream says of the last second of a view; both sum to 1.

    answers: (A,), of what it was taught, in the card's order. names: (600,), of Kinetics' classes.
    """

    answers: Float32
    names: Float32


class Memory:
    """Of one view that is looked at. Bounded: a second of features, the network's own memory, one answer.

    memory: the engine's own, None before the first picture.
    """

    def __init__(self) -> None:
        self.forget()

    def forget(self) -> None:
        """The next picture is the first."""
        self.memory: Any = None
        self._features: deque[tuple[int, Float32]] = deque()
        self._answer: Answer | None = None

    def earlier(self, stamp: int, n_features: int) -> tuple[Float32, int]:
        """For a picture of this stamp: the sum (F,) of the features of those before it in its second, and their number.

        After too long a pause all is forgotten first.
        """
        if self._features and not 0 < stamp - self._features[-1][0] <= FORGOTTEN:
            self.forget()
        while self._features and self._features[0][0] <= stamp - SECOND:
            self._features.popleft()
        total = np.zeros(n_features, np.float32)
        for _, features in self._features:
            total += features
        return total, len(self._features)

    def remember(self, stamp: int, features: Float32, memory: Any, answer: Answer) -> None:
        """What the picture of this stamp brought."""
        self._features.append((stamp, features))
        self.memory, self._answer = memory, answer

    def answer(self, stamp: int) -> Answer | None:
        """What is said of the second that ends now; None where too little was seen of it."""
        if len(self._features) < LEAST_PICTURES or not 0 <= stamp - self._features[-1][0] <= SECOND:
            return None
        return self._answer

    @property
    def answered(self) -> bool:
        """Whether anything was said of the view."""
        return self._answer is not None

    def is_answered_by(self, answer: int) -> bool:
        """Whether this answer, by number, was the likeliest when the view was last looked at."""
        return self._answer is not None and int(self._answer.answers.argmax()) == answer


class Person(Memory):
    """One tube's. box: half a second of boxes."""

    def __init__(self) -> None:
        super().__init__()
        self.box = SmoothBox()
