"""What a network is taught: to detect micro-tubes, or to name the actor of a close-up."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple, Protocol

import torch
import torch.nn.functional as F
from torch import Tensor

from amtnet_ros.model.amtnet import ActorClassifier, AMTnet
from amtnet_ros.model.loss import Targets, cut_at_border, make_targets, multibox_loss, overlap_loss
from amtnet_ros.model.streams import NetworkOptions, Streams
from amtnet_ros.training.batches import Batch
from amtnet_ros.training.config import Experiment, LossConfig
from amtnet_ros.training.validation import ClassifierValidation, HeldOut, Validation, validate, validate_classifier

Called = Callable[[Tensor | None, Tensor | None], Any]
"""The network as it is to be called: itself, or what wraps it in several processes."""


class TaskLoss(NamedTuple):
    """total: what is minimised. parts: its losses by name, for people. divisor: what their sums were divided by."""

    total: Tensor
    parts: dict[str, Tensor]
    divisor: Tensor


class Task(Protocol):
    """What a trainer needs of a task. Networks are those of `make_network`."""

    def make_network(self, options: NetworkOptions) -> Streams:
        """The network to be taught, with random weights."""
        ...

    def loss(self, network: Streams, called: Called, batch: Batch) -> TaskLoss:
        """One forward pass. called: the network, or its wrapping."""
        ...

    def validate(self, network: Streams, held_out: HeldOut, device: torch.device) -> Validation | ClassifierValidation:
        """Look at pairs of the test videos; figures are shares in 0..1."""
        ...


class DetectMicroTubes:
    """The paper's task: a class and two boxes from each prior (§3.1)."""

    def __init__(self, options: LossConfig, teacher: AMTnet | None = None) -> None:
        """teacher: a network in evaluation mode whose class scores are learnt in place of the labels."""
        self._options, self._teacher = options, teacher

    def make_network(self, options: NetworkOptions) -> AMTnet:
        return AMTnet(options)

    def loss(self, network: Streams, called: Called, batch: Batch) -> TaskLoss:
        assert isinstance(network, AMTnet)
        options, images = self._options, (as_float(batch.rgb), as_float(batch.flow))
        logits, offsets = called(*images)
        targets = make_targets(batch.boxes, batch.labels, network.priors, options.negative_iou, batch.searched)
        if options.open_border:
            offsets = cut_at_border(offsets, targets, network.priors)
        losses = multibox_loss(logits, offsets, targets, options.label_smoothing, self._taught(images, targets, logits))
        total = losses.classification + options.localisation_weight * losses.localisation
        parts = losses._asdict()
        if options.overlap_weight:
            parts["overlap"] = overlap_loss(offsets, targets, network.priors)
            total = total + options.overlap_weight * parts["overlap"]
        return TaskLoss(total, parts, targets.positive.sum().clamp(min=1).float())

    @torch.no_grad()
    def _taught(self, images: tuple[Tensor | None, Tensor | None], targets: Targets, like: Tensor) -> Tensor | None:
        """The teacher's logits (B, M, C + 1) of the same pictures; zeros where it is not asked. like: of that shape."""
        if self._teacher is None:
            return None
        asked = targets.near_actor.any(dim=1)
        if asked.all():
            return self._teacher(*images)[0]  # type: ignore[no-any-return]
        logits = torch.zeros_like(like)
        if asked.any():
            logits[asked] = self._teacher(*(None if x is None else x[asked] for x in images))[0].to(logits.dtype)
        return logits

    def validate(self, network: Streams, held_out: HeldOut, device: torch.device) -> Validation:
        assert isinstance(network, AMTnet)
        return validate(network, held_out, device)


class ClassifyActors:
    """Cross-entropy on close-ups (augmentation.crop: actor); of each sample its one actor counts."""

    def __init__(self, options: LossConfig) -> None:
        self._options = options

    def make_network(self, options: NetworkOptions) -> ActorClassifier:
        return ActorClassifier(options)

    def loss(self, network: Streams, called: Called, batch: Batch) -> TaskLoss:
        labels = torch.cat([labels[:1] for labels in batch.labels])
        order, share = draw_mixture(len(labels), self._options.mixup)
        images = [None if x is None else mixed(x.float(), order, share) for x in (batch.rgb, batch.flow)]
        logits = called(images[0], images[1]).float()
        smoothing = self._options.label_smoothing
        own, other = (F.cross_entropy(logits, y, label_smoothing=smoothing) for y in (labels, labels[order]))
        total = share * own + (1 - share) * other
        return TaskLoss(total, {"classification": total}, torch.tensor(float(len(labels)), device=logits.device))

    def validate(self, network: Streams, held_out: HeldOut, device: torch.device) -> ClassifierValidation:
        assert isinstance(network, ActorClassifier)
        return validate_classifier(network, held_out, device)


def make_task(experiment: Experiment, teacher: AMTnet | None = None) -> Task:
    """The task that an experiment names. teacher: see `DetectMicroTubes`; only the loss needs it."""
    options = experiment.loss
    return DetectMicroTubes(options, teacher) if experiment.task == "detect" else ClassifyActors(options)


def draw_mixture(n: int, alpha: float) -> tuple[Tensor, float]:
    """Mixup's partners and the share of each sample's own image (Zhang et al., "mixup", ICLR 2018).

    alpha: of the Beta distribution of the share; 0 mixes nothing. Returns (n,) indices and the share, 0.5 to 1.
    """
    if not alpha:
        return torch.arange(n), 1.0
    share = float(torch.distributions.Beta(alpha, alpha).sample())
    return torch.randperm(n), max(share, 1 - share)


def mixed(images: Tensor, order: Tensor, share: float) -> Tensor:
    """Each image (B, …) with that of its partner."""
    return images if share == 1 else share * images + (1 - share) * images[order]


def as_float(images: Tensor | None) -> Tensor | None:
    """uint8 images as the network wants them."""
    return None if images is None else images.float()
