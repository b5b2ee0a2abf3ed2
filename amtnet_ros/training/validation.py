"""Validation of a network in training, on a few frames of each test clip: are actors found, and actions named?"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor
from torchvision.ops import batched_nms

from amtnet_ros.contracts import Int64
from amtnet_ros.data.annotations import AnnotatedVideo, Dataset
from amtnet_ros.data.cache import VideoCache
from amtnet_ros.data.samples import PairOptions, PairSample, plain_sample
from amtnet_ros.evaluation.frame_map import FrameDetections, frame_map
from amtnet_ros.model.amtnet import ActorClassifier, AMTnet
from amtnet_ros.model.priors import pairwise_iou
from amtnet_ros.training.batches import collate

FOUND_IOU, TIGHT_IOU = 0.5, 0.75
# Detections of a frame, as in the release's validation.
MIN_SCORE = 0.01
NMS_IOU = 0.45
CANDIDATES = 1000
KEPT = 50


@dataclass(frozen=True)
class Validation:
    """Shares in 0..1, over pairs spread evenly through the test clips; a pair's boxes are those in its first frame.

    located: pairs whose best-scoring micro-tube overlaps an actor by IoU 0.5 or more, of those that have an actor.
    tight: the same at IoU 0.75.
    named: pairs whose best-scoring micro-tube has the right class, of the same.
    clips_named: clips whose pairs' best scores, summed over the pairs for each class, have the right class.
    frame_map: mean average precision of all detections in these frames, at IoU 0.5 (see evaluation.frame_map).
    """

    located: float
    tight: float
    named: float
    clips_named: float
    frame_map: float


@dataclass(frozen=True)
class ClassifierValidation:
    """Shares in 0..1, over close-ups of frames spread evenly through the test clips.

    named: close-ups that got the right class. clips_named: clips, by the sum of their close-ups' scores.
    """

    named: float
    clips_named: float


@dataclass(frozen=True)
class HeldOut:
    """Pairs to look at: `frames` of each clip in `names`, the smallest of the options' deltas apart."""

    dataset: Dataset
    names: Sequence[str]
    cache: VideoCache
    options: PairOptions
    frames: int

    def clips(self) -> Iterator[tuple[AnnotatedVideo, Int64, list[PairSample]]]:
        """Each clip with the first frames of its pairs, and the pairs, undistorted."""
        delta = min(self.options.deltas)
        for name in self.names:
            video = self.dataset.videos[name]
            if delta >= video.n_frames:
                continue
            starts = np.unique(np.linspace(0, video.n_frames - 1 - delta, self.frames).round().astype(np.int64))
            yield video, starts, [plain_sample(self.cache, video, int(t), delta, self.options) for t in starts]


@torch.no_grad()
def validate(network: AMTnet, held_out: HeldOut, device: torch.device) -> Validation:
    """Run the network in evaluation mode over the pairs, one clip a batch."""
    was_training = network.training
    network.eval()
    overlaps: list[float] = []
    named, clips_named = [], []
    detections: dict[str, FrameDetections] = {}
    looked_at: dict[str, Int64] = {}
    for video, starts, samples in held_out.clips():
        batch = collate(samples).to(device)
        images = [None if x is None else x.float() for x in (batch.rgb, batch.flow)]
        scores, boxes = network.decode(*network(images[0], images[1]))
        best_by_class: list[Tensor] = []
        for score, box, truth, label in zip(scores, boxes, batch.boxes, batch.labels, strict=True):
            if not len(label):
                continue
            prior, guess = divmod(int(score.argmax()), score.shape[-1])
            overlaps.append(float(pairwise_iou(box[prior, :1], truth[:, 0]).max()))
            named.append(bool((label == guess).any()))
            best_by_class.append(score.max(dim=0).values)
        if best_by_class:
            guess = int(torch.stack(best_by_class).sum(0).argmax())
            clips_named.append(any(instance.label == guess for instance in video.instances))
        detections[video.name] = _detections(scores, boxes, starts, video.size)
        looked_at[video.name] = starts
    network.train(was_training)
    precision = frame_map(held_out.dataset, detections, FOUND_IOU, looked_at).mean if detections else float("nan")
    located, tight = (_mean([overlap >= least for overlap in overlaps]) for least in (FOUND_IOU, TIGHT_IOU))
    return Validation(located, tight, _mean(named), _mean(clips_named), precision)


@torch.no_grad()
def validate_classifier(network: ActorClassifier, held_out: HeldOut, device: torch.device) -> ClassifierValidation:
    """Run a classifier in evaluation mode over close-ups, one clip a batch; those without an actor do not count."""
    was_training = network.training
    network.eval()
    named, clips_named = [], []
    for video, _, samples in held_out.clips():
        close_ups = [sample for sample in samples if len(sample.labels)]
        if not close_ups:
            continue
        batch = collate(close_ups).to(device)
        images = [None if x is None else x.float() for x in (batch.rgb, batch.flow)]
        scores = network(images[0], images[1]).softmax(-1)
        truth = torch.cat([labels[:1] for labels in batch.labels])
        named += (scores.argmax(-1) == truth).tolist()
        guess = int(scores.sum(0).argmax())
        clips_named.append(any(instance.label == guess for instance in video.instances))
    network.train(was_training)
    return ClassifierValidation(_mean(named), _mean(clips_named))


def _detections(scores: Tensor, boxes: Tensor, frames: Int64, size: tuple[int, int]) -> FrameDetections:
    """Selected micro-tubes of B pairs, scores (B, M, C) and boxes (B, M, 2, 4), as boxes in the pairs' first frames."""
    parts: list[tuple[Tensor, Tensor, Tensor]] = []
    for score, box in zip(scores, boxes, strict=True):
        top = score.flatten().topk(min(CANDIDATES, score.numel()))
        chosen = top.indices[top.values > MIN_SCORE]
        values, corners, labels = (
            score.flatten()[chosen],
            box[chosen // score.shape[1], 0],
            chosen % score.shape[1],
        )
        kept = batched_nms(corners, values, labels, NMS_IOU)[:KEPT]
        parts.append((corners[kept], labels[kept], values[kept]))
    corners, labels, values = (torch.cat(part).cpu().numpy() for part in zip(*parts, strict=True))
    counts = [len(part[1]) for part in parts]
    return FrameDetections(np.repeat(frames, counts), corners * np.array([*size, *size]), labels, values)


def _mean(flags: list[bool]) -> float:
    return float(np.mean(flags)) if flags else float("nan")
