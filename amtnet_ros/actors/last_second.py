"""The two-stream network's class scores of a tube's last second, out of their means over its whole life."""

from __future__ import annotations

from collections import deque

import numpy as np

from amtnet_ros.actors.crops import SECOND
from amtnet_ros.contracts import Float32


class LastSecond:
    """Of one tube: fed with its class scores after each micro-tube, it knows their mean over the last second."""

    def __init__(self) -> None:
        self._sums: deque[tuple[int, int, np.ndarray]] = deque()  # stamp, micro-tubes up to then, sum of their scores

    def add(self, stamp: int, mean: Float32) -> Float32:
        """mean: (C,) over all micro-tubes so far; what came with a stamp that is known already changes nothing.

        Returns (C,), the mean over those of the second that ends with the newest stamp.
        """
        if not self._sums:
            self._sums.append((stamp - SECOND, 0, np.zeros(len(mean))))
        if stamp > self._sums[-1][0]:
            count = self._sums[-1][1] + 1
            self._sums.append((stamp, count, mean.astype(np.float64) * count))
        newest = self._sums[-1]
        while self._sums[1][0] <= newest[0] - SECOND:
            self._sums.popleft()
        oldest = self._sums[0]
        recent = (newest[2] - oldest[2]) / (newest[1] - oldest[1])
        return np.asarray(np.maximum(recent, 0), dtype=np.float32)
