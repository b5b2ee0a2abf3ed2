"""A linear layer that tells actions apart by the direction of what is seen: logistic regression that starts from means.

What a hidden layer says of somebody lies some way from what it says of people on the whole. In which direction tells
what they do; how far tells how sure the network is of anything. So of few clips only the direction is learnt from.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import minimize
from scipy.special import log_softmax, softmax

from amtnet_ros.contracts import NOBODY, OTHER, Float32, Int64
from amtnet_ros.inference.contract import LEAST_AWAY

Float64 = NDArray[np.float64]
MOST_STEPS = 50
SHARPNESS = 15.0
"""Of the layer that is started from: what a direction that is an action's mean adds to the action's logit, at most."""


@dataclass(frozen=True)
class Layer:
    """weight: (A, H) and bias: (A,) of A answers; direction: (A, H), weights of the direction from `middle`, (H,)."""

    weight: Float32
    bias: Float32
    direction: Float32
    middle: Float32

    def logits(self, hidden: Float32) -> Float64:
        """(N, H) → (N, A)."""
        by_direction = direction_of(hidden, self.middle) @ self.direction.T
        return np.asarray(hidden @ self.weight.T + by_direction + self.bias, dtype=np.float64)

    def answers(self, hidden: Float32) -> Float64:
        """(N, H) → (N, A) probabilities."""
        return np.asarray(softmax(self.logits(hidden), axis=1), dtype=np.float64)

    def with_rows_of(self, other: Layer) -> Layer:
        """This layer's answers, then another's with the same middle."""
        return Layer(
            np.concatenate([self.weight, other.weight]),
            np.concatenate([self.bias, other.bias]),
            np.concatenate([self.direction, other.direction]),
            self.middle,
        )


def direction_of(hidden: Float32, middle: Float32) -> Float32:
    """(N, H) of length 1, from (H,) towards (N, H)."""
    away = hidden - middle
    return np.asarray(away / np.maximum(np.linalg.norm(away, axis=1, keepdims=True), LEAST_AWAY), np.float32)


def learn_layer(
    hidden: Float32,
    right: Int64,
    weights: Float64,
    n_answers: int,
    penalty: float,
    middle: Float32,
    given: Layer | None = None,
    still: int | None = None,
) -> Layer:
    """The layer under which what is right is likeliest, not far from each answer's mean direction.

    hidden: (N, H). right: (N,) of the answers to learn, then those given. weights: (N,), how much each row counts.
    penalty: of the squared distance from the means; the mean cost of a row is worth 1. middle: (H,).
    given: answers that stay as they are. still: an answer whose row stays zero: what speaks for no other, speaks for
    it. Returns the learnt ones only.
    """
    x = direction_of(hidden, middle)
    share = (weights / weights.sum())[:, None]
    stay = given.logits(hidden) if given is not None else np.zeros((len(x), 0))
    target = np.eye(n_answers + stay.shape[1])[right]
    free = (np.arange(n_answers) != still)[:, None]
    of_answer = share * target[:, :n_answers]
    means = free * (of_answer / np.maximum(of_answer.sum(axis=0), 1e-12)).T.astype(np.float32) @ x * SHARPNESS

    def cost(flat: Float64) -> tuple[float, Float64]:
        weight, bias = _rows(flat, n_answers)
        logits = np.concatenate([x @ weight.T.astype(np.float32) + bias, stay], axis=1)
        said = log_softmax(logits, axis=1)
        error = (share * (np.exp(said) - target))[:, :n_answers] * free.T
        slope = error.T.astype(np.float32) @ x + 2 * penalty * (weight - means)
        total = float(-(share * target * said).sum() + penalty * ((weight - means) ** 2).sum())
        return total, np.concatenate([slope.ravel(), error.sum(axis=0)]).astype(np.float64)

    start = np.concatenate([means.ravel(), np.zeros(n_answers)])
    found = minimize(cost, start, jac=True, method="L-BFGS-B", options={"maxiter": MOST_STEPS})
    weight, bias = (part.astype(np.float32) for part in _rows(np.asarray(found.x), n_answers))
    return Layer(np.zeros_like(weight), bias, weight, middle)


def _rows(flat: Float64, n_answers: int) -> tuple[Float64, Float64]:
    return flat[:-n_answers].reshape(n_answers, -1), flat[-n_answers:]


@dataclass(frozen=True)
class Answers:
    """What a layer tells apart. learnt: new actions, and, where nothing is kept, `other` and `nobody`.

    given: what the layer before keeps saying, with its rows; () where nothing is kept.
    """

    actions: tuple[str, ...]
    kept: tuple[str, ...] = ()
    given: Layer | None = None

    @property
    def order(self) -> tuple[str, ...]:
        """Of the layer's rows: the new actions come first."""
        return (*self.actions, *self.kept, OTHER, NOBODY)

    @property
    def n_learnt(self) -> int:
        return len(self.actions) + (0 if self.given is not None else 2)

    def right(self, labels: NDArray[np.str_]) -> Int64:
        """(N,) the index of the right answer of each label; of one that is no answer it is `other`."""
        index = {name: i for i, name in enumerate(self.order)}
        return np.array([index.get(str(label), index[OTHER]) for label in labels], np.int64)

    @property
    def caution(self) -> Float64:
        """(A,) what logits get so that less is claimed: `other` more, or, where it is given, the new actions less."""
        if self.given is None:
            return np.array([float(name == OTHER) for name in self.order])
        return np.array([-float(name in self.actions) for name in self.order])
