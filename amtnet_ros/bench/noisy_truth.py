"""Micro-tubes as an imperfect detector would give them, made from ground truth: linking can be measured without videos.

Every actor is missed at times, and then mostly for a while; his boxes are off, now here, now there, and jitter; his
class scores waver, and for a while a wrong class leads; he is seen a little before and after his action; and there are
things that do nothing, of which some stay and most flicker. What lasts, lasts for so many frames, whatever the delta.
"""

from __future__ import annotations

import zlib
from dataclasses import dataclass

import numpy as np

from amtnet_ros.contracts import Float32, Int64, MicroTubes
from amtnet_ros.data.annotations import ActionInstance, AnnotatedVideo
from amtnet_ros.evaluation.tubes import Float64, ScoredTube

STAMP_STEP = 40_000_000
"""Nanoseconds between two frames (25 frames a second)."""


@dataclass(frozen=True)
class Noise:
    """How bad the detector is.

    miss: share of the time in which an actor is missed. miss_run: mean number of frames in a row.
    jitter: standard deviation of each box coordinate, as a share of the box's width or height; half of the variance
        stays for about 10 frames, half is new in each box.
    mislabel: share of the time in which a wrong class takes most of the score; in every second case it is the same one
        throughout the video. mislabel_run: mean number of frames in a row.
    duplicates: mean number of further priors that fire on an actor, with boxes twice as bad and lower scores.
    clutter: things that are taken for an actor throughout a video, each seen in half of the pairs.
    false: mean number of further false micro-tubes a pair, never twice in one place.
    linger: frames for which an actor is seen before and after his action, with low scores.
    threshold: class scores below it are not detections (that of the network's output).
    """

    miss: float = 0.1
    miss_run: float = 4.0
    jitter: float = 0.07
    mislabel: float = 0.15
    mislabel_run: float = 8.0
    duplicates: float = 1.0
    clutter: int = 2
    false: float = 1.0
    linger: int = 12
    threshold: float = 0.05


@dataclass(frozen=True, slots=True)
class NoisyPair:
    """The micro-tubes of one pair, and for each the instance of the video that caused it, (N,) int64, -1 for none."""

    micro_tubes: MicroTubes
    sources: Int64


def noisy_pairs(video: AnnotatedVideo, n_classes: int, delta: int, noise: Noise, seed: int) -> list[NoisyPair]:
    """The pairs (0, Δ), (Δ, 2Δ) … of a video. Equal arguments give equal pairs.

    As the network does it, a prior comes once for every class whose score is above the threshold.
    """
    rng = np.random.default_rng([seed, zlib.crc32(video.name.encode()), delta])
    confusion = int(rng.integers(n_classes))
    actors = [_Actor(i, instance, noise, rng) for i, instance in enumerate(video.instances)]
    clutter = [(_random_box(video.size, rng), int(rng.integers(n_classes))) for _ in range(noise.clutter)]
    pairs = []
    for first in range(0, video.n_frames - delta, delta):
        priors: list[tuple[int, Float64, Float64]] = []
        for actor in actors:
            priors += actor.look(first, first + delta, n_classes, confusion, rng)
        for box, label in clutter:
            if rng.random() < 0.5:
                priors.append(
                    (-1, _shake(np.stack([box, box]), noise.jitter, rng), _scores(label, 0.25, n_classes, rng))
                )
        for _ in range(rng.poisson(noise.false)):
            box = _random_box(video.size, rng)
            boxes = _shake(np.stack([box, box]), noise.jitter, rng)
            priors.append((-1, boxes, _scores(int(rng.integers(n_classes)), 0.2, n_classes, rng)))
        pairs.append(_pair(priors, n_classes, (first, first + delta), video.size, noise.threshold))
    return pairs


def perfect_tubes(video: str, pairs: list[NoisyPair], *, every_class: bool, least: int = 2) -> list[ScoredTube]:
    """What a linker that knows the truth makes of the same micro-tubes: all of an actor's in one tube, and no other.

    every_class: tubes follow the actor and count for each class with the mean of their scores for it; else an actor has
        a tube for each class in which he was detected. least: micro-tubes of a tube. Gaps are filled linearly.
    """
    seen: dict[tuple[int, int], list[tuple[MicroTubes, int]]] = {}
    for pair in pairs:
        best: dict[tuple[int, int], int] = {}
        for row in np.argsort(-pair.micro_tubes.scores, kind="stable").tolist():
            label = -1 if every_class else int(pair.micro_tubes.labels[row])
            best.setdefault((int(pair.sources[row]), label), row)
        for (source, label), row in best.items():
            if source >= 0:
                seen.setdefault((source, label), []).append((pair.micro_tubes, row))
    tubes = []
    for (_, label), sightings in seen.items():
        if len(sightings) < least:
            continue
        frames = np.array([pair.frames for pair, _ in sightings])
        boxes = np.concatenate([pair.boxes[row] for pair, row in sightings]).astype(np.float64)
        order = np.unique(frames.ravel(), return_index=True)
        every = np.arange(frames.min(), frames.max() + 1)
        whole = np.stack([np.interp(every, order[0], boxes[order[1], i]) for i in range(4)], axis=1)
        scores = np.mean([pair.class_scores[row] for pair, row in sightings], axis=0)
        labels = range(len(scores)) if every_class else [label]
        tubes += [ScoredTube(video, c, float(scores[c]), int(every[0]), whole) for c in labels]
    return tubes


class _Spell:
    """Something that is now so, now not: a two-state chain, frame by frame, with this share and mean run of "so"."""

    def __init__(self, share: float, run: float, rng: np.random.Generator) -> None:
        self.share = share
        self.keep = 1 - 1 / (run * (1 - share))  # of what is remembered from one frame to the next
        self.on = bool(rng.random() < share)

    def pass_frames(self, n: int, rng: np.random.Generator) -> bool:
        """The state after n frames more."""
        memory = self.keep**n
        self.on = bool(rng.random() < self.share * (1 - memory) + self.on * memory)
        return self.on


class _Actor:
    """One instance as the detector sees it."""

    def __init__(self, number: int, instance: ActionInstance, noise: Noise, rng: np.random.Generator) -> None:
        self.number = number
        self.instance = instance
        self.noise = noise
        self.missed = _Spell(noise.miss, noise.miss_run, rng)
        self.mislabelled = _Spell(noise.mislabel, noise.mislabel_run, rng)
        self.wrong = 0
        self.off = rng.normal(0, 1, 4)

    def look(
        self, first: int, second: int, n_classes: int, confusion: int, rng: np.random.Generator
    ) -> list[tuple[int, Float64, Float64]]:
        """The priors that fire on the actor: source, boxes (2, 4), class scores (C,)."""
        noise, frames, label = self.noise, self.instance.frames, self.instance.label
        was_mislabelled = self.mislabelled.on
        missed = self.missed.pass_frames(second - first, rng)
        mislabelled = self.mislabelled.pass_frames(second - first, rng)
        if mislabelled and not was_mislabelled:
            self.wrong = confusion if rng.random() < 0.5 else int(rng.integers(n_classes))
        memory = 0.9 ** (second - first)
        before, self.off = self.off, memory * self.off + np.sqrt(1 - memory**2) * rng.normal(0, 1, 4)
        begin, end = int(frames[0]), int(frames[-1])
        if missed or second < begin - noise.linger or first > end + noise.linger:
            return []
        acting = second >= begin and first <= end
        scores = _scores(label, rng.beta(4, 2) if acting else 0.2 * rng.beta(2, 2), n_classes, rng)
        if mislabelled:
            scores[[self.wrong, label]] = scores[label] * np.array([0.8, 0.2])
        share = noise.jitter * np.sqrt(0.5)
        boxes = np.stack([self._box(first), self._box(second)])
        sides = boxes[:, 2:] - boxes[:, :2]
        boxes += share * np.stack([before, self.off]) * np.concatenate([sides, sides], axis=1)
        priors = [(self.number, _shake(boxes, share, rng), scores)]
        for _ in range(rng.poisson(noise.duplicates)):
            weaker = scores * rng.uniform(0.4, 1.0)
            priors.append((self.number, _shake(boxes, 2 * share, rng), weaker))
        return priors

    def _box(self, frame: int) -> Float64:
        frames, boxes = self.instance.frames, self.instance.boxes
        return np.array([np.interp(frame, frames, boxes[:, i]) for i in range(4)])


def _scores(label: int, confidence: float, n_classes: int, rng: np.random.Generator) -> Float64:
    """(C,) softmax scores that give the class `label` about this confidence; what is missing to 1 is the background."""
    rest: Float64 = rng.dirichlet(np.full(n_classes, 0.1)) * (1 - confidence) * rng.uniform(0.2, 1.0)
    rest[label] = confidence
    return rest


def _shake(boxes: Float64, share: float, rng: np.random.Generator) -> Float64:
    sides = boxes[:, 2:] - boxes[:, :2]
    shift: Float64 = rng.normal(0, share, boxes.shape) * np.concatenate([sides, sides], axis=1)
    return boxes + shift


def _random_box(size: tuple[int, int], rng: np.random.Generator) -> Float64:
    sides = rng.uniform(0.1, 0.5, 2) * size
    corner = rng.uniform(0, size - sides)
    return np.concatenate([corner, corner + sides])


def _pair(
    priors: list[tuple[int, Float64, Float64]],
    n_classes: int,
    frames: tuple[int, int],
    size: tuple[int, int],
    threshold: float,
) -> NoisyPair:
    """Each prior once for every class above the threshold."""
    sources = np.array([source for source, _, _ in priors], np.int64)
    boxes: Float32 = np.array([boxes for _, boxes, _ in priors], np.float32).reshape(-1, 2, 4)
    boxes[..., 2:] = np.maximum(boxes[..., 2:], boxes[..., :2] + 1)
    class_scores = np.array([scores for _, _, scores in priors], np.float32).reshape(-1, n_classes)
    prior, label = np.nonzero(class_scores >= threshold)
    micro_tubes = MicroTubes(
        boxes=boxes[prior],
        labels=label,
        scores=class_scores[prior, label],
        class_scores=class_scores[prior],
        frames=frames,
        stamps=(frames[0] * STAMP_STEP, frames[1] * STAMP_STEP),
        image_size=size,
    )
    return NoisyPair(micro_tubes, sources[prior])
