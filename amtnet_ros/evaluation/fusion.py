"""The numbers of the rule that joins the answers of the two-stream network and of the actor stream.

By moments of people held out of the training.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import minimize
from scipy.special import expit, softmax

from amtnet_ros.actors.fusion import Float64, Rule, Said

WIDEST = 3.0
"""The penalty that keeps numbers in bounds where the moments say nothing of them lets so much pass."""


class Moments(NamedTuple):
    """N moments of people of whom it is known what they do.

    said: each (N, K + 2), as `Fusion.inputs` gives them. right: (N,), the index of what is right. weights: (N,), e.g.
    such that each clip weighs the same.
    """

    said: Said
    right: NDArray[np.int64]
    weights: Float64


def negative_log_likelihood(rule: Rule, moments: Moments) -> float:
    """The weighted mean over the moments."""
    joined = rule.join(moments.said)
    said = joined[np.arange(len(joined)), moments.right]
    return float(np.average(-np.log(np.maximum(said, 1e-12)), weights=moments.weights))


def fit_rule(moments: Moments, with_other: bool = True) -> Rule:
    """The rule that makes what is right likeliest.

    with_other: choose the number for `other` too; else it is 0, as it must be where the moments do not hold as many
    people who do something else as will be met. Nelder-Mead: five numbers at most, no derivative.
    """

    def rule_of(x: Float64) -> Rule:
        light, taught, names = softmax([x[0], x[1], 0.0]).tolist()
        other = float(x[4]) if with_other else 0.0
        return Rule(light, taught, names, temperature=float(np.exp(x[2])), other=other, whole=float(expit(x[3])))

    def cost(x: Float64) -> float:
        beyond = np.maximum(np.abs(x) - WIDEST, 0)
        return negative_log_likelihood(rule_of(x), moments) + 0.1 * float(beyond @ beyond)

    length = 5 if with_other else 4
    starts = [np.array([light, taught, 0.0, -1.0, 0.0])[:length] for light in (-1, 1) for taught in (-1, 1)]
    found = [minimize(cost, start, method="Nelder-Mead", options={"xatol": 1e-3, "fatol": 1e-7}) for start in starts]
    best = min(found, key=lambda result: float(result.fun))
    return rule_of(np.asarray(best.x))
