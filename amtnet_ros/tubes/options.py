"""What the linker can be told; every decision the paper leaves open is one of these."""

from __future__ import annotations

from dataclasses import dataclass, fields
from typing import Any

from amtnet_ros.errors import UserError

CHOICES: dict[str, tuple[str, ...]] = {
    "mode": ("per_class", "actor"),
    "match": ("score", "iou", "similarity", "both"),
    "assignment": ("greedy", "optimal"),
    "shared_box": ("old", "new", "mean"),
    "interpolated_score": ("linear", "next", "lower", "zero"),
}

# option → (smallest, largest) legal value
RANGES: dict[str, tuple[float, float]] = {
    "score_threshold": (0.0, 1.0),
    "start_score": (0.0, 1.0),
    "nms_iou": (0.0, 1.0),
    "max_candidates": (1, 10_000),
    "per_class_limit": (1, 1_000),
    "actor_limit": (1, 1_000),
    "iou_threshold": (0.0, 1.0),
    "lost_iou_threshold": (0.0, 1.0),
    "top_scores": (1, 64),
    "score_window": (0, 256),
    "max_misses": (1, 1_000),
    "tentative_misses": (1, 1_000),
    "min_coasting": (0.0, 3_600.0),
    "max_frame_gap": (0.0, 86_400.0),
    "reset_jump": (0.0, 86_400.0),
    "confirm_after": (1, 1_000),
    "confirm_score": (0.0, 1.0),
    "class_memory": (0, 1_000_000),
    "label_margin": (0.0, 1.0),
    "max_tubes": (1, 100_000),
    "history_limit": (1, 1_000_000),
}


@dataclass(frozen=True)
class LinkerOptions:
    """Options of :class:`~amtnet_ros.tubes.TubeLinker`; docs/tubes.md gives the measurements behind the defaults.

    Raises UserError for a value of the wrong type or out of range.

    Which micro-tubes are used, in this order:
        mode: ``per_class`` links each class by itself, as the paper does: a person with two likely labels is two tubes.
            ``actor`` links people whatever their label: one person is one tube, which keeps its class scores as a
            distribution; its label is the likeliest class.
        score_threshold: micro-tubes below it are ignored.
        max_candidates: only so many of the best are looked at (of each class; in ``actor`` mode, in all). Bounds time.
        nms_iou: a micro-tube whose first box overlaps that of a better one by more than this is dropped; 1 switches it
            off. Within a class; in ``actor`` mode across classes.
        per_class_limit: the best so many of each class are linked (``per_class`` mode).
        actor_limit: the best so many in all are linked (``actor`` mode).
        start_score: a micro-tube below it may continue a tube, but starts none.

    Which tube takes which micro-tube:
        iou_threshold: the least overlap of a tube's box with the micro-tube's first box, in the same frame; where they
            do not overlap at all there is no match.
        lost_iou_threshold: the same for a tube whose newest box is older than that frame, because it was missed or
            frames were lost: it has moved since.
        match: what a tube prefers among them: the highest ``score``, ``iou``, score ``similarity`` (one minus the
            difference of the tube's last score and the micro-tube's), or ``both`` (score times IoU).
        assignment: ``greedy``: tubes choose one after another, the strongest first; ``optimal``: the assignment with
            the greatest sum of `match` over all pairs (needs SciPy).
        top_scores: a tube's strength is the mean of its best so many scores.
        score_window: … of its newest so many micro-tubes; 0 looks back over the whole tube.

    Boxes and scores:
        shared_box: where the boxes between two frames begin, in the frame that two micro-tubes of a tube share: at the
            box of the ``old`` one, of the ``new`` one, or at their ``mean``.
        revise: report that frame again, with that box (if not the ``old`` one); else what was reported stands.
        interpolated_score: the score of a box between two that were seen: ``linear`` between theirs, the ``next``
            one's, the ``lower`` of the two, or ``zero``.
        class_memory: the tube's class scores are the mean over its first so many micro-tubes and decay exponentially
            with that time constant from there on; 0 is the mean over the whole tube.
        label_margin: ``actor`` mode: the label changes only to a class that leads by more than this.

    Life:
        confirm_after: a tube stays TENTATIVE until seen in so many pairs …
        confirm_score: … and until its score has reached this. It stays confirmed when its score falls.
        max_misses: a tube missed so many times in a row ends.
        tentative_misses: the same while it is TENTATIVE (the smaller of the two counts).
        min_coasting: seconds; a confirmed tube does not end by misses before its newest seen box is so old. Without it,
            patience would shrink with delta: at delta 1 three misses are a tenth of a second.
        max_frame_gap: seconds; a tube whose newest seen box is older than this when a pair begins, ends.
        reset_jump: seconds; a pair that is older than the newest by less is late, and ignored; one that is older by
            more is a new start (a bag that loops): all tubes end.

    Bounds:
        max_tubes: live tubes; the weakest end first.
        history_limit: boxes of a tube in one update; when more frames lie between two sightings, only the newest so
            many get a box.
    """

    mode: str = "per_class"
    score_threshold: float = 0.01
    max_candidates: int = 64
    nms_iou: float = 0.3
    per_class_limit: int = 10
    actor_limit: int = 32
    start_score: float = 0.0
    iou_threshold: float = 0.2
    lost_iou_threshold: float = 0.1
    match: str = "both"
    assignment: str = "greedy"
    top_scores: int = 4
    score_window: int = 0
    shared_box: str = "mean"
    revise: bool = False
    interpolated_score: str = "linear"
    class_memory: int = 0
    label_margin: float = 0.0
    confirm_after: int = 2
    confirm_score: float = 0.0
    max_misses: int = 3
    tentative_misses: int = 3
    min_coasting: float = 0.5
    max_frame_gap: float = 2.0
    reset_jump: float = 1.0
    max_tubes: int = 1000
    history_limit: int = 256

    def __post_init__(self) -> None:
        for field in fields(self):
            name = field.name
            value: Any = getattr(self, name)
            if name in CHOICES:
                if value not in CHOICES[name]:
                    raise UserError(f"linker option {name}: {value!r} is not one of {', '.join(CHOICES[name])}")
                continue
            if isinstance(field.default, bool):
                if not isinstance(value, bool):
                    raise UserError(f"linker option {name}: {value!r} is neither true nor false")
                continue
            whole = isinstance(field.default, int)
            if isinstance(value, bool) or not isinstance(value, int if whole else (int, float)):
                raise UserError(f"linker option {name}: {value!r} is not a {'whole number' if whole else 'number'}")
            low, high = RANGES[name]
            if not low <= value <= high:
                raise UserError(f"linker option {name}: {value!r} is not within {low} to {high}")


PAPER = LinkerOptions(
    nms_iou=0.45, match="score", iou_threshold=0.1, lost_iou_threshold=0.1, shared_box="old", min_coasting=0.0
)
"""Linking as the paper and its release describe it; where they are silent, the plainest choice."""
