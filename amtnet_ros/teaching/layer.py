"""A linear layer that tells actions apart, learnt from features within a second: multinomial logistic regression."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import minimize
from scipy.special import log_softmax, softmax

from amtnet_ros.contracts import Float32, Int64

Float64 = NDArray[np.float64]
MOST_STEPS = 100


@dataclass(frozen=True)
class Layer:
    """weight: (A, H), bias: (A,), of A answers."""

    weight: Float32
    bias: Float32

    def logits(self, hidden: Float32) -> Float64:
        """(N, H) → (N, A)."""
        return np.asarray(hidden @ self.weight.T + self.bias, dtype=np.float64)

    def answers(self, hidden: Float32) -> Float64:
        """(N, H) → (N, A) probabilities."""
        return np.asarray(softmax(self.logits(hidden), axis=1), dtype=np.float64)

    def with_rows_of(self, other: Layer) -> Layer:
        """This layer's answers, then another's."""
        return Layer(np.concatenate([self.weight, other.weight]), np.concatenate([self.bias, other.bias]))


def learn_layer(
    hidden: Float32, right: Int64, weights: Float64, n_answers: int, penalty: float, given: Layer | None = None
) -> Layer:
    """The layer under which what is right is likeliest.

    hidden: (N, H). right: (N,) of the answers to learn, then those given. weights: (N,), how much each row counts.
    penalty: of the squared weights on features that were brought to unit spread; the mean cost of a row is worth 1.
    given: answers that stay as they are. Returns the learnt ones only.
    """
    mean = np.average(hidden, axis=0, weights=weights)
    spread = np.sqrt(np.average((hidden - mean) ** 2, axis=0, weights=weights)) + 0.1
    x = ((hidden - mean) / spread).astype(np.float32)
    share = (weights / weights.sum())[:, None]
    stay = given.logits(hidden) if given is not None else np.zeros((len(x), 0))
    target = np.eye(n_answers + stay.shape[1])[right]

    def cost(flat: Float64) -> tuple[float, Float64]:
        weight, bias = _rows(flat, n_answers)
        logits = np.concatenate([x @ weight.T.astype(np.float32) + bias, stay], axis=1)
        said = log_softmax(logits, axis=1)
        error = (share * (np.exp(said) - target))[:, :n_answers]
        slope = error.T.astype(np.float32) @ x + 2 * penalty * weight
        total = float(-(share * target * said).sum() + penalty * (weight**2).sum())
        return total, np.concatenate([slope.ravel(), error.sum(axis=0)]).astype(np.float64)

    start = np.zeros(n_answers * (x.shape[1] + 1))
    found = minimize(cost, start, jac=True, method="L-BFGS-B", options={"maxiter": MOST_STEPS})
    weight, bias = _rows(np.asarray(found.x), n_answers)
    weight = weight / spread
    return Layer(weight.astype(np.float32), (bias - weight @ mean).astype(np.float32))


def _rows(flat: Float64, n_answers: int) -> tuple[Float64, Float64]:
    return flat[:-n_answers].reshape(n_answers, -1), flat[-n_answers:]
