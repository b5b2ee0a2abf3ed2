"""What the linker can be told; every decision the paper leaves open is one of these."""

from __future__ import annotations

from dataclasses import dataclass, replace

from amtnet_ros.options import check_options, option


@dataclass(frozen=True)
class LinkerOptions:
    """Options of :class:`~amtnet_ros.tubes.TubeLinker`; docs/tubes.md gives the measurements behind the defaults.

    What each means stands beside it below, in the order in which the linker comes to it: which micro-tubes are used,
    which tube takes which micro-tube, boxes and scores, life, bounds. Raises UserError for a value of the wrong type or
    out of range.

    In mode ``actor`` a tube keeps its class scores as a distribution, and its label is the likeliest class.

        LinkerOptions(mode="per_class", match="iou")
    """

    # Which micro-tubes are used, in this order
    mode: str = option(
        "actor",
        "actor: one person is one tube, whose class may change; per_class: each class is linked by itself, as in the "
        "paper, so that a person with two likely labels is two tubes.",
        choices=("per_class", "actor"),
    )
    score_threshold: float = option(
        0.01, "Micro-tubes with a lower score are not linked.", low=0.0, high=1.0, offered=False
    )
    max_candidates: int = option(
        64,
        "Only so many of the best micro-tubes are looked at (per_class: of each class), which bounds the time.",
        low=1,
        high=10_000,
        offered=False,
    )
    nms_iou: float = option(
        0.3,
        "Of two micro-tubes whose first boxes overlap more (IoU), the weaker is not linked; per_class: of two of a "
        "class. 1: all are.",
        low=0.0,
        high=1.0,
    )
    per_class_limit: int = option(
        10, "per_class: at most this many of each class are linked, the best.", low=1, high=1_000, offered=False
    )
    actor_limit: int = option(
        32, "actor: at most this many in all are linked, the best.", low=1, high=1_000, offered=False
    )
    start_score: float = option(
        0.1, "A micro-tube with a lower score may continue a tube, but starts none.", low=0.0, high=1.0
    )

    start_overlap: float = option(
        0.2,
        "actor: a micro-tube that overlaps one that continues a tube by more than this (IoU) starts none.",
        low=0.0,
        high=1.0,
    )

    # Which tube takes which micro-tube
    iou_threshold: float = option(
        0.2,
        "The least overlap (IoU) of a tube's last box with the first box, in the same frame, of the micro-tube that "
        "continues it; where they do not overlap at all there is no match.",
        low=0.0,
        high=1.0,
    )
    lost_iou_threshold: float = option(
        0.1,
        "The least overlap (IoU) for a tube that was missed, or after frames were lost: it has moved since its last "
        "box.",
        low=0.0,
        high=1.0,
    )
    match: str = option(
        "iou",
        "Which of several micro-tubes a tube prefers: the highest in score, in iou, in similarity (one minus the "
        "difference of the tube's last score and its own), or in both (score times IoU).",
        choices=("score", "iou", "similarity", "both"),
    )
    assignment: str = option(
        "best",
        "greedy: tubes choose in turn, the strongest first; best: the pair that `match` likes most goes first, "
        "and so on; optimal: the assignment with the greatest sum of `match` over all pairs (needs SciPy).",
        choices=("greedy", "best", "optimal"),
        offered=False,
    )
    class_weight: float = option(
        0.5,
        "How much less a tube likes a micro-tube whose class scores are unlike its own (cosine); at 1 not at all where "
        "they have nothing in common.",
        low=0.0,
        high=1.0,
        offered=False,
    )
    motion: float = option(
        0.5,
        "A tube that was missed is looked for where it would be, had it gone on as in its last so many seconds; 0: "
        "where it was seen last.",
        low=0.0,
        high=60.0,
        unit="s",
    )
    top_scores: int = option(
        4, "A tube's strength is the mean of this many of its scores, the best.", low=1, high=64, offered=False
    )
    score_window: int = option(
        0,
        "A tube's strength looks back over its newest so many micro-tubes; 0: over the whole tube.",
        low=0,
        high=256,
        offered=False,
    )

    # Boxes and scores
    shared_box: str = option(
        "mean",
        "Where the boxes between two frames begin, in the frame that two micro-tubes of a tube share: at the box of "
        "the old one, of the new one, or at their mean.",
        choices=("old", "new", "mean"),
        offered=False,
    )
    revise: bool = option(
        False,
        "Report the frame that two micro-tubes share again, with its shared_box; else what was reported stands.",
        offered=False,
    )
    interpolated_score: str = option(
        "linear",
        "The score of a box between two that were seen: linear between theirs, the next one's, the lower of the two, "
        "or zero.",
        choices=("linear", "next", "lower", "zero"),
        offered=False,
    )
    # So long that a step or two in doubt change nothing, so short that a new action is named within about a second.
    class_memory: float = option(
        1.0,
        "A tube's class scores are a mean over its micro-tubes that forgets: what is so old weighs 1/e of what is new; "
        "0: the mean over the whole tube, for clips that show one action.",
        low=0.0,
        high=3_600.0,
        unit="s",
    )
    label_margin: float = option(
        0.1, "actor: the label changes only to a class that leads by more than this.", low=0.0, high=1.0
    )

    # Life
    confirm_after: int = option(
        2,
        "A tube is tentative until it was seen in so many pairs, for confirm_time, with a score of confirm_score.",
        low=1,
        high=1_000,
    )
    # By time, not by pairs alone: at delta 1 two pairs are 67 ms, in which the same mistake is made twice.
    confirm_time: float = option(
        0.5,
        "A tube is tentative until so long after its first box.",
        low=0.0,
        high=60.0,
        unit="s",
    )
    confirm_score: float = option(
        0.2,
        "A tube is tentative until its score is this or more after confirm_time; it stays confirmed when its score "
        "falls.",
        low=0.0,
        high=1.0,
    )
    max_misses: int = option(3, "A tube that was missed so many times in a row ends.", low=1, high=1_000)
    tentative_misses: int = option(
        3,
        "A tentative tube that was missed so many times in a row ends, if not sooner by max_misses.",
        low=1,
        high=1_000,
        offered=False,
    )
    # Without it, patience would shrink with delta: at delta 1 three misses are a tenth of a second.
    min_coasting: float = option(
        1.0,
        "A confirmed tube that is missed does not end before its newest seen box is so old.",
        low=0.0,
        high=60.0,
        unit="s",
    )
    max_frame_gap: float = option(
        2.0,
        "A tube whose newest seen box is older than this when a pair begins, ends.",
        low=0.01,
        high=60.0,
        unit="s",
    )
    reset_jump: float = option(
        1.0,
        "Stamps that fall back so far are a new start (a bag that loops): all tubes end; by less, they are late, and "
        "ignored.",
        low=0.0,
        high=3_600.0,
        unit="s",
        offered=False,
    )

    # Bounds
    max_tubes: int = option(1_000, "Tubes that live at a time, at most; the weakest end first.", low=1, high=10_000)
    history_limit: int = option(
        256,
        "Boxes of a tube in one update, at most: when more frames lie between two sightings, the newest get a box.",
        low=1,
        high=1_000_000,
        offered=False,
    )

    def __post_init__(self) -> None:
        check_options(self, "linker option")


_OF_WHOLE_CLIPS = LinkerOptions(
    mode="per_class",
    nms_iou=0.3,
    start_score=0.0,
    start_overlap=1.0,
    match="both",
    assignment="greedy",
    class_weight=0.0,
    motion=0.0,
    class_memory=0.0,
    label_margin=0.0,
    confirm_time=0.0,
    confirm_score=0.0,
    min_coasting=0.5,
)

PAPER = replace(
    _OF_WHOLE_CLIPS,
    nms_iou=0.45,
    match="score",
    iou_threshold=0.1,
    lost_iou_threshold=0.1,
    shared_box="old",
    min_coasting=0.0,
)
"""Linking as the paper and its release describe it; where they are silent, the plainest choice."""

PER_CLASS = _OF_WHOLE_CLIPS
"""For the paper's measure: its tables score each class's tubes by themselves, over clips that show one action."""
