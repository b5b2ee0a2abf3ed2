"""A linear layer that tells actions apart, learnt from features within a second: multinomial logistic regression."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import minimize
from scipy.special import log_softmax, softmax

from amtnet_ros.contracts import Float32, Int64

Float64 = NDArray[np.float64]
MOST_STEPS = 200


@dataclass(frozen=True)
class Layer:
    """weight: (A, H), bias: (A,), of A answers."""

    weight: Float32
    bias: Float32

    def logits(self, hidden: Float32) -> Float64:
        """(N, H) → (N, A)."""
        return (hidden @ self.weight.T + self.bias).astype(np.float64)

    def answers(self, hidden: Float32) -> Float64:
        """(N, H) → (N, A) probabilities."""
        return np.asarray(softmax(self.logits(hidden), axis=1), dtype=np.float64)


def learn_layer(hidden: Float32, right: Int64, weights: Float64, n_answers: int, penalty: float) -> Layer:
    """The layer under which what is right is likeliest.

    hidden: (N, H). right: (N,) of A answers. weights: (N,), how much each row counts. penalty: of the squared weights
    on features that were brought to unit spread; the mean cost of a row is worth 1.
    """
    mean = np.average(hidden, axis=0, weights=weights)
    spread = np.sqrt(np.average((hidden - mean) ** 2, axis=0, weights=weights)) + 0.1
    x = ((hidden - mean) / spread).astype(np.float32)
    share = (weights / weights.sum())[:, None]
    target = np.eye(n_answers)[right]

    def cost(flat: Float64) -> tuple[float, Float64]:
        weight, bias = np.split(flat, [n_answers * x.shape[1]])
        weight = weight.reshape(n_answers, -1)
        said = log_softmax(x @ weight.T.astype(np.float32) + bias, axis=1)
        error = share * (np.exp(said) - target)
        slope = np.concatenate([(error.T.astype(np.float32) @ x + 2 * penalty * weight).ravel(), error.sum(axis=0)])
        return float(-(share * target * said).sum() + penalty * (weight**2).sum()), slope.astype(np.float64)

    start = np.zeros(n_answers * (x.shape[1] + 1))
    found = minimize(cost, start, jac=True, method="L-BFGS-B", options={"maxiter": MOST_STEPS}).x
    weight, bias = np.split(np.asarray(found), [n_answers * x.shape[1]])
    weight = weight.reshape(n_answers, -1) / spread
    return Layer(weight.astype(np.float32), (bias - weight @ mean).astype(np.float32))
