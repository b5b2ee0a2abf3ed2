"""Clips as the actor stream is taught: some pictures of one view, and the answers that are right."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

import cv2
import numpy as np

from amtnet_ros.actors.crops import MARGIN, View, cut, square_around, whole_view
from amtnet_ros.contracts import Bool, Float32, UInt8
from amtnet_ros.data.actor_tracks import NOBODY, OTHER, PersonTrack, Tracks
from amtnet_ros.data.empty_places import LENGTH, Stretch, draw_empty_square
from amtnet_ros.data.jpeg_store import JpegStore

GREY, COARSE, NOISY, COVERED = 0.15, 0.3, 0.2, 0.3
"""How often a clip is grey, of few pixels, noisy, partly covered."""
_TO_YIQ = np.array([[0.299, 0.587, 0.114], [0.596, -0.274, -0.322], [0.211, -0.523, 0.312]])


def disturb(rng: np.random.Generator, pictures: UInt8) -> UInt8:
    """What another camera or light makes of a clip, one draw for all pictures: (T, s, s, 3) uint8 → the same shape.

    Other colours, fewer pixels, noise, something in front.
    """
    count, side = pictures.shape[:2]
    flat = cv2.transform(pictures.reshape(count * side, side, 3), draw_colours(rng)).reshape(pictures.shape)
    if rng.random() < COARSE:
        small = int(side * rng.uniform(0.25, 0.8))
        coarse = [cv2.resize(picture, (small, small), interpolation=cv2.INTER_AREA) for picture in flat]
        flat = np.stack([cv2.resize(picture, (side, side), interpolation=cv2.INTER_LINEAR) for picture in coarse])
    if rng.random() < NOISY:
        noise = rng.standard_normal(flat.shape, dtype=np.float32) * rng.uniform(2, 12)
        flat = np.clip(flat + noise, 0, 255).astype(np.uint8)
    if rng.random() < COVERED:
        height, width = (int(side * share) for share in rng.uniform(0.15, 0.45, 2))
        top, left = int(rng.integers(side - height)), int(rng.integers(side - width))
        flat[:, top : top + height, left : left + width] = rng.integers(0, 256, 3)
    return np.asarray(flat, dtype=np.uint8)


def draw_colours(rng: np.random.Generator) -> Float32:
    """A linear change of RGB in 0..255, (3, 4): contrast, brightness, saturation, hue, and the light's colour."""
    saturation = 0.0 if rng.random() < GREY else rng.uniform(0.4, 1.6)
    angle, contrast, brightness = rng.uniform(-0.35, 0.35), np.exp(rng.uniform(-0.45, 0.4)), rng.uniform(-40, 40)
    turn = saturation * np.array([[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]])
    in_yiq = np.eye(3)
    in_yiq[1:, 1:] = turn
    light = np.diag(np.exp(rng.normal(0, 0.06, 3)))
    matrix = contrast * light @ np.linalg.inv(_TO_YIQ) @ in_yiq @ _TO_YIQ
    offset = 128 - 128 * contrast + brightness
    return np.column_stack([matrix, np.full(3, offset)]).astype(np.float32)


SMOOTHED = 15
"""Frames (half a second) over whose mean a box is smoothed."""
PLAIN_STRIDE = 3
"""Ten pictures a second, of thirty."""
LEAST_SIDE = 8.0
"""Of a view of a person, in pixels; of less nothing is seen."""
EMPTY_SIDES = (60.0, 240.0)
"""Of windows without anybody, in pixels: those of the squares around people."""


@dataclass(frozen=True)
class ClipOptions:
    """What is drawn how often.

    pictures, size: of a clip. strides: fewest and most frames from one picture to the next. margins: least and greatest
    side of the square, in longer sides of the box. shares: of clips from the data sets jhmdb21, ucf101_24,
    ucf101_people, of windows with nobody, and of people who do not move (still). whole: share of people's clips that
    show the whole picture.
    """

    pictures: int = 8
    size: int = 172
    strides: tuple[int, int] = (2, 4)
    margins: tuple[float, float] = (1.2, 2.2)
    shares: tuple[tuple[str, float], ...] = ()
    whole: float = 0.2


class ActorClip(NamedTuple):
    """pictures: (T, s, s, 3) uint8 RGB. right: (n,) which answers are. name: what it shows."""

    pictures: UInt8
    right: Bool
    name: str


class ActorClips:
    """Clips by number; what a number gives follows from it and the seed alone."""

    def __init__(
        self, tracks: Tracks, store: JpegStore, empty: Sequence[Stretch], options: ClipOptions, seed: int
    ) -> None:
        """empty: stretches of video in which there may be room without anybody."""
        self.answers = (*tracks.classes, OTHER, NOBODY)
        self._store, self._options, self._seed = store, options, seed
        self._empty = empty
        least = options.strides[0] * (options.pictures - 1) + 1
        self._by_class: dict[str, dict[str, list[PersonTrack]]] = {}
        for track in tracks.learnt:
            if len(track.boxes) >= least:
                self._by_class.setdefault(track.source[0], {}).setdefault(track.source[1], []).append(track)
        self._kinds = [name for name, _ in options.shares]
        weights = np.array([share for _, share in options.shares])
        self._weights = weights / weights.sum()

    def clip(self, number: int) -> ActorClip:
        """The clip of this number."""
        rng = np.random.default_rng((self._seed, number))
        kind = str(rng.choice(self._kinds, p=self._weights))
        if kind == "nobody":
            pictures, answers, name = self._nobody(rng)
        elif kind == "still":
            sources = sorted(self._by_class)
            track = self._draw_track(rng, sources[int(rng.integers(len(sources)))])
            pictures, answers, name = self._still(rng, track), (OTHER,), f"still {track.video}"
        else:
            track = self._draw_track(rng, kind)
            pictures, answers, name = self._moving(rng, track), track.answers, track.video
        if rng.random() < 0.5:
            pictures = pictures[:, :, ::-1]
        return ActorClip(disturb(rng, np.ascontiguousarray(pictures)), self._right(answers), name)

    def _draw_track(self, rng: np.random.Generator, source: str) -> PersonTrack:
        """Each class is as likely as another."""
        classes = self._by_class[source]
        names = sorted(classes)
        of_class = classes[names[int(rng.integers(len(names)))]]
        return of_class[int(rng.integers(len(of_class)))]

    def _moving(self, rng: np.random.Generator, track: PersonTrack) -> UInt8:
        options = self._options
        fitting = (len(track.boxes) - 1) // (options.pictures - 1)
        stride = int(rng.integers(options.strides[0], min(options.strides[1], fitting) + 1))
        length = stride * (options.pictures - 1) + 1
        numbers = int(rng.integers(len(track.boxes) - length + 1)) + stride * np.arange(options.pictures)
        images = [self._store.frame(track.video, track.first + int(number)) for number in numbers]
        if rng.random() < options.whole:
            views = [_nearly_whole(rng, images[0])] * len(images)
        else:
            margin = float(np.exp(rng.uniform(*np.log(options.margins))))
            views = shaken(rng, [square_around(box, margin) for box in smoothed(track.boxes)[numbers]], margin)
        return self._cut_all(images, views)

    def _still(self, rng: np.random.Generator, track: PersonTrack) -> UInt8:
        """One picture as a camera sees it that is held in the hand, or stands."""
        options = self._options
        number = int(rng.integers(len(track.boxes)))
        image = self._store.frame(track.video, track.first + number)
        if rng.random() < options.whole:
            view = _nearly_whole(rng, image)
        else:
            margin = float(np.exp(rng.uniform(*np.log(options.margins))))
            view = shaken(rng, [square_around(track.boxes[number], margin)], margin)[0]
        return self._cut_all([image] * options.pictures, wandering(rng, view, options.pictures, 0.012))

    def _nobody(self, rng: np.random.Generator) -> tuple[UInt8, tuple[str, ...], str]:
        """A window without anybody, that stands, or pans; over a film or a single picture of it."""
        while True:
            stretch = self._empty[int(rng.integers(len(self._empty)))]
            image = self._store.frame(stretch.video, stretch.first)
            view = draw_empty_square(rng, stretch.people, image.shape[1::-1], EMPTY_SIDES)
            if view is not None:
                break
        count = self._options.pictures
        stride = int(rng.integers(0, (LENGTH - 1) // (count - 1) + 1))
        images = [self._store.frame(stretch.video, stretch.first + stride * i) for i in range(count)]
        pictures = self._cut_all(images, wandering(rng, view, count, 0.03 if rng.random() < 0.5 else 0.005))
        return pictures, (NOBODY,), f"nobody {stretch.video}"

    def _cut_all(self, images: Sequence[UInt8], views: Sequence[View]) -> UInt8:
        return np.stack([cut(image, view, self._options.size) for image, view in zip(images, views, strict=True)])

    def _right(self, answers: tuple[str, ...]) -> Bool:
        return np.array([answer in answers for answer in self.answers])


def plain_clip(track: PersonTrack, store: JpegStore, size: int, view: str = "person", most: int = 16) -> UInt8:
    """The last pictures of a person, ten a second, as a robot would see them: (T, s, s, 3) uint8.

    view: 'person', the square around a box about as wrong as a detector's (always by the same error); 'whole', all of
    the picture; 'still', the person's last picture again and again.
    """
    numbers = np.arange(len(track.boxes) - 1, -1, -PLAIN_STRIDE)[:most][::-1]
    if view == "still":
        numbers = np.full(min(len(numbers), 10), numbers[-1])
    images = [store.frame(track.video, track.first + int(number)) for number in numbers]
    if view == "whole":
        views = [whole_view((image.shape[1], image.shape[0])) for image in images]
    else:
        rng = np.random.default_rng(len(track.video) + 1000 * track.first)
        views = [square_around(box) for box in smoothed(track.boxes)[numbers]]
        views = [views[-1]] * len(views) if view == "still" else shaken(rng, views, MARGIN, 0.5)
    return np.stack([cut(image, part, size) for image, part in zip(images, views, strict=True)])


def smoothed(boxes: Float32) -> Float32:
    """Each box as the mean of those of the last half second: (n, 4) → (n, 4)."""
    sums = np.cumsum(np.concatenate([np.zeros((1, 4)), boxes]), axis=0)
    ends = np.arange(1, len(boxes) + 1)
    begins = np.maximum(ends - SMOOTHED, 0)
    return np.asarray((sums[ends] - sums[begins]) / (ends - begins)[:, None], dtype=np.float32)


def shaken(rng: np.random.Generator, views: Sequence[View], margin: float, strength: float = 1.0) -> list[View]:
    """Views as boxes make them that are wrong as a detector's are: always by much the same, and now and then otherwise.

    margin: of the views. With strength 1 a box is off by a tenth of its side.
    """
    constant = np.clip(rng.normal(0, (0.1, 0.1, 0.12), 3), -0.25, 0.25)
    changing = np.zeros(3)
    out = []
    for view in views:
        changing = 0.7 * changing + rng.normal(0, (0.025, 0.025, 0.03), 3)
        x, y, zoom = strength * (constant + changing)
        side = view.width / margin
        sides = max(view.width * np.exp(zoom), LEAST_SIDE)
        out.append(View(view.x + x * side, view.y + y * side, sides, sides))
    return out


def wandering(rng: np.random.Generator, view: View, count: int, most: float) -> list[View]:
    """A view that moves and grows by up to so much of its sides between two pictures, or (a third) not at all."""
    if rng.random() < 1 / 3:
        return [view] * count
    steady = rng.uniform(-most, most, 3) * rng.random()
    steps = np.cumsum(steady + rng.normal(0, most / 3, (count, 3)), axis=0)
    return [
        View(view.x + x * view.width, view.y + y * view.height, view.width * np.exp(z), view.height * np.exp(z))
        for x, y, z in steps
    ]


def _nearly_whole(rng: np.random.Generator, image: UInt8) -> View:
    """Most of a picture, as another camera would have framed it."""
    height, width = image.shape[:2]
    w, h = rng.uniform(0.75, 1.0, 2) * (width, height)
    return View(float(rng.uniform(w / 2, width - w / 2)), float(rng.uniform(h / 2, height - h / 2)), float(w), float(h))
