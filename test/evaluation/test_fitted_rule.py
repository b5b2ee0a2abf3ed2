"""The numbers of the rule are found again from what a known rule made."""

from __future__ import annotations

import numpy as np
import pytest

from amtnet_ros.actors.fusion import Rule, Said
from amtnet_ros.evaluation.actor_moments import Moments, fit_rule, negative_log_likelihood


def moments_by(rule: Rule, n: int, seed: int) -> Moments:
    """Random distributions, and what is right drawn as the rule says."""
    rng = np.random.default_rng(seed)
    said = Said(*(rng.dirichlet(np.full(5, 0.4), n) for _ in range(5)))
    light = said.light
    light[:, 3:] = 0
    light[:] = (light + 1e-9) / (light + 1e-9).sum(axis=1, keepdims=True)
    right = np.array([rng.choice(5, p=p) for p in rule.join(said)])
    return Moments(said, right, np.ones(n))


@pytest.mark.parametrize("rule", [Rule(0.3, 0.5, 0.2, 0.7, 0.8, 0.4), Rule(0.1, 0.3, 0.6, 1.5, -0.5, 0.2)])
def test_a_rule_is_found_again(rule: Rule) -> None:
    found = fit_rule(moments_by(rule, 3000, 0))
    np.testing.assert_allclose([found.w_light, found.w_taught], [rule.w_light, rule.w_taught], atol=0.08)
    assert found.temperature == pytest.approx(rule.temperature, abs=0.15)
    assert found.other == pytest.approx(rule.other, abs=0.3)
    assert found.whole == pytest.approx(rule.whole, abs=0.1)
    fresh = moments_by(rule, 6000, 1)
    assert negative_log_likelihood(found, fresh) < negative_log_likelihood(rule, fresh) + 0.01
    assert fit_rule(moments_by(rule, 500, 0), with_other=False).other == 0


def test_what_is_useless_gets_no_weight() -> None:
    moments = moments_by(Rule(0, 1, 0), 1500, 2)
    found = fit_rule(moments)
    assert found.w_taught > 0.9


def test_weights_of_moments_count() -> None:
    moments = moments_by(Rule(0.3, 0.5, 0.2), 40, 3)
    said, *rest = moments
    twice = Moments(Said(*(np.concatenate([x, x[:20]]) for x in said)), *(np.concatenate([x, x[:20]]) for x in rest))
    weighed = moments._replace(weights=np.repeat([2.0, 1.0], 20))
    rule = Rule(0.4, 0.4, 0.2)
    assert negative_log_likelihood(rule, weighed) == pytest.approx(negative_log_likelihood(rule, twice))
