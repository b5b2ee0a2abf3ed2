"""Model folders of networks nobody trained, to measure speed with."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import torch

from amtnet_ros.deploy.export import ExportOptions, Trained, export_model
from amtnet_ros.deploy.quantise import quantise_model
from amtnet_ros.inference.card import ModelCard
from amtnet_ros.model.amtnet import AMTnet
from amtnet_ros.model.checkpoint import TrainingFacts
from amtnet_ros.model.streams import IN_CHANNELS, NetworkOptions

N_CLASSES = 21
ABOVE = 400
"""So many of all class scores pass the release's threshold: about what trained networks leave to suppression."""


def write_random_model(trunk: str, folder: Path, threshold: float = 0.01) -> ModelCard:
    """Write a two-stream network with sum fusion, seed 0, in fp32 and int8.

    The background's bias is set so that a plausible number of scores passes the threshold; uniform scores would make
    suppression take longer than the network. Raises UserError for an unknown trunk.
    """
    torch.manual_seed(0)
    network = AMTnet(NetworkOptions(N_CLASSES, trunk)).eval()
    rng = np.random.default_rng(0)
    size = network.options.image_size
    images = {
        stream: rng.integers(0, 256, (1, size, size, channels), dtype=np.uint8)
        for stream, channels in IN_CHANNELS.items()
    }
    _silence(network, images, threshold)
    labels = tuple(f"class_{k}" for k in range(N_CLASSES))
    facts = TrainingFacts("none", None, 0, (1,), "dis:medium", "past")
    trained = Trained(network, labels, facts, {"name": "random"})
    export_model([trained], folder, ExportOptions(description="Random weights, to measure speed with."))
    return quantise_model(folder, [images], "noise")


@torch.no_grad()
def _silence(network: AMTnet, images: dict[str, np.ndarray], threshold: float) -> None:
    """Shift the background's logit until about ABOVE class scores pass the threshold."""
    tensors = [torch.from_numpy(image).permute(0, 3, 1, 2).float() for image in images.values()]
    first, second = network.encode(*tensors)
    n_logits = network.heads.n_logits
    logits = network.pair(first, second)[0][0]
    low, high = -100.0, 10000.0
    for _ in range(60):
        shift = (low + high) / 2
        shifted = logits.clone()
        shifted[:, 0] += shift
        above = int((shifted.softmax(-1)[:, 1:] > threshold).sum())
        low, high = (shift, high) if above > ABOVE else (low, shift)
    for head in network.heads.classify:
        bias = head.second.bias.view(-1, n_logits)  # type: ignore[union-attr, operator]
        bias[:, 0] += high
