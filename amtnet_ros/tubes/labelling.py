"""When the action starts and ends inside a tube.

Each frame of a tube is in the action or not. The labelling l is the one that maximises

    sum over frames of (s if l else 1 - s)  -  switch_cost * (number of changes of l)

with s the score of the tube's class (Singh et al., ICCV 2017, §3.4). Of the two states' best sums only the difference d
matters, and it obeys

    d <- clip(d, -switch_cost, switch_cost) + 2 s - 1

where a clipped d means that the better path into the poorer state comes from the other one. So a frame costs a few
operations, and both paths fit into two integers, a bit a frame.
"""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np

from amtnet_ros.contracts import Bool, Float32, Tube, TubeState, TubeUpdate

SWITCH_COST = 3.0
"""That of the release (which also tried 5)."""


class RunningLabeller:
    """The labelling of one tube while it grows. Frames older than the look-back keep the label they had last.

    A look-back of at least the tube's length gives the offline labelling exactly, after each frame.
    """

    def __init__(self, switch_cost: float = SWITCH_COST, look_back: int = 64) -> None:
        """switch_cost: at least 0. look_back: frames whose labels may still change, at least 1."""
        if not switch_cost >= 0 or look_back < 1:
            raise ValueError(f"switch cost {switch_cost} must be at least 0, look-back {look_back} at least 1")
        self.switch_cost = switch_cost
        self.look_back = look_back
        self._lead = 0.0  # of "in the action" over "not in the action"
        self._paths = (0, 0)  # best labelling that ends in not / in the action: newest frame in the lowest bit
        self._open = 0

    @property
    def in_action(self) -> bool:
        """The label of the newest frame; false before the first."""
        return self._lead > 0

    def add(self, scores: Iterable[float]) -> Bool:
        """Take in the scores (0..1) of the next frames; returns the labels that became final, oldest first."""
        final = []
        mask = (1 << self.look_back) - 1
        for score in scores:
            outside, inside = self._paths
            if self._lead > self.switch_cost:
                outside = inside
            elif self._lead < -self.switch_cost:
                inside = outside
            self._lead = min(max(self._lead, -self.switch_cost), self.switch_cost) + 2.0 * float(score) - 1.0
            self._paths = outside << 1, inside << 1 | 1
            self._open += 1
            if self._open > self.look_back:
                final.append(bool(self._paths[self.in_action] >> self.look_back))
                self._paths = self._paths[0] & mask, self._paths[1] & mask
                self._open -= 1
        return np.array(final, np.bool_)

    def labels(self) -> Bool:
        """(K,) labels of the newest frames, oldest first, as they look now; K is the look-back or less."""
        path = self._paths[self.in_action]
        return np.array([path >> age & 1 for age in range(self._open - 1, -1, -1)], np.bool_)


class TubeLabeller:
    """A running labeller for each live tube, fed by the linker's updates."""

    def __init__(self, switch_cost: float = SWITCH_COST, look_back: int = 64) -> None:
        self.switch_cost = switch_cost
        self.look_back = look_back
        self._tubes: dict[int, tuple[RunningLabeller, int]] = {}

    def add(self, update: TubeUpdate) -> dict[int, bool]:
        """Take in one update; says for each of its tubes, by id, whether it is in its action now."""
        now = {}
        for tube in update.tubes:
            labeller, done = self._tubes.get(tube.id) or (RunningLabeller(self.switch_cost, self.look_back), -1)
            if len(tube.stamps):
                # a frame that is sent again with a revised box keeps its first score
                labeller.add(tube.scores[tube.stamps > done].tolist())
                done = int(tube.stamps[-1])
            now[tube.id] = labeller.in_action
            if tube.state == TubeState.ENDED:
                self._tubes.pop(tube.id, None)
            else:
                self._tubes[tube.id] = labeller, done
        return now


def label_frames(scores: Float32, switch_cost: float = SWITCH_COST) -> Bool:
    """(K,) which frames of a whole tube are in the action, from the scores (K,) of its class."""
    labeller = RunningLabeller(switch_cost, max(len(scores), 1))
    labeller.add(scores.tolist())
    return labeller.labels()


def trim(tube: Tube, switch_cost: float = SWITCH_COST, min_frames: int = 9, best: int = 40) -> list[Tube]:
    """The parts of a whole tube that are in the action, for evaluation on untrimmed video.

    min_frames: shorter parts are dropped (the release keeps those longer than 8 frames).
    best: how many box scores the score of a part is the mean of, the highest.
    """
    labels = np.concatenate([[False], label_frames(tube.scores, switch_cost), [False]])
    changes = np.flatnonzero(labels[1:] != labels[:-1])
    parts = []
    for begin, end in zip(changes[::2].tolist(), changes[1::2].tolist(), strict=True):
        if end - begin < min_frames:
            continue
        part = _cut(tube, slice(begin, end))
        first, last = part.stamps[[0, -1]].tolist()
        parts.append(part._replace(score=best_mean(part.scores, best), start_stamp=first, last_stamp=last))
    return parts


def _cut(tube: Tube, part: slice) -> Tube:
    """The tube with only this part of its boxes."""
    return tube._replace(
        frames=tube.frames[part],
        stamps=tube.stamps[part],
        boxes=tube.boxes[part],
        scores=tube.scores[part],
        interpolated=tube.interpolated[part],
    )


def best_mean(scores: Float32, best: int = 40) -> float:
    """Mean of the `best` highest scores, or of all if they are fewer."""
    return float(np.sort(scores)[-best:].mean())
