"""From a model folder back to a network that can learn: the inverse of `deploy`."""

from __future__ import annotations

import json
from dataclasses import asdict
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from amtnet_ros.errors import UserError
from amtnet_ros.inference.card import ModelCard, read_card
from amtnet_ros.inference.torch_engine import load_deployed, make_networks
from amtnet_ros.model.amtnet import AMTnet
from amtnet_ros.model.deployed import DeployedNetwork


def read_as_checkpoint(folder: Path) -> dict[str, Any]:
    """What a checkpoint of the network would hold, but for the state of its training; see `model.checkpoint`.

    Raises UserError where the folder cannot be read, or holds two networks that are fused late.
    """
    card = read_card(folder)
    if card.fusion == "late":
        raise UserError(f"{folder}: two networks, fused late; start from a model of each instead")
    network = read_network(folder, card)
    return {
        "network": network.state_dict(),
        "average": None,
        "options": asdict(network.options),
        "labels": list(card.actions),
        "experiment": json.dumps(card.training.experiment),
        "earlier": json.dumps(card.training.earlier),
        "step": card.training.iterations or 0,
    }


def read_network(folder: Path, card: ModelCard) -> AMTnet:
    """A model folder's network, in evaluation mode; it computes what the folder's fp32 graph does.

    Batch normalisations that were folded away are there again with statistics of nothing (mean 0, variance 1); to go
    on learning they need real ones, see `training.initial.take_statistics`.
    Raises UserError where the weights do not fit.
    """
    (network,) = make_networks(card)
    deployed = load_deployed(folder, card)
    assert isinstance(deployed, DeployedNetwork)
    unfold(deployed, network)
    return network


@torch.no_grad()
def unfold(deployed: DeployedNetwork, network: AMTnet) -> None:
    """Give a network of the same shape the weights of a deployed one."""
    weights = {name: value for name, value in deployed.state_dict().items() if name.startswith("trunks.")}
    for norm_name, convolution_name in deployed.folded.items():
        norm, convolution = network.get_submodule(norm_name), network.get_submodule(convolution_name)
        assert isinstance(norm, nn.BatchNorm2d)
        assert isinstance(convolution, nn.Conv2d)
        bias: Tensor = weights.pop(f"{convolution_name}.bias")
        if convolution.bias is not None:
            weights[f"{convolution_name}.bias"] = torch.zeros_like(bias)
        norm.reset_running_stats()
        norm.weight.fill_((1 + norm.eps) ** 0.5)
        norm.bias.copy_(bias)
        weights |= {f"{norm_name}.{name}": value for name, value in norm.state_dict().items()}
    weights |= {name: value for name, value in network.state_dict().items() if name.startswith("heads.")}
    network.load_state_dict(weights)
    deployed.heads.part_into(network.heads)
