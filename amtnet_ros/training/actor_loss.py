"""What the actor stream is taught by: answers of which any may be right, and names that it is not to forget."""

from __future__ import annotations

import torch.nn.functional as F
from torch import Tensor


def answer_loss(logits: Tensor, right: Tensor, smoothing: float) -> Tensor:
    """-log of the probability of all right answers together, a sample: (B, n), (B, n) bool → (B,).

    With one right answer it is the cross-entropy. smoothing: this share of the target is spread over all answers.
    """
    scores = logits.log_softmax(dim=-1)
    chosen = scores.masked_fill(~right, -float("inf")).logsumexp(dim=-1)
    return -(1 - smoothing) * chosen - smoothing * scores.mean(dim=-1)


def forgetting(names: Tensor, untaught: Tensor) -> Tensor:
    """Kullback-Leibler divergence of the names (B, 600 logits) from those of the untaught network, mean → ()."""
    return F.kl_div(names.log_softmax(-1), untaught.log_softmax(-1), reduction="batchmean", log_target=True)
