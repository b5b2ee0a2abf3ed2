"""Which priors answer for which ground-truth micro-tubes (Two-Stream AMTnet §3.1)."""

from __future__ import annotations

import torch
from torch import Tensor

from amtnet_ros.model.boxes import pairwise_iou, to_corners

POSITIVE_IOU = 0.5


BACKGROUND, IGNORED = -1, -2


def match_priors(micro_tubes: Tensor, priors: Tensor, negative_iou: float = POSITIVE_IOU) -> Tensor:
    """Assign ground-truth micro-tubes to priors.

    micro_tubes: (K, 2, 4) corners, shares of the input; priors: (M, 4) centre-size.
    A prior is positive where the mean of its two IoUs with a micro-tube reaches 0.5; the best prior of each micro-tube
    is positive in any case. negative_iou: from this mean IoU up to 0.5 a prior is neither positive nor background (the
    paper has none such). Returns (M,) int64: the index of the micro-tube, BACKGROUND, or IGNORED.
    """
    if len(micro_tubes) == 0:
        return torch.full((len(priors),), BACKGROUND, dtype=torch.int64, device=priors.device)
    corners = to_corners(priors)
    overlap = (pairwise_iou(corners, micro_tubes[:, 0]) + pairwise_iou(corners, micro_tubes[:, 1])) / 2
    best, matched = overlap.max(dim=1)
    unmatched = torch.where(best >= negative_iou, IGNORED, BACKGROUND)
    matched = torch.where(best >= POSITIVE_IOU, matched, unmatched)
    # Micro-tubes claim their best priors in order of overlap, so that two never end up sharing one.
    claims = overlap.clone()
    for _ in range(len(micro_tubes)):
        prior, tube = divmod(int(claims.argmax()), claims.shape[1])
        matched[prior] = tube
        claims[prior] = -1
        claims[:, tube] = -1
    return matched
