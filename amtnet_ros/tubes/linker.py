"""Micro-tubes in, action tubes out, one pair of frames after another.

Sources: Saha, Singh, Cuzzolin, "Two-Stream AMTnet for Action Detection", §3.2; Singh et al., "Online Real-time Multiple
Spatiotemporal Action Localisation and Prediction", ICCV 2017, §3.4. What they leave open is an option.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import asdict, dataclass
from functools import partial
from typing import Any, cast

import numpy as np

from amtnet_ros.boxes import overlaps
from amtnet_ros.contracts import Bool, Float32, Int64, MicroTubes, Tube, TubeState, TubeUpdate
from amtnet_ros.tubes.interpolation import NO_BOXES, Track, interpolate
from amtnet_ros.tubes.live import LiveTubes
from amtnet_ros.tubes.matching import match
from amtnet_ros.tubes.options import LinkerOptions
from amtnet_ros.tubes.selection import Candidates, select

SECOND = 1_000_000_000

_new_tube = cast(Callable[[tuple[Any, ...]], Tube], partial(tuple.__new__, Tube))
"""A row of fields → Tube; twice as fast as to call Tube, and a crowd makes a hundred an update."""


@dataclass(frozen=True)
class LinkerCounters:
    """What happened since the linker was made; for diagnostics.

    started, ended: tubes.
    dropped: tubes that ended, and micro-tubes that started none, because of `max_tubes`.
    refused: micro-tubes with a NaN or an infinity, or outside the image.
    late: frames ignored because they are not newer than the newest, duplicates included.
    restarts: times that the stream began anew (a jump back, another resolution or frame numbering).
    timed_out: tubes that ended because of `max_frame_gap`.
    """

    started: int = 0
    ended: int = 0
    dropped: int = 0
    refused: int = 0
    late: int = 0
    restarts: int = 0
    timed_out: int = 0


class TubeLinker:
    """Links the micro-tubes of successive pairs of frames into action tubes, online.

    Pairs may follow each other end to start (t, t+Δ), (t+Δ, t+2Δ), leave frames out, or overlap; Δ may change.
    Memory holds one row a live tube, so neither it nor the time of an update grows with the length of the stream.
    The result does not depend on the order of the micro-tubes within a pair.

        linker = TubeLinker(n_classes=len(engine.card.actions))
        update = linker.update(engine.detect(first, second, Selection()), delta=1)
        print([(tube.id, tube.label, tube.score) for tube in update.tubes])
    """

    def __init__(self, n_classes: int, options: LinkerOptions | None = None) -> None:
        """n_classes: C, action classes without the background."""
        if n_classes < 1:
            raise ValueError(f"{n_classes} classes: a linker needs at least one")
        self.n_classes = n_classes
        self._options = options or LinkerOptions()
        self._live = LiveTubes.blank(0, n_classes, self._options)
        self._next_id = 1
        self._ended: list[Tube] = []
        self._counts = asdict(LinkerCounters())
        self._started = False
        self._frame, self._stamp, self._image_size = -1, 0, (0, 0)

    @property
    def options(self) -> LinkerOptions:
        """May be set between any two updates. A change of `mode` ends all tubes, since their labels change meaning."""
        return self._options

    @options.setter
    def options(self, options: LinkerOptions) -> None:
        if options.mode != self._options.mode:
            self._end_all()
        self._options = options
        self._live.resize_memory(options)

    @property
    def counters(self) -> LinkerCounters:
        return LinkerCounters(**self._counts)

    def update(self, micro_tubes: MicroTubes, delta: int) -> TubeUpdate:
        """Link the micro-tubes of one pair of frames; where there are none, the live tubes are missed once more.

        delta: distance of the pair in frames at the model's nominal rate (reported, nothing else).

        A pair whose second frame is not newer than the newest so far is late and changes nothing, unless it is older by
        `reset_jump` or more; then, or when the image size or the frame numbering changes, all tubes end and new ones
        begin. Raises ValueError for arrays that do not fit together.
        """
        self._check(micro_tubes)
        if not self._advance(micro_tubes.frames[1], micro_tubes.stamps[1], micro_tubes.image_size):
            return self._report(delta)
        self._time_out(micro_tubes.stamps[0])
        options = self._options
        candidates, refused = select(micro_tubes, options)
        self._counts["refused"] += refused
        rows, chosen = match(self._live, micro_tubes.frames[0], candidates, options)
        tracks = self._follow(rows, candidates.take(chosen), micro_tubes)
        tracks = self._miss(rows, tracks)
        free = candidates.scores >= options.start_score
        free[chosen] = False
        if options.mode == "actor" and options.start_overlap < options.nms_iou:
            free &= ~_on(candidates, chosen, options.start_overlap)
        tracks = self._start(candidates.take(np.flatnonzero(free)), micro_tubes, tracks)
        return self._report(delta, tracks)

    def skip(self, frame: int, stamp: int, image_size: tuple[int, int], delta: int) -> TubeUpdate:
        """A frame with which no pair could be made: time passes, no tube is missed.

        Tubes not seen for longer than `max_frame_gap` end; late frames, jumps and changes of size are as in `update`.
        """
        if self._advance(frame, stamp, image_size):
            self._time_out(stamp)
        return self._report(delta)

    def end(self, delta: int = 0) -> TubeUpdate:
        """End all tubes (end of the stream, reset). The next pair may have any frame number, stamp and size."""
        self._end_all()
        self._started = False
        return self._report(delta)

    def _check(self, pair: MicroTubes) -> None:
        n, labels = len(pair), pair.labels
        shapes = (pair.boxes.shape, labels.shape, pair.class_scores.shape)
        if shapes != ((n, 2, 4), (n,), (n, self.n_classes)):
            raise ValueError(f"{n} micro-tubes of {self.n_classes} classes: boxes, labels, class_scores are {shapes}")
        if n and labels.view(np.uint64).max() >= self.n_classes:  # a negative one is huge
            raise ValueError(f"{self.n_classes} classes, but labels from {labels.min()} to {labels.max()}")
        (f0, f1), (s0, s1) = pair.frames, pair.stamps
        if f1 <= f0 or s1 <= s0:
            raise ValueError(f"the second frame of a pair must be the later: frames {f0}, {f1}; stamps {s0}, {s1}")

    def _advance(self, frame: int, stamp: int, image_size: tuple[int, int]) -> bool:
        """Go to this frame; false if it is late. Ends all tubes where the stream begins anew."""
        if self._started:
            looped = self._stamp - stamp >= max(1, self._options.reset_jump * SECOND)
            if stamp <= self._stamp and not looped:
                self._counts["late"] += 1
                return False
            if looped or frame <= self._frame or image_size != self._image_size:
                self._counts["restarts"] += 1
                self._end_all()
        self._started = True
        self._frame, self._stamp, self._image_size = frame, stamp, image_size
        return True

    def _time_out(self, now: int) -> None:
        late = now - self._live.stamp > self._options.max_frame_gap * SECOND
        if late.any():
            self._counts["timed_out"] += int(late.sum())
            self._end(late, [NO_BOXES] * len(self._live))

    def _follow(self, rows: Int64, taken: Candidates, pair: MicroTubes) -> list[Track]:
        """Extend the tubes `rows` by the micro-tubes they took. Returns the new boxes of every live tube."""
        live, options = self._live, self._options
        tracks = [NO_BOXES] * len(live)
        frames, stamps = live.frame.take(rows), live.stamp.take(rows)
        boxes, old_scores = live.box.take(rows, axis=0), live.score.take(rows)
        scores = live.see(rows, taken, pair.stamps[1], options)
        # tubes that were last seen in the same frame, nearly always all of them, share frames and weights
        groups = set(frames.tolist())
        if len(groups) == 1:
            new = self._extend(rows, (int(frames[0]), int(stamps[0]), boxes, old_scores), taken.boxes, scores, pair)
            for row, track in zip(rows.tolist(), new, strict=True):
                tracks[row] = track
            return tracks
        for frame in groups:
            group = np.flatnonzero(frames == frame)
            last = (frame, int(stamps[group[0]]), boxes.take(group, axis=0), old_scores.take(group))
            new = self._extend(rows.take(group), last, taken.boxes.take(group, axis=0), scores.take(group), pair)
            for row, track in zip(rows.take(group).tolist(), new, strict=True):
                tracks[row] = track
        return tracks

    def _extend(
        self, rows: Int64, last: tuple[int, int, Float32, Float32], boxes: Float32, scores: Float32, pair: MicroTubes
    ) -> list[Track]:
        """Move M tubes from where they were last seen, in one frame, to the second boxes of their micro-tubes.

        last: that frame, its stamp, the boxes (M, 4) and the scores (M,); boxes: (M, 2, 4); scores: (M,).
        """
        frame, stamp, box, score = last
        (f0, f1), (s0, s1) = pair.frames, pair.stamps
        begin = frame + 1
        if frame == f0 and self._options.shared_box != "old":
            share = np.float32(1 if self._options.shared_box == "new" else 0.5)
            box, score = box + share * (boxes[:, 0] - box), score + share * (scores - score)
            begin -= self._options.revise
        seen = [(frame, stamp, box, score), (f1, s1, boxes[:, 1], scores)]
        if frame < f0 and stamp < s0:
            seen.insert(1, (f0, s0, boxes[:, 0], scores))
        at, stamps, seen_boxes, seen_scores = zip(*seen, strict=True)
        all_boxes = np.stack(seen_boxes, axis=1)
        self._live.move(rows, (at[-2], f1), s1, all_boxes[:, -2:], (s1 - stamp) / SECOND, self._options)
        begin = max(begin, f1 + 1 - self._options.history_limit)
        return interpolate(
            at, stamps, all_boxes, np.stack(seen_scores, axis=1), begin, self._options.interpolated_score
        )

    def _miss(self, seen: Int64, tracks: list[Track]) -> list[Track]:
        """Age the tubes that took no micro-tube, and end those that were missed too often."""
        live, options = self._live, self._options
        missed = np.ones(len(live), np.bool_)
        missed[seen] = False
        live.misses[missed] += 1
        patience = np.where(live.confirmed, options.max_misses, min(options.max_misses, options.tentative_misses))
        over = live.misses >= patience
        if options.min_coasting:
            over &= ~live.confirmed | (self._stamp - live.stamp >= options.min_coasting * SECOND)
        return self._end(over, tracks)

    def _start(self, candidates: Candidates, pair: MicroTubes, tracks: list[Track]) -> list[Track]:
        """Begin tubes with these micro-tubes, as far as `max_tubes` lets; the weakest of all tubes, old and new, go."""
        live, options = self._live, self._options
        excess = len(live) + len(candidates) - options.max_tubes
        if excess > 0:
            strengths = np.concatenate([live.strength, candidates.scores])
            weakest = np.zeros(len(strengths), np.bool_)
            weakest[np.argsort(-strengths, kind="stable")[options.max_tubes :]] = True
            candidates = candidates.take(np.flatnonzero(~weakest[len(live) :]))
            self._counts["dropped"] += excess
            tracks = self._end(weakest[: len(live)], tracks)
        if len(candidates) == 0:
            return tracks
        new = LiveTubes.blank(len(candidates), self.n_classes, options)
        new.id += self._next_id + np.arange(len(candidates))
        new.label, new.start_stamp = candidates.labels, new.start_stamp + pair.stamps[0]
        self._next_id += len(candidates)
        self._counts["started"] += len(candidates)
        rows = np.arange(len(candidates))
        scores = new.see(rows, candidates, pair.stamps[1], options)
        seconds = (pair.stamps[1] - pair.stamps[0]) / SECOND
        new.move(rows, pair.frames, pair.stamps[1], candidates.boxes, seconds, options)
        self._live = self._live.joined(new)
        begin = max(pair.frames[0], pair.frames[1] + 1 - options.history_limit)
        both = np.stack([scores, scores], axis=1)
        return tracks + interpolate(pair.frames, pair.stamps, candidates.boxes, both, begin, options.interpolated_score)

    def _end_all(self) -> None:
        self._end(np.ones(len(self._live), np.bool_), [NO_BOXES] * len(self._live))

    def _end(self, over: Bool, tracks: list[Track]) -> list[Track]:
        """End tubes, to be reported with the next report. Returns the tracks of those that live on."""
        if not over.any():
            return tracks
        gone, rest = np.flatnonzero(over), np.flatnonzero(~over)
        states = [TubeState.ENDED] * len(gone)
        self._ended += _tubes(self._live.part(gone), states, [tracks[row] for row in gone.tolist()])
        self._counts["ended"] += len(gone)
        self._live = self._live.part(rest)
        return [tracks[row] for row in rest.tolist()]

    def _report(self, delta: int, tracks: list[Track] | None = None) -> TubeUpdate:
        """The live tubes with their new boxes, and those ended since the last report."""
        tubes = _tubes(self._live, self._live.states(), tracks or [NO_BOXES] * len(self._live))
        if self._ended:
            tubes = sorted(self._ended + tubes, key=lambda tube: tube.id)
            self._ended = []
        return TubeUpdate(self._frame, self._stamp, self._image_size, delta, tuple(tubes))


def _on(candidates: Candidates, taken: Int64, most: float) -> Bool:
    """Which micro-tubes overlap one that was taken by more than `most` (IoU), in the first frame."""
    boxes = np.ascontiguousarray(candidates.boxes[:, 0].T)
    _, on, overlap = overlaps(boxes.take(taken, axis=1), boxes)
    covered = np.zeros(len(candidates), np.bool_)
    covered[on[overlap > most]] = True
    return covered


def _tubes(live: LiveTubes, states: list[TubeState], tracks: list[Track]) -> list[Tube]:
    if not tracks:
        return []
    class_scores = live.class_scores.copy()
    class_scores.flags.writeable = False
    own_scores = class_scores[np.arange(len(live)), live.label]
    rows = zip(
        live.id.tolist(),
        states,
        live.label.tolist(),
        own_scores.tolist(),
        class_scores,
        live.start_stamp.tolist(),
        live.stamp.tolist(),
        *zip(*tracks, strict=True),
        strict=True,
    )
    return list(map(_new_tube, rows))
