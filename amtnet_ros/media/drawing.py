"""Action tubes drawn over the image: the picture in the debug topic, the recorder's video and `amtnet run`."""

from __future__ import annotations

import colorsys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np

from amtnet_ros.contracts import OTHER, Float32, Tube, TubeState, TubeUpdate, UInt8
from amtnet_ros.media.pen import Colour, Pen
from amtnet_ros.options import check_options, option
from amtnet_ros.tube_boxes import Box, grow

GREY: Colour = (160, 160, 160)
"""Of somebody who does none of the known actions."""

_SMOOTHING = 4  # boxes before and after one, over which a trail's position is a mean
_STRONG = 0.5  # score from which a tube is drawn in full
_WEAKEST = 0.3  # strength of a tube without any score
_TENTATIVE = 0.6  # of that of a tube that is confirmed
_LEGIBLE = 0.6  # strength of the weakest caption


@dataclass(frozen=True)
class Style:
    """What the overlay shows. Raises UserError for a value out of range."""

    trail_length: int = option(
        30, "So many of a tube's newest boxes are connected by its trail; 0: no trail.", low=0, high=1_000
    )
    draw_tentative: bool = option(True, "Draw tubes also before they are confirmed.")
    draw_scale: float = option(1.0, "Size of lines and letters; 1 is legible at any resolution.", low=0.25, high=4.0)

    def __post_init__(self) -> None:
        check_options(self)


@dataclass
class _Track:
    """One tube as the newest updates had it, each with its stamp; its newest boxes, ascending; for how many updates it
    has been over."""

    told: list[tuple[int, Tube]] = field(default_factory=list)
    boxes: list[Box] = field(default_factory=list)
    over_for: int = 0

    @property
    def tube(self) -> Tube:
        """As of now."""
        return self.told[-1][1]

    def as_of(self, stamp: int) -> Tube:
        """As it was known at that time, or as soon after it as is still known."""
        return next((tube for told, tube in reversed(self.told) if told <= stamp), self.told[0][1])


class TubePainter:
    """Draws the tubes of a stream; it is told of every update, so it knows where each tube has been.

    labels: the names of the classes, by label.
    delay: how many updates the drawn images may lag behind the newest one. Drawn late, an image also shows the boxes
        that are interpolated once an actor was found again; label, score and state are those of its own time.

    Memory is bounded: `style.trail_length + delay` boxes for each tube that lives or ended `delay` updates ago at most.

        painter = TubePainter(pipeline.labels)
        for update in pipeline.push(stamp, image):
            painter.update(update)
        picture = painter.draw(image, stamp)
    """

    def __init__(self, labels: Sequence[str] | Mapping[int, str], style: Style | None = None, delay: int = 0) -> None:
        self.labels = labels
        self.style = style or Style()
        self._delay = delay
        self._image_size = (0, 0)
        self._tracks: dict[int, _Track] = {}

    def update(self, update: TubeUpdate) -> None:
        """Take in the tubes of one step."""
        self._image_size = update.image_size
        for track in self._tracks.values():
            track.over_for += track.tube.state == TubeState.ENDED
        self._tracks = {key: track for key, track in self._tracks.items() if track.over_for <= self._delay}
        for tube in update.tubes:
            known = self._tracks.get(tube.id)
            if known is None or known.tube.state == TubeState.ENDED:  # an id that returns belongs to a new session
                known = _Track()
            track = self._tracks[tube.id] = known
            track.told = [*track.told[-self._delay :], (update.stamp, tube)] if self._delay else [(update.stamp, tube)]
            grow(track.boxes, tube, max(self.style.trail_length, 1) + self._delay)

    def draw(self, image: UInt8, stamp: int) -> UInt8:
        """A copy of the image of that stamp (ns) with its tubes.

        image: (height, width, 3) uint8, RGB; the source image or a resized copy of it. A tube is drawn at its box of
        that stamp: in full lines when ACTIVE, as corners while TENTATIVE; a COASTING tube that has no box at that stamp
        is drawn dashed, where it was last seen. Who does none of the known actions is drawn thin and grey; the lower
        a score, the weaker the lines.
        """
        picture = np.array(image, order="C")
        pen = Pen(picture, self._image_size, self.style.draw_scale)
        known = [(track.as_of(stamp), track.boxes) for track in self._tracks.values()]
        known.sort(key=lambda each: (not self._acts(each[0]), -each[0].score))  # the best label lies the best
        visible = [(tube, boxes, box) for tube, boxes in known if (box := self._box_at(tube, boxes, stamp)) is not None]
        for tube, boxes, _ in visible:
            past = [seen.box for seen in boxes if seen.stamp <= stamp]
            way = feet(past[max(0, len(past) - self.style.trail_length) :])
            pen.trail(way, self._colour(tube), thin=not self._acts(tube))
        for tube, boxes, box in visible:
            with pen.faded(box, strength_of(tube)):
                self._draw_box(pen, tube, box, seen=any(one.stamp == stamp for one in boxes))
        pen.keep_clear([box for _, _, box in visible])
        for tube, _, box in visible:
            names = self.caption(tube, stamp), name_of(tube, self.labels), f"#{tube.id} {self.labels[tube.label]}"
            pen.label(names, box, self._colour(tube), max(strength_of(tube), _LEGIBLE))
        return picture

    def caption(self, tube: Tube, stamp: int) -> str:
        """What is written at a tube: id, action, score, for how long, and its state where that is not ACTIVE.

        Of somebody who does none of the known actions there is no score: it would be that of no action.
        """
        since = max(0, stamp - tube.start_stamp) / 1e9
        state = "" if tube.state in (TubeState.ACTIVE, TubeState.ENDED) else f" {tube.state.name.lower()}"
        return f"{name_of(tube, self.labels)} {since:.1f}s{state}"

    def _acts(self, tube: Tube) -> bool:
        return self.labels[tube.label] != OTHER

    def _colour(self, tube: Tube) -> Colour:
        return colour_of(tube.id) if self._acts(tube) else GREY

    def _box_at(self, tube: Tube, boxes: Sequence[Box], stamp: int) -> Float32 | None:
        """Where the tube is drawn in the image of that stamp, or None where it is not."""
        if tube.state == TubeState.TENTATIVE and not self.style.draw_tentative:
            return None
        for seen in reversed(boxes):
            if seen.stamp == stamp:
                return seen.box
            if seen.stamp < stamp:
                return seen.box if tube.state == TubeState.COASTING else None
        return None

    def _draw_box(self, pen: Pen, tube: Tube, box: Float32, seen: bool) -> None:
        colour, thin = self._colour(tube), not self._acts(tube)
        if not seen:
            pen.dashed_box(box, colour, thin)
        elif tube.state == TubeState.TENTATIVE:
            pen.corners(box, colour, thin)
        else:
            pen.box(box, colour, thin)


def name_of(tube: Tube, labels: Sequence[str] | Mapping[int, str]) -> str:
    """What a tube is called for people: id and action, and its score where it is one."""
    name = labels[tube.label]
    return f"#{tube.id} {name}" if name == OTHER else f"#{tube.id} {name} {tube.score:.2f}"


def strength_of(tube: Tube) -> float:
    """How strongly a tube is drawn, in 0..1: one of low score, or that is not confirmed yet, is seen through."""
    sure = _WEAKEST + (1 - _WEAKEST) * min(tube.score / _STRONG, 1.0)
    return sure * (_TENTATIVE if tube.state == TubeState.TENTATIVE else 1.0)


def colour_of(tube_id: int) -> Colour:
    """A tube's colour (RGB), the same in every frame; successive ids lie a golden angle apart in hue."""
    red, green, blue = colorsys.hsv_to_rgb((tube_id * 0.618034 + 0.33) % 1.0, 0.75, 1.0)
    return round(255 * red), round(255 * green), round(255 * blue)


def colour_of_action(label: int, name: str) -> Colour:
    """A class's colour (RGB) where persons are told apart by other means, as in a timeline; grey of `other`."""
    return GREY if name == OTHER else colour_of(label)


def feet(boxes: Sequence[Float32]) -> Float32:
    """(K, 2) float32: the way of an actor's feet, the middle of each box's lower edge, without its jitter.

    boxes: (4,) each, in the order of time. Each position is a mean over those around it, fewer towards the ends.
    """
    corners = np.asarray(boxes, np.float32).reshape(-1, 4)
    way = np.stack([(corners[:, 0] + corners[:, 2]) / 2, corners[:, 3]], axis=1)
    reach = np.minimum(np.minimum(np.arange(len(way)), np.arange(len(way))[::-1]), _SMOOTHING)
    sums = np.concatenate([np.zeros((1, 2)), np.cumsum(way, axis=0, dtype=np.float64)])
    first, last = np.arange(len(way)) - reach, np.arange(len(way)) + reach + 1
    return np.asarray((sums[last] - sums[first]) / (last - first)[:, None], np.float32)
