"""The block that mobile trunks are made of (Sandler et al., MobileNetV2), as TensorFlow computes it."""

from __future__ import annotations

import math

import torch
import torch.nn.functional as F
from torch import Tensor, nn

BATCH_NORM_EPS = 1e-3


class SameConv2d(nn.Conv2d):
    """Convolution with TensorFlow's 'same' padding, which weights from there expect: more at the far end if odd."""

    def forward(self, x: Tensor) -> Tensor:
        kernel, stride = self.kernel_size[0], self.stride[0]
        if stride == 1:
            return F.conv2d(x, self.weight, self.bias, padding=kernel // 2, groups=self.groups)
        pads: list[int] = []
        for size in (x.shape[-1], x.shape[-2]):
            total = max((math.ceil(size / stride) - 1) * stride + kernel - size, 0)
            pads += [total // 2, total - total // 2]
        return F.conv2d(F.pad(x, pads), self.weight, self.bias, stride=stride, groups=self.groups)


def batch_norm(channels: int) -> nn.BatchNorm2d:
    """Batch normalisation with TensorFlow's constants."""
    return nn.BatchNorm2d(channels, eps=BATCH_NORM_EPS, momentum=0.01)


class InvertedResidual(nn.Module):
    """Expand 1x1, filter depthwise, project 1x1; added to its input where the shapes allow."""

    def __init__(self, in_channels: int, out_channels: int, kernel: int, stride: int, expansion: int) -> None:
        super().__init__()
        inner = in_channels * expansion
        self.expands = expansion != 1
        if self.expands:
            self._expand_conv = SameConv2d(in_channels, inner, 1, bias=False)
            self._bn0 = batch_norm(inner)
        self._depthwise_conv = SameConv2d(inner, inner, kernel, stride=stride, groups=inner, bias=False)
        self._bn1 = batch_norm(inner)
        self._project_conv = SameConv2d(inner, out_channels, 1, bias=False)
        self._bn2 = batch_norm(out_channels)
        self.adds_input = stride == 1 and in_channels == out_channels

    def forward(self, x: Tensor) -> Tensor:
        """(B, in, H, W) → (B, out, ceil(H / stride), ceil(W / stride))."""
        return self.project(x, self.expand(x))

    def expand(self, x: Tensor) -> Tensor:
        """The input at its full width, as the filter sees it: (B, in, H, W) → (B, in * expansion, H, W)."""
        return F.relu6(self._bn0(self._expand_conv(x))) if self.expands else x

    def project(self, x: Tensor, expanded: Tensor) -> Tensor:
        """The block's output from its input and what `expand` made of that."""
        y = F.relu6(self._bn1(self._depthwise_conv(expanded)))
        y = self._bn2(self._project_conv(y))
        return torch.add(x, y) if self.adds_input else y
