"""What the actor stream sees of people: the features of their last second, at moments of a clip."""

from __future__ import annotations

from collections import defaultdict, deque
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import Any, NamedTuple

import numpy as np

from amtnet_ros.actors.memory import LEAST_PICTURES
from amtnet_ros.contracts import Float32, UInt8
from amtnet_ros.inference.contract import ActorEngine
from amtnet_ros.teaching.views import LOOKS_A_SECOND, Way

AT_ONCE = 16
"""Persons that are looked at in one batch."""
LAST_SECOND = round(LOOKS_A_SECOND)
"""Pictures whose features count together."""
EVERY = 3
"""Of a clip's pictures every third is a moment that is learnt from, and the last one."""


class Moments(NamedTuple):
    """Of one person in one way. features: (M, F), means of the last second. answers: (M, A), what the stream said."""

    features: Float32
    answers: Float32


@dataclass
class _Looked:
    """At one person in one way, so far."""

    way: Way
    number: int = 0
    memory: Any = None
    newest: deque[Float32] = field(default_factory=lambda: deque(maxlen=LAST_SECOND - 1))
    moments: list[tuple[Float32, Float32]] = field(default_factory=list)

    def take(self, features: Float32, answers: Float32, memory: Any) -> None:
        left = len(self.way.frames) - self.number - 1
        if left % EVERY == 0 and self.number + 1 >= LEAST_PICTURES:
            self.moments.append((np.mean([*self.newest, features], axis=0), answers))
        self.newest.append(features)
        self.memory = memory
        self.number += 1


def watch(engine: ActorEngine, images: Iterable[UInt8], ways: Sequence[Way]) -> list[Moments]:
    """Look at people while a clip runs, once.

    ways: of all people together. Returns of each way what was seen at M moments in order, the last of them at its last
    picture; none where it has too few pictures.
    """
    looked = [_Looked(way) for way in ways]
    due: dict[int, list[_Looked]] = defaultdict(list)
    for one in looked:
        for frame in one.way.frames:
            due[frame].append(one)
    for index, image in enumerate(images):
        now = due.get(index, [])
        for begin in range(0, len(now), AT_ONCE):
            _look(engine, image, now[begin : begin + AT_ONCE])
    return [_joined(one.moments, engine.n_features) for one in looked]


def _look(engine: ActorEngine, image: UInt8, now: Sequence[_Looked]) -> None:
    pictures = np.stack([one.way.picture(one.number, image, engine.picture_size) for one in now])
    nothing = np.zeros(engine.n_features, np.float32)
    earlier = np.stack([np.sum([nothing, *one.newest], axis=0) for one in now])
    count = np.array([len(one.newest) for one in now], np.float32)
    look = engine.look(pictures, [one.memory for one in now], earlier, count)
    for one, features, answers, memory in zip(now, look.features, look.answers, look.memories, strict=True):
        one.take(features, answers, memory)


def _joined(moments: Sequence[tuple[Float32, Float32]], n_features: int) -> Moments:
    if not moments:
        return Moments(np.zeros((0, n_features), np.float32), np.zeros((0, 0), np.float32))
    features, answers = zip(*moments, strict=True)
    return Moments(np.stack(features).astype(np.float32), np.stack(answers))
