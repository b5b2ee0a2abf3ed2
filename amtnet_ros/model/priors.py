"""Priors: the default boxes against which micro-tubes are predicted (SSD; Two-Stream AMTnet §3.1).

Here are the priors themselves, micro-tubes as offsets against them and back, and the boxes' two forms and overlap in
torch.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
import torch
from torch import Tensor

from amtnet_ros.contracts import Float32

# Sizes are pixels of a 300x300 input and scale with it; one entry a feature map, finest first.
MIN_SIZES = (30, 60, 111, 162, 213, 264)
MAX_SIZES = (60, 111, 162, 213, 264, 315)
ASPECT_RATIOS = ((2,), (2, 3), (2, 3), (2, 3), (2,), (2,))
PRIORS_PER_CELL = tuple(2 + 2 * len(ratios) for ratios in ASPECT_RATIOS)
STRIDES = (8, 16, 32, 64)
REFERENCE_SIZE = 300
CENTRE_VARIANCE = 0.1
SIZE_VARIANCE = 0.2


def make_priors(image_size: int, cells: Sequence[int]) -> Float32:
    """All priors of a square input.

    image_size: side of the input in pixels.
    cells: cells a side of the six feature maps, finest first: (38, 19, 10, 5, 3, 1) at 300x300.
    Returns (M, 4) float32: centre x, centre y, width, height as shares of the input, clipped to 0..1; ordered by map,
    row, column, then within a cell: min size, sqrt(min * max), and for each aspect ratio the wide and the tall box.
    """
    boxes = []
    for k, (n, step) in enumerate(zip(cells, prior_steps(image_size, cells), strict=True)):
        smallest, largest = MIN_SIZES[k] / REFERENCE_SIZE, MAX_SIZES[k] / REFERENCE_SIZE
        between = math.sqrt(smallest * largest)
        shapes = [(smallest, smallest), (between, between)]
        for ratio in ASPECT_RATIOS[k]:
            root = math.sqrt(ratio)
            shapes += [(smallest * root, smallest / root), (smallest / root, smallest * root)]
        centres = (np.arange(n) + 0.5) * step / image_size
        rows, columns, which = np.meshgrid(centres, centres, np.arange(len(shapes)), indexing="ij")
        sizes = np.array(shapes)[which]
        boxes.append(np.concatenate([np.stack([columns, rows], -1), sizes], axis=-1).reshape(-1, 4))
    priors: Float32 = np.clip(np.concatenate(boxes), 0.0, 1.0).astype(np.float32)
    return priors


def prior_steps(image_size: int, cells: Sequence[int]) -> tuple[float, ...]:
    """Distance in input pixels between neighbouring priors of each feature map.

    The first four maps have the strides of SSD; the coarsest two spread their cells evenly (100 and 300 at 300x300).
    """
    return tuple(float(s) for s in STRIDES) + tuple(image_size / n for n in cells[len(STRIDES) :])


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
