"""Parameter groups, learning-rate schedule and weight averaging."""

from __future__ import annotations

import math

import torch
from torch import Tensor, nn

from amtnet_ros.model.streams import Streams
from amtnet_ros.training.config import OptimiserConfig

COSINE_FLOOR = 0.01


def make_optimiser(network: Streams, config: OptimiserConfig) -> torch.optim.Optimizer:
    """The release's groups: biases at `bias_factor` times the rate and, like norms, without decay; the trunk slower.

    The trunk's layers that came with weights learn slower still, by `pretrained_factor`.
    """
    trunks = [network.trunk(stream) for stream in network.options.streams]
    pretrained = {id(p) for trunk in trunks for module in trunk.pretrained() for p in module.parameters()}
    groups: dict[tuple[float, float], list[nn.Parameter]] = {}
    for name, parameter in network.named_parameters():
        if not parameter.requires_grad:
            continue
        rate = config.learning_rate * (config.trunk_factor if name.startswith("trunks.") else 1.0)
        rate *= config.pretrained_factor if id(parameter) in pretrained else 1.0
        decay = config.weight_decay
        if parameter.ndim <= 1:
            decay = 0.0
            rate *= config.bias_factor if name.endswith("bias") else 1.0
        groups.setdefault((rate, decay), []).append(parameter)
    lists = [
        {"params": p, "lr": rate, "initial_lr": rate, "weight_decay": decay} for (rate, decay), p in groups.items()
    ]
    if config.name == "adamw":
        return torch.optim.AdamW(lists)
    return torch.optim.SGD(lists, momentum=config.momentum)


def rate_factor(step: int, config: OptimiserConfig) -> float:
    """What the learning rates are multiplied by at a step (0-based)."""
    if config.schedule == "step" and step >= config.warmup:
        return float(0.1 ** sum(step >= drop for drop in config.drops))
    return cosine(step, config.warmup, config.iterations)


def cosine(step: int, warmup: int, iterations: int) -> float:
    """From 0 to 1 in `warmup` steps, then along a cosine to COSINE_FLOOR at the last of all `iterations`."""
    if step < warmup:
        return (step + 1) / warmup
    share = (step - warmup) / max(iterations - warmup, 1)
    return COSINE_FLOOR + (1 - COSINE_FLOOR) * (1 + math.cos(math.pi * min(share, 1.0))) / 2


def set_rates(optimiser: torch.optim.Optimizer, factor: float) -> None:
    """Scale every group's initial rate."""
    for group in optimiser.param_groups:
        group["lr"] = group["initial_lr"] * factor


class WeightAverage:
    """Exponential moving average of a network's weights and buffers, with a short memory at the start of a run."""

    def __init__(self, network: nn.Module, decay: float) -> None:
        self.decay = decay
        self.state = {name: value.detach().clone() for name, value in network.state_dict().items()}

    @torch.no_grad()
    def update(self, network: nn.Module, step: int) -> None:
        """Move towards the network as of a step (0-based)."""
        decay = min(self.decay, (1 + step) / (10 + step))
        for name, value in network.state_dict().items():
            average: Tensor = self.state[name]
            if value.dtype.is_floating_point:
                average.lerp_(value.detach(), 1 - decay)
            else:
                average.copy_(value)
