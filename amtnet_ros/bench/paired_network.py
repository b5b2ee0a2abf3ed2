"""The network run as it was published, a whole pass of both frames for every pair: the engines' baseline."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from amtnet_ros.boxes import iou
from amtnet_ros.contracts import Float32, Frame, Int64, MicroTubes, UInt8
from amtnet_ros.errors import UserError
from amtnet_ros.inference.card import ModelCard
from amtnet_ros.inference.contract import Encoded, Selection
from amtnet_ros.inference.resize import resize_on_host
from amtnet_ros.inference.selection import Survivors, network_inputs, to_micro_tubes
from amtnet_ros.inference.torch_engine import Normaliser, load_deployed, make_networks, select
from amtnet_ros.model.deployed import DeployedNetwork
from amtnet_ros.model.priors import decode_micro_tubes

Observed = tuple[Frame, UInt8 | None]
"""A frame and its flow stack."""


class PairedNetwork:
    """A model in eager torch, in float32: both frames pass the trunks for each pair, the heads see both at once.

    Batch normalisations are folded into the convolutions, as in the engines, so it is a little faster than published.
    Raises UserError for a model of late fusion, which is two networks.
    """

    def __init__(self, folder: Path, card: ModelCard, device: torch.device) -> None:
        if card.fusion == "late":
            raise UserError(f"{folder}: late fusion is two networks; compare them one by one")
        network = load_deployed(folder, card)
        assert isinstance(network, DeployedNetwork)
        self.card, self.device = card, device
        self._network = network.to(device)
        self._priors = make_networks(card)[0].priors.to(device)
        self._normalise = Normaliser(card, device)

    @torch.inference_mode()
    def unsplit(self, at_t: Observed, at_t_plus_delta: Observed, selection: Selection) -> MicroTubes:
        """The pair in one pass, selected as the torch engine does."""
        rows = self._rows(at_t, at_t_plus_delta)
        survivors = Survivors(*(x.cpu().numpy() for x in select(self.card, rows, self._priors, selection)))
        return _micro_tubes(survivors, at_t[0], at_t_plus_delta[0], selection)

    @torch.inference_mode()
    def as_released(self, at_t: Observed, at_t_plus_delta: Observed, selection: Selection) -> MicroTubes:
        """The pair in one pass; all priors softmaxed, decoded and copied to the host, suppression in NumPy by class."""
        rows = self._rows(at_t, at_t_plus_delta)
        n_logits = len(self.card.actions) + 1
        scores = rows[:, :n_logits].softmax(-1).cpu().numpy()[:, 1:]
        boxes = decode_micro_tubes(rows[:, n_logits:], self._priors).cpu().numpy()
        return _micro_tubes(select_by_class(scores, boxes, selection), at_t[0], at_t_plus_delta[0], selection)

    def _rows(self, at_t: Observed, at_t_plus_delta: Observed) -> Tensor:
        """All values (M, C + 9) of all priors."""
        both = (at_t, at_t_plus_delta)
        resize = partial(resize_on_host, side=self.card.image_size)
        inputs = network_inputs(self.card, [frame for frame, _ in both], [stack for _, stack in both], resize)
        images = [torch.from_numpy(inputs[stream]).to(self.device) for stream in self.card.streams]
        planes = [x.contiguous() for x in self._normalise(images)]
        maps = self._network.features(*planes)
        rows: Tensor = self._network.heads.paired([x[:1] for x in maps], [x[1:] for x in maps])[0]
        return rows


def select_by_class(scores: Float32, boxes: Float32, selection: Selection) -> Survivors:
    """Threshold and greedy suppression, one class after the other.

    scores: (M, C); boxes: (M, 2, 4), of which the first counts.
    """
    rows: list[Int64] = []
    labels: list[Int64] = []
    for label in range(scores.shape[1]):
        above = np.flatnonzero(scores[:, label] > selection.score_threshold)
        order = above[np.argsort(-scores[above, label], kind="stable")]
        kept = order[_suppress(boxes[order, 0].T, selection.nms_iou)][: selection.max_per_class]
        rows.append(kept)
        labels.append(np.full(len(kept), label, dtype=np.int64))
    which, label_of = np.concatenate(rows), np.concatenate(labels)
    return Survivors(boxes[which], label_of, scores[which, label_of], scores[which])


def _suppress(boxes: Float32, limit: float) -> Sequence[int]:
    """Indices of the boxes (4, n), best first, that overlap none kept before by more than `limit`."""
    left = np.arange(boxes.shape[1])
    kept: list[int] = []
    while len(left):
        best, left = int(left[0]), left[1:]
        kept.append(best)
        left = left[iou(boxes[:, best, None], boxes[:, left]) <= limit]
    return kept


def _micro_tubes(survivors: Survivors, at_t: Frame, later: Frame, selection: Selection) -> MicroTubes:
    first, second = (Encoded(None, None, frame.index, frame.stamp, frame.size) for frame in (at_t, later))
    return to_micro_tubes(survivors, first, second, selection)
