"""The paper's linking written plainly, in the manner of the release: a loop over classes, a loop over tubes.

It is what `TubeLinker` is tested and timed against. It takes pairs that follow each other end to start, links each
class by itself, and knows neither states nor time; what it shares with the real one are the options, nothing else.
"""

from __future__ import annotations

import numpy as np

from amtnet_ros.contracts import Float32, MicroTubes
from amtnet_ros.tubes.options import LinkerOptions


class PlainTube:
    """One tube: for each frame its box (4,) and score, all of them from the beginning."""

    def __init__(self, number: int, label: int, first_frame: int) -> None:
        self.number = number
        self.label = label
        self.first_frame = first_frame
        self.boxes: list[Float32] = []
        self.scores: list[float] = []
        self.seen_scores: list[float] = []
        self.misses = 0

    def grow(self, boxes: Float32, score: float, frames: tuple[int, int]) -> None:
        """Append a micro-tube, with the frames between and those that were missed."""
        last = self.first_frame + len(self.boxes) - 1
        if last < frames[0]:
            self._fill(boxes[0], score, frames[0])
        self._fill(boxes[1], score, frames[1])
        self.seen_scores.append(score)
        self.misses = 0

    def _fill(self, box: Float32, score: float, frame: int) -> None:
        if not self.boxes:
            self.boxes.append(box)
            self.scores.append(score)
            return
        last = self.first_frame + len(self.boxes) - 1
        from_box, from_score = self.boxes[-1], self.scores[-1]
        for at in range(last + 1, frame + 1):
            weight = (at - last) / (frame - last)
            self.boxes.append((from_box + (box - from_box) * weight).astype(np.float32))
            self.scores.append(from_score + (score - from_score) * weight)

    def strength(self, best: int) -> float:
        return float(np.mean(sorted(self.seen_scores)[-best:]))


class PlainLinker:
    """Feed it pairs with `update`; `live` and `over` hold the tubes."""

    def __init__(self, n_classes: int, options: LinkerOptions) -> None:
        self.n_classes = n_classes
        self.options = options
        self.live: list[list[PlainTube]] = [[] for _ in range(n_classes)]
        self.over: list[PlainTube] = []
        self.started = 0

    def update(self, micro_tubes: MicroTubes) -> None:
        for label in range(self.n_classes):
            boxes, scores = self._select(micro_tubes, label)
            free = list(range(len(scores)))
            tubes = sorted(self.live[label], key=lambda tube: -tube.strength(self.options.top_scores))
            for tube in tubes:
                chosen = self._choose(tube, boxes, scores, free)
                if chosen is None:
                    tube.misses += 1
                else:
                    free.remove(chosen)
                    tube.grow(boxes[chosen], float(scores[chosen]), micro_tubes.frames)
            self.over += [tube for tube in tubes if tube.misses >= self.options.max_misses]
            self.live[label] = [tube for tube in self.live[label] if tube.misses < self.options.max_misses]
            for row in free:
                if scores[row] < self.options.start_score:
                    continue
                self.started += 1
                tube = PlainTube(self.started, label, micro_tubes.frames[0])
                tube.grow(boxes[row], float(scores[row]), micro_tubes.frames)
                self.live[label].append(tube)

    def _select(self, micro_tubes: MicroTubes, label: int) -> tuple[Float32, Float32]:
        """Boxes (n, 2, 4) and scores (n,) of a class: above the threshold, after NMS, the best few."""
        rows = np.flatnonzero((micro_tubes.labels == label) & (micro_tubes.scores >= self.options.score_threshold))
        rows = rows[np.argsort(-micro_tubes.scores[rows], kind="stable")]
        kept: list[int] = []
        for row in rows.tolist():
            overlaps = overlap(micro_tubes.boxes[row, 0], micro_tubes.boxes[kept, 0])
            if not (overlaps > self.options.nms_iou).any():
                kept.append(row)
        kept = kept[: self.options.per_class_limit]
        return micro_tubes.boxes[kept], micro_tubes.scores[kept]

    def _choose(self, tube: PlainTube, boxes: Float32, scores: Float32, free: list[int]) -> int | None:
        """Of the micro-tubes still free that overlap the tube's last box, the one with the highest score."""
        near = overlap(tube.boxes[-1], boxes[free, 0]) >= self.options.iou_threshold
        rows = [row for row, is_near in zip(free, near.tolist(), strict=True) if is_near]
        return max(rows, key=lambda row: float(scores[row]), default=None)


def overlap(box: Float32, boxes: Float32) -> Float32:
    """IoU of a box (4,) with boxes (n, 4)."""
    corner, far = np.maximum(box[:2], boxes[:, :2]), np.minimum(box[2:], boxes[:, 2:])
    common = np.prod(np.maximum(far - corner, 0), axis=1)
    areas = np.prod(boxes[:, 2:] - boxes[:, :2], axis=1)
    result: Float32 = common / (areas + np.prod(box[2:] - box[:2]) - common)
    return result
