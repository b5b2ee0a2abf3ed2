"""The interface of a trunk, and the registry of those there are."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable

from torch import Tensor, nn

from amtnet_ros.errors import UserError

N_MAPS = 6


class Trunk(nn.Module, ABC):
    """Turns one stream's input of one frame into six feature maps (the B-CNN of Two-Stream AMTnet §3.1).

    channels: of the six maps, finest first.
    mean, std: the input normalisation `(x - mean) / std` of each 3-channel image, RGB order, on values 0..255.
    """

    channels: tuple[int, ...]
    mean: tuple[float, float, float]
    std: tuple[float, float, float]

    @abstractmethod
    def cells(self, image_size: int) -> tuple[int, ...]:
        """Cells a side of the six maps for a square input of `image_size` pixels."""

    @abstractmethod
    def forward(self, images: Tensor) -> list[Tensor]:
        """(B, in_channels, S, S) float, normalised → six maps (B, channels[k], cells[k], cells[k])."""

    def pretrained(self) -> list[nn.Module]:
        """The layers that initial weights exist for; none unless a trunk says so."""
        return []

    def lowest(self, blocks: int) -> list[nn.Module]:
        """The first layer and the first `blocks` blocks, none of them for 0; what training may freeze.

        Raises UserError unless the trunk says what its blocks are.
        """
        if blocks:
            raise UserError(f"{type(self).__name__} has no blocks to freeze; set optimiser.freeze_blocks to 0")
        return []

    @abstractmethod
    def load_initial_weights(self, source: str) -> None:
        """Start from weights learnt elsewhere.

        source: 'imagenet' or another name of weights that a registry or package offers for the trunk, or the path of a
        local state dict.
        Raises UserError where the source is missing or does not fit.
        """


TRUNKS: dict[str, Callable[[int], Trunk]] = {}
"""Name → constructor from the number of input channels (3 or 15)."""


def register_trunk(name: str) -> Callable[[Callable[[int], Trunk]], Callable[[int], Trunk]]:
    """Class decorator: makes a trunk available to configurations by name."""

    def register(constructor: Callable[[int], Trunk]) -> Callable[[int], Trunk]:
        TRUNKS[name] = constructor
        return constructor

    return register


def widen_first_layer(weight: Tensor, in_channels: int) -> Tensor:
    """A 3-channel first convolution's weight (O, 3, k, k) for a stack of `in_channels / 3` images.

    Tiled and divided by the number of images, so that a stack of equal images gives the response of one (the release's
    initialisation of the motion stream).
    """
    n_images = in_channels // weight.shape[1]
    return weight.repeat(1, n_images, 1, 1) / n_images
