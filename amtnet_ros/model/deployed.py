"""The network as engines run it: the same function as `AMTnet.encode`, with fewer and larger operations."""

from __future__ import annotations

import copy
from collections import Counter
from collections.abc import Callable, Sequence
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.nn.utils.fusion import fuse_conv_bn_weights
from torch.overrides import TorchFunctionMode
from torch.utils._pytree import tree_flatten

from amtnet_ros.model.amtnet import AMTnet
from amtnet_ros.model.heads import MicroTubeHeads, PairHead
from amtnet_ros.model.streams import IN_CHANNELS, fuse_maps, look


class MergedHeads(nn.Module):
    """All that the heads compute of one frame, both kinds of values in both places, in one convolution a scale.

    Its output channels are ordered half, prior, value; so a share's rows are a reshape and no copy.
    """

    def __init__(self, heads: MicroTubeHeads) -> None:
        super().__init__()
        self.values = heads.n_logits + 8
        self.weights, self.biases = nn.ParameterList(), nn.ParameterList()
        for classify, regress in heads.by_scale():
            first = _by_prior(classify, regress, lambda head: head.first.weight)
            second = _by_prior(classify, regress, lambda head: head.second.weight)
            bias = _by_prior(classify, regress, _second_bias)
            self.weights.append(nn.Parameter(torch.cat([first, second])))
            self.biases.append(nn.Parameter(torch.cat([torch.zeros_like(bias), bias])))

    @torch.no_grad()
    def part_into(self, heads: MicroTubeHeads) -> None:
        """The inverse of making them: give separate heads of the same sizes these weights."""
        for scale, weight, bias in zip(heads.by_scale(), self.weights, self.biases, strict=True):
            (first, second), own = weight.chunk(2), bias.chunk(2)[1]
            for head, values in zip(scale, (slice(heads.n_logits), slice(heads.n_logits, None)), strict=True):
                head.first.weight.copy_(self._of_each_prior(first, values))
                head.second.weight.copy_(self._of_each_prior(second, values))
                _second_bias(head).copy_(self._of_each_prior(own, values))

    def _of_each_prior(self, merged: Tensor, values: slice) -> Tensor:
        return merged.reshape(-1, self.values, *merged.shape[1:])[:, values].flatten(0, 1)

    def forward(self, maps: Sequence[Tensor]) -> tuple[Tensor, Tensor]:
        """Six maps of one frame → both its shares, each (B, M, n_classes + 1 + 8)."""
        first, second = [], []
        for x, weight, bias in zip(maps, self.weights, self.biases, strict=True):
            cells = F.conv2d(x, weight, bias, padding=1).permute(0, 2, 3, 1)
            half = cells.shape[-1] // 2
            first.append(cells[..., :half].reshape(x.shape[0], -1, self.values))
            second.append(cells[..., half:].reshape(x.shape[0], -1, self.values))
        return torch.cat(first, dim=1), torch.cat(second, dim=1)

    def paired(self, maps_t: Sequence[Tensor], maps_t_plus_delta: Sequence[Tensor]) -> Tensor:
        """The unsplit form, over the concatenated maps of both frames: (B, M, n_classes + 1 + 8)."""
        rows = []
        for at_t, later, weight, bias in zip(maps_t, maps_t_plus_delta, self.weights, self.biases, strict=True):
            first, second = weight.chunk(2)
            both = F.conv2d(torch.cat([at_t, later], 1), torch.cat([first, second], 1), bias.chunk(2)[1], padding=1)
            rows.append(both.permute(0, 2, 3, 1).reshape(both.shape[0], -1, self.values))
        return torch.cat(rows, dim=1)


class DeployedNetwork(nn.Module):
    """Normalised images of one frame → both its shares. The network given is left as it is.

    folded: names of the network's batch normalisations that are gone, and of the convolutions that took them in.
    """

    def __init__(self, network: AMTnet) -> None:
        super().__init__()
        self.streams, self.fusion = network.options.streams, network.options.fusion
        self.strides, self.cells = [network.options.stride(stream) for stream in self.streams], network.cells
        self.trunks = copy.deepcopy(network.trunks).eval()
        size = network.options.image_size
        self.folded: dict[str, str] = {}
        for stream in self.streams:
            folded = fold_batch_norms(self.trunks[stream], torch.zeros(1, IN_CHANNELS[stream], size, size))
            self.folded |= {f"trunks.{stream}.{a}": f"trunks.{stream}.{b}" for a, b in folded.items()}
        self.heads = MergedHeads(network.heads)

    def forward(self, *images: Tensor) -> tuple[Tensor, Tensor]:
        """images: of each stream, (B, 3 or 15, S, S), normalised → two of (B, M, n_classes + 1 + 8)."""
        first, second = self.heads(self.features(*images))
        return first, second

    def features(self, *images: Tensor) -> list[Tensor]:
        """Inputs as `forward` → six fused maps."""
        maps = [
            look(self.trunks[stream], x, stride, self.cells)
            for stream, x, stride in zip(self.streams, images, self.strides, strict=True)
        ]
        return maps[0] if len(maps) == 1 else fuse_maps(self.fusion, maps[0], maps[1])


class LateFusion(nn.Module):
    """Two one-stream networks side by side; the pair's class scores are averaged after the softmax, by the detection.

    A prior's values are the appearance network's, class logits and offsets, and then the motion network's logits.
    """

    def __init__(self, appearance: DeployedNetwork, motion: DeployedNetwork) -> None:
        super().__init__()
        self.appearance, self.motion = appearance, motion

    def forward(self, *images: Tensor) -> tuple[Tensor, Tensor]:
        """images: rgb (B, 3, S, S) and flow (B, 15, S, S), normalised → both shares, (B, M, 2 n_classes + 2 + 8)."""
        logits = self.motion.heads.values - 8
        first, second = (
            torch.cat([values, motion[..., :logits]], dim=-1)
            for values, motion in zip(self.appearance(images[0]), self.motion(images[1]), strict=True)
        )
        return first, second


def deploy(networks: Sequence[AMTnet]) -> nn.Module:
    """The module that engines run: of one network, or of an appearance and a motion network to be fused late."""
    parts = [DeployedNetwork(network) for network in networks]
    return parts[0] if len(parts) == 1 else LateFusion(*parts)


def weight_names(deployed: nn.Module) -> list[str]:
    """Names of what the graph holds of a module's state: all but counters of training steps."""
    return [name for name in deployed.state_dict() if not name.endswith("num_batches_tracked")]


@torch.no_grad()
def fold_batch_norms(module: nn.Module, example: Tensor) -> dict[str, str]:
    """Put every batch normalisation into the weights of the convolution before it, in place.

    example: an input of the module, in evaluation mode. Which normalisation follows which convolution, and that nothing
    else uses what lies between, is seen by running it.
    Returns the names of the normalisations, each with its convolution's.
    """
    made_by: dict[int, nn.Conv2d] = {}
    pairs: list[tuple[nn.Conv2d, nn.BatchNorm2d, int]] = []

    def after_convolution(convolution: nn.Module, _: tuple[Tensor, ...], output: Tensor) -> None:
        assert isinstance(convolution, nn.Conv2d)
        made_by[id(output)] = convolution

    def before_norm(norm: nn.Module, inputs: tuple[Tensor, ...]) -> None:
        assert isinstance(norm, nn.BatchNorm2d)
        if id(inputs[0]) in made_by:
            pairs.append((made_by[id(inputs[0])], norm, id(inputs[0])))

    hooks = [m.register_forward_hook(after_convolution) for m in module.modules() if isinstance(m, nn.Conv2d)]
    hooks += [m.register_forward_pre_hook(before_norm) for m in module.modules() if isinstance(m, nn.BatchNorm2d)]
    with _UseCounter() as uses:
        module(example)
    for hook in hooks:
        hook.remove()
    names = {id(part): name for name, part in module.named_modules()}
    folded = {}
    for convolution, norm, between in pairs:
        if uses.count[between] == 1:
            _fold(convolution, norm)
            folded[names[id(norm)]] = names[id(convolution)]
    for name in folded:
        module.set_submodule(name, nn.Identity())
    return folded


class _UseCounter(TorchFunctionMode):
    """Counts, by its id, how many operations take a tensor; keeps all tensors alive, so that ids stay unique."""

    def __init__(self) -> None:
        super().__init__()
        self.count: Counter[int] = Counter()
        self._alive: list[Any] = []

    def __torch_function__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        result = func(*args, **(kwargs or {}))
        if isinstance(result, Tensor):
            self.count.update(id(x) for x in tree_flatten((args, kwargs))[0] if isinstance(x, Tensor))
        self._alive.append((args, result))
        return result


def _fold(convolution: nn.Conv2d, norm: nn.BatchNorm2d) -> None:
    assert norm.running_mean is not None
    assert norm.running_var is not None
    convolution.weight, convolution.bias = fuse_conv_bn_weights(
        convolution.weight, convolution.bias, norm.running_mean, norm.running_var, norm.eps, norm.weight, norm.bias
    )


def _by_prior(classify: PairHead, regress: PairHead, part: Callable[[PairHead], Tensor]) -> Tensor:
    """Join the output channels (first dimension) of the two heads, prior by prior."""
    parts = [(part(head).detach(), head.outputs) for head in (classify, regress)]
    values = [x.reshape(-1, outputs, *x.shape[1:]) for x, outputs in parts]
    return torch.cat(values, dim=1).flatten(0, 1)


def _second_bias(head: PairHead) -> Tensor:
    assert head.second.bias is not None
    return head.second.bias
