"""Random weights for networks without batch normalisation."""

import torch


def lively(module, seed=0):
    """Give a module, in evaluation mode, random weights such that no layer dies or saturates; returns it."""
    generator = torch.Generator().manual_seed(seed)
    for name, parameter in module.named_parameters():
        fan_in = len(parameter) if name.endswith("temporal.weight") else parameter[0].numel() if parameter.ndim else 1
        spread = 0.3 if parameter.ndim <= 1 else (2 / fan_in) ** 0.5
        parameter.data = torch.randn(parameter.shape, generator=generator) * spread
    return module.eval()
