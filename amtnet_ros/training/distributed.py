"""One training process or several (started by torchrun): who is who, and gradients averaged between them."""

from __future__ import annotations

import os
from dataclasses import dataclass
from datetime import timedelta

import torch
from torch import Tensor, nn
from torch.nn.parallel import DistributedDataParallel

from amtnet_ros.device.torch_device import choose_torch_device

PATIENCE = timedelta(hours=6)
"""How long processes wait for each other: the first decodes videos and validates while the others wait."""


@dataclass(frozen=True)
class Processes:
    """rank: this process, 0-based; world: how many there are; device: that this process computes on."""

    rank: int
    world: int
    device: torch.device

    @classmethod
    def of_environment(cls, device: str) -> Processes:
        """What torchrun set in the environment; one process without it. Joins the group where there are several.

        device: auto, cpu, cuda or cuda:N; of several processes with cuda, each takes a GPU of its own.
        Raises UserError if there is no such device.
        """
        world = int(os.environ.get("WORLD_SIZE", "1"))
        chosen = choose_torch_device(device, int(os.environ.get("LOCAL_RANK", "0")))
        if world == 1:
            return cls(0, 1, chosen)
        if chosen.type == "cuda":
            torch.cuda.set_device(chosen)
        if not torch.distributed.is_initialized():
            torch.distributed.init_process_group("nccl" if chosen.type == "cuda" else "gloo", timeout=PATIENCE)
        return cls(torch.distributed.get_rank(), world, chosen)

    @property
    def is_first(self) -> bool:
        """Whether this one writes the files and shows the progress."""
        return self.rank == 0

    def wrap(self, network: nn.Module, always_whole: bool) -> nn.Module:
        """The network as it is to be called in training; always_whole: each step uses all that learns."""
        if self.world == 1:
            return network
        return DistributedDataParallel(network, find_unused_parameters=not always_whole)

    def total(self, value: Tensor) -> Tensor:
        """The sum of a number over all processes."""
        if self.world > 1:
            value = value.clone()
            torch.distributed.all_reduce(value)
        return value

    def any(self, flag: bool) -> bool:
        """Whether the flag is set in any process."""
        return bool(self.total(torch.tensor(float(flag), device=self.device))) if self.world > 1 else flag

    def wait(self) -> None:
        """Go on when all processes have come here."""
        if self.world > 1:
            torch.distributed.barrier()

    def leave(self) -> None:
        """The last call."""
        if self.world > 1:
            torch.distributed.destroy_process_group()
