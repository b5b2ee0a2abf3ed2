"""The engine `raft`: RAFT (Teed, Deng, ECCV 2020) as torchvision ships it."""

from __future__ import annotations

import urllib.error
from pathlib import Path

import numpy as np
import torch
from torch import Tensor, nn
from torchvision.models import optical_flow

from amtnet_ros.contracts import UInt8
from amtnet_ros.errors import UserError
from amtnet_ros.flow.contract import WORKING_SIZE, to_working_size
from amtnet_ros.flow.torch_engine import TorchFlow

VARIANTS = {
    "small": (optical_flow.raft_small, optical_flow.Raft_Small_Weights.DEFAULT),
    "large": (optical_flow.raft_large, optical_flow.Raft_Large_Weights.DEFAULT),
}
SMALLEST = 128
"""Shortest side in pixels: RAFT's correlation pyramid needs it."""


class RaftFlow(TorchFlow):
    """RAFT `small` or `large`, 12 updates.

    weights: a file with the network's state_dict; None downloads torchvision's into torch's cache, once.
    """

    def __init__(
        self,
        variant: str = "small",
        weights: Path | None = None,
        working_size: tuple[int, int] = WORKING_SIZE,
        device: str = "auto",
    ) -> None:
        if variant not in VARIANTS:
            raise UserError(f"flow: unknown network 'raft:{variant}'; use one of {', '.join(VARIANTS)}")
        if min(working_size) < SMALLEST:
            raise UserError(f"flow: raft needs a working size of {SMALLEST}x{SMALLEST} or more, not {working_size}")
        super().__init__(f"raft:{variant}", working_size, device)
        self._network = _load(variant, weights).eval().to(self.device)
        self._pad = nn.ReplicationPad2d((0, -working_size[0] % 8, 0, -working_size[1] % 8))

    def _prepare(self, image: UInt8) -> UInt8:
        return np.ascontiguousarray(to_working_size(image, self.working_size))

    def _flow(self, previous: Tensor, current: Tensor) -> Tensor:
        first, second = (self._pad(x.permute(0, 3, 1, 2).float() / 127.5 - 1) for x in (previous, current))
        flow: Tensor = self._network(first, second)[-1]
        width, height = self.working_size
        return flow[..., :height, :width].permute(0, 2, 3, 1)


def _load(variant: str, weights: Path | None) -> nn.Module:
    build, published = VARIANTS[variant]
    network: nn.Module = build(weights=None, progress=False)
    try:
        if weights is None:
            state = published.get_state_dict(progress=True, check_hash=True)
        else:
            state = torch.load(weights, map_location="cpu", weights_only=True)
        network.load_state_dict(state)
    except (urllib.error.URLError, OSError) as error:
        raise UserError(
            f"flow: no weights for raft:{variant} from {weights or published.url} ({error}); give raft:{variant}:FILE"
        ) from None
    except Exception:  # torch.load and load_state_dict raise of many kinds
        raise UserError(f"flow: {weights} does not hold the weights of raft:{variant}") from None
    return network
