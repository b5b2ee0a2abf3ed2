"""Learning rates, groups and averages against closed forms."""

import pytest

torch = pytest.importorskip("torch", reason="training needs torch")

import math  # noqa: E402

from torch import nn  # noqa: E402

from amtnet_ros.model.amtnet import AMTnet  # noqa: E402
from amtnet_ros.model.streams import NetworkOptions  # noqa: E402
from amtnet_ros.training.config import OptimiserConfig  # noqa: E402
from amtnet_ros.training.optimiser import WeightAverage, make_optimiser, rate_factor, set_rates  # noqa: E402


def test_rates_and_decay_are_those_of_the_release():
    """Biases at twice the rate and without decay, the trunk at half the rate of the heads."""
    network = AMTnet(NetworkOptions(3, streams=("flow",)))
    optimiser = make_optimiser(network, OptimiserConfig(learning_rate=1e-3, weight_decay=1e-4))
    of = {id(p): group for group in optimiser.param_groups for p in group["params"]}
    assert len(of) == len(list(network.parameters()))
    for name, parameter in network.named_parameters():
        rate = 1e-3 * (0.5 if name.startswith("trunks.") else 1) * (2 if name.endswith(".bias") else 1)
        decay = 1e-4 if parameter.ndim == 4 else 0
        assert (of[id(parameter)]["lr"], of[id(parameter)]["weight_decay"]) == (pytest.approx(rate), decay), name
    set_rates(optimiser, 0.1)
    assert {group["lr"] for group in optimiser.param_groups} == {g["initial_lr"] * 0.1 for g in optimiser.param_groups}


def test_frozen_weights_are_not_in_the_optimiser():
    network = AMTnet(NetworkOptions(3))
    for module in network.trunk("rgb").lowest(5):
        module.requires_grad_(False)
    optimiser = make_optimiser(network, OptimiserConfig())
    count = sum(len(group["params"]) for group in optimiser.param_groups)
    assert count == sum(p.requires_grad for p in network.parameters()) < len(list(network.parameters()))


def test_the_step_schedule_drops_by_ten():
    config = OptimiserConfig(schedule="step", drops=(50, 80), iterations=100)
    assert [rate_factor(step, config) for step in (0, 49, 50, 79, 80, 99)] == pytest.approx(
        [1, 1, 0.1, 0.1, 0.01, 0.01]
    )


def test_the_cosine_schedule_warms_up_and_ends_at_one_percent():
    config = OptimiserConfig(schedule="cosine", warmup=10, iterations=110)
    assert [rate_factor(step, config) for step in (0, 4, 9)] == pytest.approx([0.1, 0.5, 1])
    for step in (10, 35, 60, 110):
        expected = 0.01 + 0.99 * (1 + math.cos(math.pi * (step - 10) / 100)) / 2
        assert rate_factor(step, config) == pytest.approx(expected)
    assert rate_factor(60, config) == pytest.approx(0.505)


def test_the_average_forgets_as_an_exponential_does():
    layer = nn.Sequential(nn.Linear(1, 1, bias=False), nn.BatchNorm1d(1))
    average = WeightAverage(layer, 0.9)
    expected = layer[0].weight.item()
    for step in range(200):
        with torch.no_grad():
            layer[0].weight.fill_(math.sin(step))
            layer[1].num_batches_tracked.fill_(step)
        average.update(layer, step)
        memory = min(0.9, (1 + step) / (10 + step))
        expected = memory * expected + (1 - memory) * math.sin(step)
    assert average.state["0.weight"].item() == pytest.approx(expected, abs=1e-5)
    assert average.state["1.num_batches_tracked"].item() == 199


def test_layers_that_came_with_weights_learn_slower_by_their_own_factor():
    network = AMTnet(NetworkOptions(3, streams=("rgb",)))
    optimiser = make_optimiser(network, OptimiserConfig(learning_rate=1.0, bias_factor=1.0, pretrained_factor=0.1))
    rates = {id(p): group["lr"] for group in optimiser.param_groups for p in group["params"]}
    trunk = network.trunk("rgb")
    assert rates[id(trunk._conv_stem.weight)] == pytest.approx(0.05)
    assert rates[id(trunk.lateral[0].weight)] == pytest.approx(0.5)
    assert rates[id(network.heads.classify[0].first.weight)] == pytest.approx(1.0)
