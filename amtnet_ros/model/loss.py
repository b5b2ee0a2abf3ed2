"""What each prior should say, and the losses over all of them (Two-Stream AMTnet §3.1; Liu et al., SSD).

`make_targets` gives priors to the micro-tubes they answer for; `multibox_loss` is the paper's. A teacher's scores in
place of labels, the boxes' overlap and open borders are not in the paper.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor
from torchvision.ops import generalized_box_iou_loss

from amtnet_ros.model.priors import decode_micro_tubes, encode_micro_tubes, pairwise_iou, to_corners

POSITIVE_IOU = 0.5
BACKGROUND, IGNORED = -1, -2
SOMEBODY, UNSEARCHED = -3, -4
"""Targets of priors at a person whose action nobody knows, and where nobody looked."""
NEGATIVES_PER_POSITIVE = 3

IGNORED_WEIGHT = 0.3
"""Weight of the teacher's scores at an ignored prior; at a positive it is 1."""

BORDER = 0.005
"""A box this close to the picture's border (as a share of its side: about a pixel) is taken to be cut off by it."""


class Targets(NamedTuple):
    """What each prior should say.

    labels: (B, M) int64; 0 is the background, 1 and more are classes, SOMEBODY is any of them; IGNORED (some overlap
        with an actor) and UNSEARCHED take no part in the loss.
    offsets: (B, M, 8), defined at positives.
    """

    labels: Tensor
    offsets: Tensor

    @property
    def positive(self) -> Tensor:
        """(B, M) bool: the priors that answer for somebody."""
        return (self.labels > 0) | (self.labels == SOMEBODY)

    @property
    def near_actor(self) -> Tensor:
        """(B, M) bool: the priors that overlap an actor, of whom a teacher may say what they do."""
        return (self.labels > 0) | (self.labels == IGNORED)


def make_targets(
    boxes: Sequence[Tensor],
    labels: Sequence[Tensor],
    priors: Tensor,
    negative_iou: float = POSITIVE_IOU,
    searched: Sequence[bool] | None = None,
) -> Targets:
    """Match every sample, see `match_priors`.

    boxes: B x (K, 2, 4) corners; labels: B x (K,) 0-based, negative where nobody knows; priors: (M, 4).
    searched: whether nobody is where a sample has no box; where not, such priors are UNSEARCHED. None: all are.
    """
    all_labels, all_offsets = [], []
    for i, (sample_boxes, sample_labels) in enumerate(zip(boxes, labels, strict=True)):
        matched = match_priors(sample_boxes, priors, negative_iou)
        positive = matched >= 0
        target = torch.where(matched == IGNORED, IGNORED, 0)
        if searched is not None and not searched[i]:
            target[~positive] = UNSEARCHED
        offsets = priors.new_zeros(len(priors), 8)
        target[positive] = torch.where(sample_labels < 0, SOMEBODY, sample_labels + 1)[matched[positive]]
        offsets[positive] = encode_micro_tubes(sample_boxes[matched[positive]], priors[positive])
        all_labels.append(target)
        all_offsets.append(offsets)
    return Targets(torch.stack(all_labels), torch.stack(all_offsets))


def match_priors(micro_tubes: Tensor, priors: Tensor, negative_iou: float = POSITIVE_IOU) -> Tensor:
    """Assign ground-truth micro-tubes to priors.

    A prior is positive where the mean of its two IoUs with a micro-tube reaches 0.5; the best prior of each micro-tube
    is positive in any case.
    micro_tubes: (K, 2, 4) corners, shares of the input.
    priors: (M, 4) centre-size.
    negative_iou: priors whose mean IoU lies between this and 0.5 are ignored (the paper ignores none).
    Returns (M,) int64: the index of the micro-tube, BACKGROUND, or IGNORED.
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


class Losses(NamedTuple):
    """Scalars; both are sums divided by the batch's number of positives."""

    classification: Tensor
    localisation: Tensor


def multibox_loss(
    logits: Tensor, offsets: Tensor, targets: Targets, label_smoothing: float = 0.0, taught: Tensor | None = None
) -> Losses:
    """Cross-entropy over positives and hardest negatives, smooth L1 over the positives' offsets.

    Where somebody is whose action nobody knows, -log of the probability of all actions together is in its place.
    logits: (B, M, C + 1).
    offsets: (B, M, 8).
    label_smoothing: share of a positive's target that is spread over all classes (0 in the paper).
    taught: a teacher's logits (B, M, C + 1), in place of the positives' labels; see `taught_classification`.
    """
    positive, named = targets.positive, targets.labels > 0
    n_positive = positive.sum().clamp(min=1)
    negative = hardest_negatives(logits, targets)
    if taught is None:
        on_positives = F.cross_entropy(
            logits[named].float(), targets.labels[named], reduction="sum", label_smoothing=label_smoothing
        )
    else:
        on_positives = taught_classification(logits, targets, taught)
    on_positives = on_positives + unnamed_classification(logits[targets.labels == SOMEBODY].float())
    on_negatives = F.cross_entropy(logits[negative].float(), targets.labels[negative], reduction="sum")
    localisation = F.smooth_l1_loss(offsets[positive].float(), targets.offsets[positive], reduction="sum")
    return Losses((on_positives + on_negatives) / n_positive, localisation / n_positive)


def unnamed_classification(logits: Tensor) -> Tensor:
    """The sum of -log p(any action) over priors at people whose action nobody knows; logits: (N, C + 1)."""
    return (logits.logsumexp(-1) - logits[..., 1:].logsumexp(-1)).sum()


def hardest_negatives(logits: Tensor, targets: Targets) -> Tensor:
    """For each sample the 3 negatives a positive with the highest -log p(background).

    logits: (B, M, C + 1). Returns (B, M) bool.
    """
    positive, background = targets.positive, targets.labels == 0
    with torch.no_grad():
        hardness = -F.log_softmax(logits.float(), dim=-1)[..., 0]
        hardness = hardness.masked_fill(~background, -torch.inf)
        rank = hardness.argsort(dim=1, descending=True).argsort(dim=1)
        wanted = (NEGATIVES_PER_POSITIVE * positive.sum(dim=1, keepdim=True)).clamp(max=positive.shape[1] - 1)
        return (rank < wanted) & background


def taught_classification(logits: Tensor, targets: Targets, taught: Tensor) -> Tensor:
    """Cross-entropy with a teacher's scores, over the priors that overlap an actor (Hinton et al., distillation, 2015).

    Positives have weight 1, ignored priors IGNORED_WEIGHT.
    logits, taught: (B, M, C + 1), the network's and the teacher's logits.
    Returns the sum.
    """
    near = targets.near_actor
    weights = torch.where(targets.labels[near] > 0, 1.0, IGNORED_WEIGHT)
    entropies = F.cross_entropy(logits[near].float(), taught[near].float().softmax(-1), reduction="none")
    return (weights * entropies).sum()


def overlap_loss(offsets: Tensor, targets: Targets, priors: Tensor) -> Tensor:
    """1 - GIoU of the boxes of positives, the mean of each one's two (Rezatofighi et al., CVPR 2019).

    offsets: (B, M, 8); priors: (M, 4). Returns the sum divided by the number of positives.
    """
    positive = targets.positive
    anchors = priors.expand(len(offsets), -1, -1)[positive]
    found, wanted = (decode_micro_tubes(x[positive].float(), anchors).flatten(0, 1) for x in (offsets, targets.offsets))
    total: Tensor = generalized_box_iou_loss(found, wanted, reduction="sum")
    return total / (2 * positive.sum().clamp(min=1))


def cut_at_border(offsets: Tensor, targets: Targets, priors: Tensor) -> Tensor:
    """The offsets of boxes as the picture's border would cut them, where it cuts the boxes to be found.

    Detections are clipped to the picture, so a predicted box that reaches beyond the border is not wrong there. A loss
    whose target is the border itself punishes it all the same; predictions then scatter to both sides of the border,
    and since clipping mends one side only, boxes end too early on average. Not in the paper.

    offsets: (B, M, 8), any float dtype, see `encode_micro_tubes`.
    priors: (M, 4) centre-size, shares of the input.
    Returns offsets (B, M, 8), changed only at positives that reach beyond a border which cuts their target.
    """
    positive = targets.positive
    anchors = priors.expand(len(offsets), -1, -1)[positive]
    found, wanted = (decode_micro_tubes(x[positive].float(), anchors) for x in (offsets, targets.offsets))
    beyond = torch.cat(
        [
            (wanted[..., :2] <= BORDER) & (found[..., :2] < wanted[..., :2]),
            (wanted[..., 2:] >= 1 - BORDER) & (found[..., 2:] > wanted[..., 2:]),
        ],
        dim=-1,
    )
    cut = torch.where(beyond, wanted, found)
    remains = (cut[..., 2:] > cut[..., :2]).all(-1, keepdim=True)
    cut = torch.where(remains, cut, found)
    changed = (beyond & remains).flatten(1).any(1, keepdim=True)
    result = offsets.clone()
    result[positive] = torch.where(changed, encode_micro_tubes(cut, anchors).to(offsets.dtype), offsets[positive])
    return result
