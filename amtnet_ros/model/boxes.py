"""Box geometry in torch: IoU, and offsets of micro-tubes against priors."""

from __future__ import annotations

import torch
from torch import Tensor

CENTRE_VARIANCE = 0.1
SIZE_VARIANCE = 0.2


def to_corners(boxes: Tensor) -> Tensor:
    """(..., 4) centre x, centre y, width, height → x1, y1, x2, y2."""
    centres, sizes = boxes[..., :2], boxes[..., 2:]
    return torch.cat([centres - sizes / 2, centres + sizes / 2], dim=-1)


def to_centre_size(boxes: Tensor) -> Tensor:
    """(..., 4) x1, y1, x2, y2 → centre x, centre y, width, height."""
    low, high = boxes[..., :2], boxes[..., 2:]
    return torch.cat([(low + high) / 2, high - low], dim=-1)


def pairwise_iou(first: Tensor, second: Tensor) -> Tensor:
    """IoU of every box of (A, 4) with every box of (B, 4), corners, any unit → (A, B)."""
    low = torch.maximum(first[:, None, :2], second[None, :, :2])
    high = torch.minimum(first[:, None, 2:], second[None, :, 2:])
    overlap = (high - low).clamp(min=0).prod(-1)
    areas = [(b[:, 2:] - b[:, :2]).clamp(min=0).prod(-1) for b in (first, second)]
    union = areas[0][:, None] + areas[1][None, :] - overlap
    return overlap / union.clamp(min=torch.finfo(union.dtype).tiny)


def encode_micro_tubes(micro_tubes: Tensor, priors: Tensor) -> Tensor:
    """Offsets of micro-tubes against their priors.

    micro_tubes: (M, 2, 4) corners, shares of the input; priors: (M, 4) centre-size.
    Returns (M, 8): for each of the two boxes the centre's shift in prior sizes / 0.1 and the log size ratio / 0.2.
    """
    boxes = to_centre_size(micro_tubes)
    shift = (boxes[..., :2] - priors[:, None, :2]) / (priors[:, None, 2:] * CENTRE_VARIANCE)
    growth = torch.log(boxes[..., 2:] / priors[:, None, 2:]) / SIZE_VARIANCE
    return torch.cat([shift, growth], dim=-1).flatten(1)


def decode_micro_tubes(offsets: Tensor, priors: Tensor) -> Tensor:
    """The inverse of `encode_micro_tubes`: (..., M, 8) offsets and (M, 4) priors → (..., M, 2, 4) corners."""
    pairs = offsets.reshape(*offsets.shape[:-1], 2, 4)
    anchors = priors[:, None, :]
    centres = anchors[..., :2] + pairs[..., :2] * CENTRE_VARIANCE * anchors[..., 2:]
    sizes = anchors[..., 2:] * torch.exp(pairs[..., 2:] * SIZE_VARIANCE)
    return torch.cat([centres - sizes / 2, centres + sizes / 2], dim=-1)
