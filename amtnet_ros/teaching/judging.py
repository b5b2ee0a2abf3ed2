"""What people held out of the learning are called, and the rule that follows: how careful, how much by the scene."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.special import softmax

from amtnet_ros.actors.fusion import Rule, Said, of_somebody
from amtnet_ros.contracts import OTHER, Bool, Int64
from amtnet_ros.teaching.layer import Answers

Float64 = NDArray[np.float64]
CLAIMED = 0.1
"""The share of people who do something else that may be said to do one of the actions, among those held out."""
SHARES = (0.0, 0.25, 0.5, 0.75)
"""Of the whole picture, that are tried."""
LEAST_CAREFUL, MOST_CAREFUL, CAREFUL_STEP = -0.9, 20.0, 1e-3
"""LEAST_CAREFUL: there are more strangers, more like the actions, than those at hand. With less care more than a tenth
is claimed of people of ten classes of UCF-101, of which three are taught."""


@dataclass(frozen=True)
class Judged:
    """What a layer says of people it has not learnt from.

    logits, whole: (N, A), of the person and of the whole picture; whole is logits where that does not speak.
    right: (N,) of `Answers.order`. strange: (N,), whether nothing like it was learnt; none: (N,), whether it is of the
    clips `none`, which count as strange too. own: as in `Rows`.
    """

    logits: Float64
    whole: Float64
    right: Int64
    own: Bool
    strange: Bool
    none: Bool

    def part(self, rows: Bool) -> Judged:
        """Only these people."""
        return Judged(*(getattr(self, name)[rows] for name in Judged.__annotations__))

    def answers(self, caution: Float64, share: float) -> Float64:
        """(N, A) probabilities. caution: (A,) on top of the logits; share: of the whole picture, 0..1."""
        return joined(self.logits + caution, self.whole + caution, share)


def joined(person: Float64, whole: Float64, share: float) -> Float64:
    """Logits of persons and of whole pictures, (N, A), `other` and `nobody` last → (N, A) as the robot joins them."""
    taught = softmax(person, axis=1)
    seen = of_somebody(taught, softmax(whole, axis=1))
    return Rule(0, 1, 0, whole=share).join(Said(taught, taught, taught, seen, seen))


def claims(judged: Judged, answers: Answers, careful: float, share: float) -> float:
    """The share of people who do something else that are said to do one of the actions, 0..1.

    Of the clips, who are filmed as the robot will see people, or of those who came with the model: whichever is more.
    """
    said = judged.answers(careful * answers.caution, share)
    actions = said[:, : len(answers.actions)].max(axis=1)
    claimed = actions > said[:, answers.order.index(OTHER)]
    known = judged.strange & np.isfinite(judged.logits[:, : len(answers.actions)]).any(axis=1)
    groups = [claimed[known & chosen] for chosen in (judged.own, ~judged.own)]
    return max((float(group.mean()) for group in groups if len(group)), default=0.0)


def choose_careful(judged: Judged, answers: Answers, share: float) -> float:
    """The least `Lesson.careful` at which few people who do something else are said to do an action."""
    if not judged.strange.any():
        return 0.0
    low, high = LEAST_CAREFUL if answers.given is None else -MOST_CAREFUL, MOST_CAREFUL
    if claims(judged, answers, low, share) <= CLAIMED:
        return low
    while high - low > CAREFUL_STEP:
        middle = (low + high) / 2
        low, high = (low, middle) if claims(judged, answers, middle, share) <= CLAIMED else (middle, high)
    return high


def choose_rule(judged: Judged, answers: Answers, shares: Sequence[float]) -> tuple[float, float]:
    """How careful, and with which of these shares of the whole picture: so that what people do is the likeliest.

    Each share is as careful as it takes by itself. The scenes of strangers are those of the clips alone, so without
    such strangers alone in view the whole picture gets no share, unless there is no choice.
    """
    speaks = (judged.whole != judged.logits).any(axis=1)
    if len(shares) > 1 and not (speaks & judged.strange & judged.own).any():
        shares = (0.0,)
    own = judged.part(judged.own & ~judged.strange)

    def likelihood(rule: tuple[float, float]) -> float:
        said = own.answers(rule[0] * answers.caution, rule[1])[np.arange(len(own.right)), own.right]
        return float(np.log(said).mean()) if len(said) else 0.0

    return max(((choose_careful(judged, answers, share), share) for share in shares), key=likelihood)
