"""The multi-box loss over micro-tubes (Two-Stream AMTnet §3.1; Liu et al., SSD)."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor

from amtnet_ros.model.boxes import encode_micro_tubes
from amtnet_ros.model.matching import IGNORED, POSITIVE_IOU, match_priors

NEGATIVES_PER_POSITIVE = 3


class Targets(NamedTuple):
    """What each prior should say.

    labels: (B, M) int64, 0 the background, IGNORED where the prior may say anything; offsets: (B, M, 8), defined at
    positives.
    """

    labels: Tensor
    offsets: Tensor


class Losses(NamedTuple):
    """Scalars; both are sums divided by the batch's number of positives."""

    classification: Tensor
    localisation: Tensor


def make_targets(
    boxes: Sequence[Tensor], labels: Sequence[Tensor], priors: Tensor, negative_iou: float = POSITIVE_IOU
) -> Targets:
    """Match every sample, see `match_priors`.

    boxes: B x (K, 2, 4) corners; labels: B x (K,) 0-based; priors: (M, 4).
    """
    all_labels, all_offsets = [], []
    for sample_boxes, sample_labels in zip(boxes, labels, strict=True):
        matched = match_priors(sample_boxes, priors, negative_iou)
        positive = matched >= 0
        target = torch.where(matched == IGNORED, IGNORED, 0)
        offsets = priors.new_zeros(len(priors), 8)
        target[positive] = sample_labels[matched[positive]] + 1
        offsets[positive] = encode_micro_tubes(sample_boxes[matched[positive]], priors[positive])
        all_labels.append(target)
        all_offsets.append(offsets)
    return Targets(torch.stack(all_labels), torch.stack(all_offsets))


def hardest_negatives(logits: Tensor, labels: Tensor) -> Tensor:
    """For each sample the 3 negatives a positive with the highest -log p(background).

    logits: (B, M, C + 1); labels: (B, M) as in Targets. Returns (B, M) bool.
    """
    positive, background = labels > 0, labels == 0
    with torch.no_grad():
        hardness = -F.log_softmax(logits.float(), dim=-1)[..., 0]
        hardness = hardness.masked_fill(~background, -torch.inf)
        rank = hardness.argsort(dim=1, descending=True).argsort(dim=1)
        wanted = (NEGATIVES_PER_POSITIVE * positive.sum(dim=1, keepdim=True)).clamp(max=positive.shape[1] - 1)
        return (rank < wanted) & background


def multibox_loss(logits: Tensor, offsets: Tensor, targets: Targets, label_smoothing: float = 0.0) -> Losses:
    """Cross-entropy over positives and hardest negatives, smooth L1 over the positives' offsets.

    logits: (B, M, C + 1); offsets: (B, M, 8). label_smoothing spreads this share of a positive's target over all
    classes (0 in the paper).
    """
    positive = targets.labels > 0
    n_positive = positive.sum().clamp(min=1)
    negative = hardest_negatives(logits, targets.labels)
    on_positives = F.cross_entropy(
        logits[positive].float(), targets.labels[positive], reduction="sum", label_smoothing=label_smoothing
    )
    on_negatives = F.cross_entropy(logits[negative].float(), targets.labels[negative], reduction="sum")
    localisation = F.smooth_l1_loss(offsets[positive].float(), targets.offsets[positive], reduction="sum")
    return Losses((on_positives + on_negatives) / n_positive, localisation / n_positive)
