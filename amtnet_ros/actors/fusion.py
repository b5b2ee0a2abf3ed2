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
    """The numbers of the rule, chosen on groups held out of the training clips (`evaluation.fusion`).

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


class Joined(NamedTuple):
    """scores: (L,), of each label; nobody: of the box being wrong. Together they sum to 1."""

    scores: Float32
    nobody: float


class Fusion:
    """Joins the two answers of a person.

    labels: what a tube may be called: the model's actions, `other`, then the actions asked for by names.
    """

    def __init__(
        self, actions: Sequence[str], answers: Sequence[str], rule: Rule, named: Sequence[NamedAction] = ()
    ) -> None:
        """actions: of the two-stream network, in order; answers: of the stream, in order; see the card."""
        self.rule, self._n = rule, len(actions)
        self.labels = (*actions, OTHER, *(action.label for action in named))
        self._order = np.array([answers.index(answer) for answer in (*actions, OTHER, NOBODY)])
        base = np.full(len(kinetics_names()), self._n)
        for k, action in enumerate(actions):
            base[list(names_of_actions().get(action, ()))] = k
        group = np.zeros(len(base), np.int64)
        for g, asked in enumerate(named, start=1):
            group[list(asked.names)] = g
        self._cell, self._cells = group * (self._n + 1) + base, (len(named) + 1, self._n + 1)

    def inputs(self, light: Float32, answer: Answer, whole: Answer | None = None) -> Said:
        """What `Rule.join` takes: each (K + 2,).

        light: (K,), the two-stream network's class scores, which need not sum to 1: it knows no `other`. answer: of the
        person; whole: of the whole picture, where it may speak for the person.
        """
        taught, names = self._of_view(answer)
        whole_taught, whole_names = self._of_view(whole or answer)
        # Whether the box is wrong the whole picture cannot say.
        somebody = whole_taught[:-1] * ((1 - taught[-1]) / max(float(whole_taught[:-1].sum()), LEAST))
        return Said(self._alone(light), taught, names, np.append(somebody, taught[-1]), whole_names)

    def widened(self, light: Float32) -> Float32:
        """(K,) class scores of the two-stream network alone → (L,): nothing is said of the other labels."""
        return np.append(light, np.zeros(len(self.labels) - self._n)).astype(np.float32)

    def join(self, light: Float32, answer: Answer, whole: Answer | None = None) -> Joined:
        """Arguments as of `inputs`. An action asked for by names takes its share by what the person's names say."""
        joined = self.rule.join(self.inputs(light, answer, whole))
        by_name = self._by_name(answer.names)
        shares = by_name / np.maximum(by_name.sum(axis=0), 1e-12)
        spread = shares * joined[:-1]
        scores = np.append(joined[:-1] - spread[1:].sum(axis=0), spread[1:].sum(axis=1))
        return Joined(np.maximum(scores, 0).astype(np.float32), float(joined[-1]))

    def _of_view(self, answer: Answer) -> tuple[Float64, Float64]:
        names = np.append(self._by_name(answer.names).sum(axis=0), 0.0)
        return answer.answers[self._order].astype(np.float64), names

    def _alone(self, light: Float32) -> Float64:
        total = float(light.sum())
        scores = light / total if total > 0 else np.full(self._n, 1 / self._n)
        return np.append(scores, (0.0, 0.0))

    def _by_name(self, names: Float32) -> Float64:
        """(600,) → (1 + named actions, K + 1): what the names that mean an action, or `other`, sum to.

        The first row: of names not asked for. Row g: of those asked for by the g-th named action.
        """
        sums = np.bincount(self._cell, weights=names, minlength=self._cells[0] * self._cells[1])
        return np.asarray(sums.reshape(self._cells), dtype=np.float64)
