"""Pairs of images between which there is no flow to find: a cut, a flash."""

from __future__ import annotations

import numpy as np

from amtnet_ros.contracts import Float32, UInt8
from amtnet_ros.flow.contract import FlowEngine, check_pair, to_grey, to_working_size
from amtnet_ros.stream.cuts import LEAST_CORRELATION

# Of 4859 consecutive frames of J-HMDB clips none jumps by more than 14 grey levels.
LARGEST_JUMP = 25.0
_THUMBNAIL = (32, 24)


class GuardedFlow:
    """An engine that answers "no motion" between images that do not continue one another; see FlowEngine.

    Any flow method matches whatever it is given: after a cut or under a flash, the result is long vectors everywhere.
    """

    def __init__(self, engine: FlowEngine) -> None:
        self.engine = engine
        self.name = engine.name
        self.working_size = engine.working_size

    def __call__(self, previous: UInt8, current: UInt8) -> Float32:
        check_pair(previous, current)
        first, second = (to_working_size(image, self.working_size) for image in (previous, current))
        if is_disrupted(first, second):
            return np.zeros((*first.shape[:2], 2), np.float32)
        return self.engine(first, second)

    def batch(self, previous: UInt8, current: UInt8) -> Float32:
        check_pair(previous, current, ndim=4)
        first, second = (np.stack([to_working_size(i, self.working_size) for i in x]) for x in (previous, current))
        flow = self.engine.batch(first, second)
        flow[[is_disrupted(a, b) for a, b in zip(first, second, strict=True)]] = 0
        return flow


def is_disrupted(previous: UInt8, current: UInt8) -> bool:
    """Whether `current` does not continue `previous`, both (H, W, 3) uint8: the view or the light changed at once."""
    a, b = (to_grey(image, _THUMBNAIL).astype(np.float32) for image in (previous, current))
    return bool(abs(a.mean() - b.mean()) > LARGEST_JUMP) or _correlation(a, b) < LEAST_CORRELATION


def _correlation(a: Float32, b: Float32) -> float:
    """Pearson's; 1 for two images without any contrast."""
    a, b = a - a.mean(), b - b.mean()
    contrast = float(np.linalg.norm(a) * np.linalg.norm(b))
    return float((a * b).sum()) / contrast if contrast > 0 else 1.0
