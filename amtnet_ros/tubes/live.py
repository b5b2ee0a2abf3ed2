"""The live tubes as one table: a row a tube, so that an update is a handful of array operations."""

from __future__ import annotations

from dataclasses import dataclass, fields

import numpy as np
from numpy.typing import NDArray

from amtnet_ros.contracts import Bool, Float32, Int64, TubeState
from amtnet_ros.tubes.options import LinkerOptions
from amtnet_ros.tubes.selection import Candidates

STATES = tuple(TubeState)
_TENTATIVE, _ACTIVE, _COASTING = (
    np.int64(state) for state in (TubeState.TENTATIVE, TubeState.ACTIVE, TubeState.COASTING)
)


@dataclass
class LiveTubes:
    """What is known of T live tubes; an array a column, rows by ascending id.

    id, label: (T,) int64. score: (T,) float32, of the label in the newest micro-tube.
    class_scores: (T, C) float32, mean over the micro-tubes (see the option `class_memory`). weight: (T,) float64, how
        many micro-tubes as of now that mean is worth.
    hits, misses: (T,) int64; micro-tubes taken in all; pairs without one, in a row. confirmed: (T,) has been ACTIVE.
    start_stamp: (T,) int64, of the first box seen. frame, stamp (T,) int64 and box (T, 4): of the newest box seen.
    before_frame (T,), before_box (T, 4): of the box before that one, to know where the tube stood between the two.
    velocity: (T, 2) float32, of the centre, pixels a frame (see the option `motion`).
    recent: (T, W) float32, the scores that make up `strength`, 0 where there are fewer.
    strength: (T,) float32, mean of the best few scores: who chooses first, and who must go first.
    """

    id: Int64
    label: Int64
    score: Float32
    class_scores: Float32
    weight: NDArray[np.float64]
    hits: Int64
    misses: Int64
    confirmed: Bool
    start_stamp: Int64
    frame: Int64
    stamp: Int64
    box: Float32
    before_frame: Int64
    before_box: Float32
    velocity: Float32
    recent: Float32
    strength: Float32

    @classmethod
    def blank(cls, n: int, n_classes: int, options: LinkerOptions) -> LiveTubes:
        """`n` rows of zeros."""
        number, real = np.int64, np.float32
        return cls(
            id=np.zeros(n, number),
            label=np.zeros(n, number),
            score=np.zeros(n, real),
            class_scores=np.zeros((n, n_classes), real),
            weight=np.zeros(n, np.float64),
            hits=np.zeros(n, number),
            misses=np.zeros(n, number),
            confirmed=np.zeros(n, np.bool_),
            start_stamp=np.zeros(n, number),
            frame=np.zeros(n, number),
            stamp=np.zeros(n, number),
            box=np.zeros((n, 4), real),
            before_frame=np.zeros(n, number),
            before_box=np.zeros((n, 4), real),
            velocity=np.zeros((n, 2), real),
            recent=np.zeros((n, max(options.top_scores, options.score_window)), real),
            strength=np.zeros(n, real),
        )

    def __len__(self) -> int:
        return len(self.id)

    def resize_memory(self, options: LinkerOptions) -> None:
        """Make room for as many recent scores as the options want; the best stay known."""
        old = -np.sort(-self.recent, axis=1)
        self.recent = np.zeros((len(self), max(options.top_scores, options.score_window)), np.float32)
        width = min(old.shape[1], self.recent.shape[1])
        self.recent[:, :width] = old[:, :width]

    def part(self, rows: Int64) -> LiveTubes:
        """Only these rows; a copy."""
        return LiveTubes(*(getattr(self, column).take(rows, axis=0) for column in COLUMNS))

    def joined(self, new: LiveTubes) -> LiveTubes:
        """These rows and the new ones."""
        return LiveTubes(*(np.concatenate([getattr(self, column), getattr(new, column)]) for column in COLUMNS))

    def boxes_at(self, frame: int) -> Float32:
        """(T, 4) where each tube stood in `frame`: between its newest two boxes, or moved on from its newest."""
        ahead = self.frame - frame
        if not ahead.any():
            return self.box
        back = np.clip(ahead / (self.frame - self.before_frame), 0, 1).astype(np.float32)
        moved = np.maximum(-ahead, 0).astype(np.float32)[:, None] * self.velocity
        return self.box + back[:, None] * (self.before_box - self.box) + np.tile(moved, 2)

    def see(self, rows: Int64, taken: Candidates, stamp: int, options: LinkerOptions) -> Float32:
        """The tubes `rows` take these micro-tubes, one each; returns each tube's label's score in its micro-tube.

        stamp: nanoseconds, of the micro-tubes' second boxes.
        """
        each = np.arange(len(rows))
        hits = self.hits.take(rows) + 1
        self.hits[rows] = hits
        self.misses[rows] = 0

        weight = self.weight.take(rows)
        if options.class_memory:
            weight *= np.exp((self.stamp.take(rows) - stamp) / (options.class_memory * 1e9))
        weight += 1
        self.weight[rows] = weight
        class_scores = self.class_scores.take(rows, axis=0)
        class_scores += (taken.class_scores - class_scores) / weight.astype(np.float32)[:, None]
        self.class_scores[rows] = class_scores

        label, scores = self.label.take(rows), taken.scores
        if options.mode == "actor":
            best = class_scores.argmax(axis=1)
            leads = class_scores[each, best] > class_scores[each, label] + options.label_margin
            label = np.where(leads, best, label)
            self.label[rows] = label
            scores = taken.class_scores[each, label]
        self.score[rows] = scores
        lasted = stamp - self.start_stamp.take(rows) >= options.confirm_time * 1e9
        strong = class_scores[each, label] >= options.confirm_score
        self.confirmed[rows] |= (hits >= options.confirm_after) & lasted & strong

        recent = self.recent.take(rows, axis=0)
        if options.score_window:
            recent[each, (hits - 1) % options.score_window] = taken.scores
        else:
            worst = recent.argmin(axis=1)
            recent[each, worst] = np.maximum(recent[each, worst], taken.scores)
        self.recent[rows] = recent
        if recent.shape[1] > options.top_scores:
            recent = np.sort(recent, axis=1)[:, -options.top_scores :]
        self.strength[rows] = recent.sum(axis=1) / np.minimum(hits, recent.shape[1])
        return scores

    def move(
        self, rows: Int64, frames: tuple[int, int], stamp: int, boxes: Float32, seconds: float, options: LinkerOptions
    ) -> None:
        """The newest two boxes of the tubes `rows`: frames of both, stamp of the newer, boxes (M, 2, 4).

        seconds: since the tubes were last seen.
        """
        if options.motion:
            way = boxes[:, 1] - boxes[:, 0]
            newest = (way[:, :2] + way[:, 2:]) / np.float32(2 * (frames[1] - frames[0]))
            share = np.float32(1 - np.exp(-seconds / options.motion))
            self.velocity[rows] += share * (newest - self.velocity.take(rows, axis=0))
        self.before_frame[rows], self.frame[rows] = frames
        self.stamp[rows] = stamp
        self.before_box[rows], self.box[rows] = boxes[:, 0], boxes[:, 1]

    def states(self) -> list[TubeState]:
        confirmed = np.where(self.misses > 0, _COASTING, _ACTIVE)
        return [STATES[state] for state in np.where(self.confirmed, confirmed, _TENTATIVE).tolist()]


COLUMNS = tuple(field.name for field in fields(LiveTubes))
