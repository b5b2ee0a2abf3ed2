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


@dataclass(frozen=True)
class Rule:
    """The numbers of the rule, chosen on groups held out of the training clips (`evaluation.fusion`).

    w_light, w_taught, w_names: weights of the two-stream network, of the stream's own answers, and of its names; they
    sum to 1. temperature: above 1 the answers become less certain. other: what is added to the logarithm of `other`.
    """

    w_light: float
    w_taught: float
    w_names: float
    temperature: float = 1.0
    other: float = 0.0

    def join(self, light: Float64, taught: Float64, names: Float64) -> Float64:
        """Three distributions, each (..., K + 2) over K actions, `other` and `nobody`, → one."""
        mixed = self.w_light * light + self.w_taught * taught + self.w_names * names
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

    def inputs(self, light: Float32, answer: Answer) -> tuple[Float64, Float64, Float64]:
        """What `Rule.join` takes: each (K + 2,).

        light: (K,), the two-stream network's class scores, which need not sum to 1: it knows no `other`.
        """
        taught = answer.answers[self._order].astype(np.float64)
        return self._alone(light), taught, np.append(self._by_name(answer.names).sum(axis=0), 0.0)

    def widened(self, light: Float32) -> Float32:
        """(K,) class scores of the two-stream network alone → (L,): nothing is said of the other labels."""
        return np.append(light, np.zeros(len(self.labels) - self._n)).astype(np.float32)

    def join(self, light: Float32, answer: Answer) -> Joined:
        """light: as in `inputs`."""
        joined = self.rule.join(*self.inputs(light, answer))
        by_name = self._by_name(answer.names)
        shares = by_name / np.maximum(by_name.sum(axis=0), 1e-12)
        spread = shares * joined[:-1]
        scores = np.append(joined[:-1] - spread[1:].sum(axis=0), spread[1:].sum(axis=1))
        return Joined(np.maximum(scores, 0).astype(np.float32), float(joined[-1]))

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
