"""One answer from two: what the two-stream network says of a person, and what the stream that looks at them says.

Kinetics' names take part in two ways: those that mean one of the model's actions vote for it; and an action asked for
by names takes, of everything that those names vote for, the share that they have among the names there.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from amtnet_ros.actors.memory import Answer
from amtnet_ros.actors.names import NamedAction, kinetics_names, names_of_actions
from amtnet_ros.contracts import NOBODY, OTHER, Float32

Float64 = NDArray[np.float64]
LEAST = 1e-6
"""Below this no probability goes, so that no answer is ever impossible."""


class Said(NamedTuple):
    """Distributions over the K actions, `other` and `nobody`, each (..., K + 2), of one moment or of many.

    light: of the two-stream network. taught, names: of the stream that looks at the person, by its own answers and by
    Kinetics' names. whole_taught, whole_names: the same of the whole picture; the person's where it says nothing.
    """

    light: Float64
    taught: Float64
    names: Float64
    whole_taught: Float64
    whole_names: Float64


@dataclass(frozen=True)
class Rule:
    """The numbers of the rule, chosen on groups held out of the training clips (`evaluation.actor_moments`).

    w_light, w_taught, w_names: weights of the two-stream network, of the stream's own answers, and of its names; they
    sum to 1. temperature: above 1 the answers become less certain. other: what is added to the logarithm of `other`.
    whole: the share that the whole picture has in what the stream says of somebody who is alone in it.
    """

    w_light: float
    w_taught: float
    w_names: float
    temperature: float = 1.0
    other: float = 0.0
    whole: float = 0.0

    def join(self, said: Said) -> Float64:
        """What was said, five distributions over K actions, `other` and `nobody`, → one, (..., K + 2)."""
        taught = (1 - self.whole) * said.taught + self.whole * said.whole_taught
        names = (1 - self.whole) * said.names + self.whole * said.whole_names
        mixed = self.w_light * said.light + self.w_taught * taught + self.w_names * names
        logits = np.log(np.maximum(mixed, LEAST))
        logits[..., -2] += self.other
        logits /= self.temperature
        joined = np.exp(logits - logits.max(axis=-1, keepdims=True))
        return np.asarray(joined / joined.sum(axis=-1, keepdims=True), dtype=np.float64)


def of_somebody(taught: Float64, whole_taught: Float64) -> Float64:
    """What the whole picture says, (..., K + 2), for a person of whom the stream says `taught`, (..., K + 2).

    Whether the box is wrong the whole picture cannot say: of that it says what the person's own says.
    """
    nobody = taught[..., -1:]
    somebody = whole_taught[..., :-1]
    scaled = somebody * ((1 - nobody) / np.maximum(somebody.sum(axis=-1, keepdims=True), LEAST))
    return np.concatenate([scaled, nobody], axis=-1)


class Joined(NamedTuple):
    """scores: (L,), of each label; nobody: of the box being wrong. Together they sum to 1."""

    scores: Float32
    nobody: float


class Fusion:
    """Joins the two answers of a person.

    labels: what a tube may be called: the model's actions, `other`, then the actions asked for by names.

    The stream may have been taught actions that the two-stream network, and the names, know nothing of. Of those they
    say what the stream says; what it leaves is theirs to share out among the others.
    """

    def __init__(
        self,
        actions: Sequence[str],
        answers: Sequence[str],
        rule: Rule,
        named: Sequence[NamedAction] = (),
        seen_in_pairs: Sequence[str] | None = None,
    ) -> None:
        """actions: of the model, in order; answers: of the stream, in order; see the card.

        seen_in_pairs: the actions of the two-stream network, in order; None: the model's.
        """
        seen = actions if seen_in_pairs is None else seen_in_pairs
        self.rule, self._n = rule, len(actions)
        self._place = np.array([actions.index(one) if one in actions else len(actions) for one in seen])
        self._strange = np.array([one not in seen for one in (*actions, OTHER, NOBODY)])
        self._strange[-2:] = False
        self.labels = (*actions, OTHER, *(action.label for action in named))
        self._order = np.array([answers.index(answer) for answer in (*actions, OTHER, NOBODY)])
        base = np.full(len(kinetics_names()), self._n)
        for k, action in enumerate(actions):
            base[list(names_of_actions().get(action, ()))] = k
        self._meant = base
        group = np.zeros(len(base), np.int64)
        for g, asked in enumerate(named, start=1):
            group[list(asked.names)] = g
        self._cell, self._cells = group * (self._n + 1) + base, (len(named) + 1, self._n + 1)

    def inputs(self, light: Float32, answer: Answer, whole: Answer | None = None) -> Said:
        """What `Rule.join` takes: each (K + 2,).

        light: the two-stream network's class scores, one for each action of its own, which need not sum to 1: it knows
        no `other`. answer: of the person; whole: of the whole picture, where it may speak for the person.
        """
        taught, names = self._of_view(answer)
        whole_taught, whole_names = self._of_view(whole or answer)
        whole_taught = of_somebody(taught, whole_taught)
        both = (1 - self.rule.whole) * taught + self.rule.whole * whole_taught
        return Said(
            self._besides(both, self._alone(light)),
            taught,
            self._besides(taught, names),
            whole_taught,
            self._besides(whole_taught, whole_names),
        )

    def label_of(self, seen: int) -> int:
        """The label of an action of the two-stream network, by its number there; `other` if the model has it not."""
        return int(self._place[seen])

    def widened(self, light: Float32) -> Float32:
        """Class scores of the two-stream network alone → (L,): nothing is said of the other labels."""
        scores = np.bincount(self._place, weights=light, minlength=len(self.labels))
        if self._n in self._place:
            scores[self._n] = 0.0
        return scores.astype(np.float32)

    def join(self, light: Float32, answer: Answer, whole: Answer | None = None) -> Joined:
        """Arguments as of `inputs`. An action asked for by names takes its share by what the person's names say."""
        joined = self.rule.join(self.inputs(light, answer, whole))
        by_name = self._by_name(answer.names)
        shares = by_name / np.maximum(by_name.sum(axis=0), 1e-12)
        spread = shares * joined[:-1]
        scores = np.append(joined[:-1] - spread[1:].sum(axis=0), spread[1:].sum(axis=1))
        return Joined(np.maximum(scores, 0).astype(np.float32), float(joined[-1]))

    def of_each_name(self, joined: Joined, answer: Answer) -> Float32:
        """(600,) the score that each of Kinetics' names has where it alone is asked for; joined: with none."""
        total = np.bincount(self._meant, weights=answer.names, minlength=self._n + 1)
        share = answer.names / np.maximum(total, 1e-12)[self._meant]
        return np.asarray(share * joined.scores[self._meant], dtype=np.float32)

    def _of_view(self, answer: Answer) -> tuple[Float64, Float64]:
        names = np.append(self._by_name(answer.names).sum(axis=0), 0.0)
        return answer.answers[self._order].astype(np.float64), names

    def _alone(self, light: Float32) -> Float64:
        """What it says of actions that the model has not, it says of `other`."""
        total = float(light.sum())
        scores = light / total if total > 0 else np.full(len(light), 1 / len(light))
        return np.bincount(self._place, weights=scores, minlength=self._n + 2).astype(np.float64)

    def _besides(self, taught: Float64, said: Float64) -> Float64:
        """A distribution of those who do not know the strange actions, with what the stream says of these."""
        strange = np.where(self._strange, taught, 0.0)
        return np.asarray(strange + (1 - strange.sum()) * said, dtype=np.float64)

    def _by_name(self, names: Float32) -> Float64:
        """(600,) → (1 + named actions, K + 1): what the names that mean an action, or `other`, sum to.

        The first row: of names not asked for. Row g: of those asked for by the g-th named action.
        """
        sums = np.bincount(self._cell, weights=names, minlength=self._cells[0] * self._cells[1])
        return np.asarray(sums.reshape(self._cells), dtype=np.float64)
