"""Training samples: pairs of frames with the micro-tubes in them, each a pure function of the seed and its number."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import Literal

import numpy as np

from amtnet_ros.contracts import Float32, Int64, UInt8
from amtnet_ros.data.annotations import AnnotatedVideo, Dataset, micro_tubes_at, pair_starts
from amtnet_ros.data.augmentation import (
    FLOW_BORDER,
    RGB_BORDER,
    AugmentationOptions,
    Window,
    boxes_in_window,
    close_up,
    distort_colours,
    draw_window,
    render,
    to_window,
    zoom_flow,
)
from amtnet_ros.data.cache import RepeatHandling, VideoCache
from amtnet_ros.data.scene import Donor, Masks, Scene, VideoScene, paste
from amtnet_ros.errors import UserError
from amtnet_ros.flow.stack import StackPlacement, window


@dataclass(frozen=True)
class PairOptions:
    """How pairs are drawn.

    deltas: distances in frames to draw from; (0,) makes each frame its own pair (single frames, at half the cost).
    streams: 'rgb', 'flow' or both.
    placement: of the five-flow window, see flow.stack.
    image_size: side of the input in pixels.
    repeats: what becomes of near-repeated frames, see data.cache.
    """

    deltas: tuple[int, ...] = (1,)
    streams: tuple[str, ...] = ("rgb", "flow")
    placement: StackPlacement = "past"
    image_size: int = 300
    augmentation: AugmentationOptions = field(default_factory=AugmentationOptions)
    repeats: RepeatHandling = "keep"


@dataclass(frozen=True, slots=True)
class PairSample:
    """One pair of frames, ready for the network.

    rgb: (n, 3, S, S) uint8, or None; n = 2, or 1 where a frame is its own pair.
    flow: (n, 15, S, S) uint8, or None.
    boxes: (K, 2, 4) float32 micro-tubes, corners, shares of the input.
    labels: (K,) int64, 0-based without background; UNKNOWN of people whose action nobody knows.
    name: video and frame numbers, for messages.
    searched: whether nobody acts where no box is.
    """

    rgb: UInt8 | None
    flow: UInt8 | None
    boxes: Float32
    labels: Int64
    name: str
    searched: bool = True


class PairSamples:
    """An endless, numbered sequence of samples; number n depends on nothing but the seed and n.

    Videos come in a new random order each epoch (one pair a video), so every video is seen equally often. `left_out`
    names the videos in which no pair can be learnt from.
    """

    def __init__(
        self,
        dataset: Dataset,
        names: tuple[str, ...],
        cache: VideoCache,
        options: PairOptions,
        seed: int,
        masks: Masks | None = None,
    ) -> None:
        """names: the videos to draw from. masks: the actors', for copy-paste; each video then has one actor.

        Raises UserError if no pair can be learnt from in any video.
        """
        videos = [dataset.videos[name] for name in names]
        self._videos = [v for v in videos if any(len(pair_starts(v, delta)) for delta in options.deltas)]
        self.left_out = sorted({v.name for v in videos} - {v.name for v in self._videos})
        if not self._videos:
            raise UserError(
                f"{dataset.name}: none of the {len(names)} training videos has an action with boxes in two frames that "
                f"are {' or '.join(str(delta) for delta in options.deltas)} apart (data.deltas)"
            )
        self._cache, self._options, self._seed, self._masks = cache, options, seed, masks

    def __len__(self) -> int:
        """Samples of an epoch."""
        return len(self._videos)

    def sample(self, number: int, streams: tuple[str, ...] | None = None) -> PairSample:
        """Sample `number`; streams: render only these of the options' streams."""
        options = self._options if streams is None else replace(self._options, streams=streams)
        epoch, position = divmod(number, len(self._videos))
        order = np.random.default_rng((self._seed, epoch)).permutation(len(self._videos))
        video = self._videos[order[position]]
        rng = np.random.default_rng((self._seed, number, 1))
        t, delta = self._draw_pair(rng, video, options.deltas)
        scene, boxes, labels = self._look(video, t, delta)
        name = f"{video.name} frames {t}, {t + delta}"
        drawn = options.augmentation
        if drawn.copy_paste and rng.random() < drawn.copy_paste:
            donor, donor_name = self._draw_donor(rng, delta)
            before = len(labels)
            scene, boxes, labels = paste(rng, scene, (t, t + delta), boxes, labels, donor)
            name += f" with {donor_name}" if len(labels) > before else ""
        sample = make_sample(rng, scene, (t, t + delta), boxes, labels, options, name)
        return sample if video.searched else replace(sample, searched=False)

    def _draw_pair(self, rng: np.random.Generator, video: AnnotatedVideo, deltas: tuple[int, ...]) -> tuple[int, int]:
        starts = {delta: self._starts(video, delta) for delta in deltas}
        delta = int(rng.choice([delta for delta in deltas if len(starts[delta])]))
        return int(starts[delta][rng.integers(len(starts[delta]))]), delta

    def _starts(self, video: AnnotatedVideo, delta: int) -> Int64:
        starts = pair_starts(video, delta)
        if self._options.repeats != "skip" or not len(starts):
            return starts
        repeats = self._cache.repeats(video)
        fresh = starts[~(repeats[starts] | repeats[starts + delta])]
        return fresh if len(fresh) else starts

    def _look(self, video: AnnotatedVideo, t: int, delta: int) -> tuple[Scene, Float32, Int64]:
        """The scene, its micro-tubes (K, 2, 4) in its own pixels, and their labels."""
        scene = VideoScene(self._cache, video)
        return scene, *_ground_truth(video, t, delta, scene.size)

    def _draw_donor(self, rng: np.random.Generator, delta: int) -> tuple[Donor, str]:
        assert self._masks is not None
        while True:  # ends: some video has a pair at this delta, the one being pasted into
            video = self._videos[rng.integers(len(self._videos))]
            if len(self._starts(video, delta)):
                break
        t, _ = self._draw_pair(rng, video, (delta,))
        scene, boxes, labels = self._look(video, t, delta)
        return Donor(scene, self._masks(video.name), t, boxes, labels), f"{video.name} frames {t}, {t + delta}"


class MixedSamples:
    """Samples of several sources: of so many in a row as the weights' sum, each source has as many as its weight.

    Their order is drawn anew each time; each source's own samples follow one another as they do without the others.
    """

    def __init__(self, sources: Sequence[PairSamples], weights: Sequence[int], seed: int) -> None:
        self._sources, self._weights, self._seed = sources, weights, seed
        self._turns = np.repeat(np.arange(len(weights)), weights)
        self.left_out = sorted(name for source in sources for name in source.left_out)

    def sample(self, number: int, streams: tuple[str, ...] | None = None) -> PairSample:
        """Sample `number`, as that of `PairSamples`."""
        cycle, position = divmod(number, len(self._turns))
        turns = np.random.default_rng((self._seed, cycle, 2)).permutation(self._turns)
        which = int(turns[position])
        own = cycle * self._weights[which] + int((turns[:position] == which).sum())
        return self._sources[which].sample(own, streams)


def _ground_truth(video: AnnotatedVideo, t: int, delta: int, size: tuple[int, int]) -> tuple[Float32, Int64]:
    """Micro-tubes (K, 2, 4) in pixels of pictures of `size` (width, height), and labels; K may be 0."""
    found = micro_tubes_at(video, t, delta)
    boxes, labels = found if found is not None else (np.zeros((0, 2, 4), np.float32), np.zeros(0, np.int64))
    return boxes * (np.array([*size] * 2) / np.array([*video.size] * 2)).astype(np.float32), labels


def plain_sample(cache: VideoCache, video: AnnotatedVideo, t: int, delta: int, options: PairOptions) -> PairSample:
    """The pair (t, t + delta) as at test time: nothing drawn, nothing distorted. It may hold no micro-tubes.

    Where close-ups are learnt from, it is one too, of the pair's first actor.
    """
    crop: Literal["centred", "none"] = "centred" if options.augmentation.crop == "actor" else "none"
    nothing = AugmentationOptions(photometric=False, expand=1.0, crop=crop, mirror=False, copy_paste=0.0)
    scene = VideoScene(cache, video)
    boxes, labels = _ground_truth(video, t, delta, scene.size)
    plain = replace(options, deltas=(delta,), augmentation=nothing)
    rng = np.random.default_rng(0)
    return make_sample(rng, scene, (t, t + delta), boxes, labels, plain, f"{video.name} frames {t}, {t + delta}")


def make_sample(
    rng: np.random.Generator,
    scene: Scene,
    frames: tuple[int, int],
    boxes: Float32,
    labels: Int64,
    options: PairOptions,
    name: str,
) -> PairSample:
    """Draw the augmentation of one pair and render it. boxes: (K, 2, 4) in pixels of the scene."""
    augmentation = options.augmentation
    zooms_flow = True
    if augmentation.crop in ("actor", "centred") and len(boxes):
        drawn = augmentation.crop == "actor"
        which = rng.integers(len(boxes), size=1) if drawn else np.array([0])
        boxes, labels = boxes[which], labels[which]
        view = close_up(scene.size, boxes[0], rng if drawn else None)
        kept = np.ones(1, dtype=np.bool_)
        zooms_flow = (
            False  # actors have about one size in all close-ups; flow that grew with them would hide how fast each was
        )
    else:
        view = draw_window(rng, scene.size, boxes, augmentation)
        kept = boxes_in_window(boxes, view)
    mirror = augmentation.mirror and bool(rng.random() < 0.5)
    distinct = frames[:1] if options.deltas == (0,) else frames
    rgb = flow = None
    if "rgb" in options.streams:
        images = [scene.frame(t) for t in distinct]
        if augmentation.photometric:
            images = distort_colours(rng, images)
        rgb = _channels_first([render(image, view, options.image_size, mirror, RGB_BORDER) for image in images])
    if "flow" in options.streams:
        flow = _channels_first([_flow_stack(scene, t, view, mirror, options, zooms_flow) for t in distinct])
    return PairSample(rgb, flow, to_window(boxes[kept], view, mirror), labels[kept], name)


def _flow_stack(scene: Scene, t: int, view: Window, mirror: bool, options: PairOptions, zooms_flow: bool) -> UInt8:
    zoom = (scene.size[0] / (view.x2 - view.x1), scene.size[1] / (view.y2 - view.y1)) if zooms_flow else (1.0, 1.0)
    images = []
    for index in window(t, scene.n_frames, options.placement):
        image = zoom_flow(scene.flow(index), zoom, mirror)
        images.append(render(image, view, options.image_size, mirror, FLOW_BORDER))
    return np.concatenate(images, axis=-1)


def _channels_first(images: list[UInt8]) -> UInt8:
    """n images (S, S, C) → (n, C, S, S)."""
    return np.ascontiguousarray(np.stack(images).transpose(0, 3, 1, 2))
