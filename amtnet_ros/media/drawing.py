"""Action tubes drawn over the image: the picture in the debug topic, the recorder's video and `amtnet run`."""

from __future__ import annotations

import colorsys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from itertools import pairwise

import cv2
import numpy as np

from amtnet_ros.contracts import OTHER, Float32, Tube, TubeState, TubeUpdate, UInt8
from amtnet_ros.options import check_options, option
from amtnet_ros.tube_boxes import Box, grow

Colour = tuple[int, int, int]

GREY: Colour = (160, 160, 160)
"""Of somebody who does none of the known actions."""

_FONT = cv2.FONT_HERSHEY_DUPLEX
_REFERENCE = 480  # the picture's shorter side in pixels at which lines are 2 pixels wide
_SMOOTHING = 4  # boxes before and after one, over which a trail's position is a mean
_SMALLEST_LETTERS = 0.4  # OpenCV's font scale below which its letters run together


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
        is drawn dashed, where it was last seen. Who does none of the known actions is drawn thin and grey.
        """
        picture = np.array(image, order="C")
        pen = _Pen(picture, self._image_size, self.style.draw_scale)
        known = [(track.as_of(stamp), track.boxes) for track in self._tracks.values()]
        known.sort(key=lambda each: (not self._acts(each[0]), -each[0].score))  # the best label lies the best
        visible = [(tube, boxes, box) for tube, boxes in known if (box := self._box_at(tube, boxes, stamp)) is not None]
        for tube, boxes, _ in visible:
            past = [seen.box for seen in boxes if seen.stamp <= stamp]
            way = feet(past[max(0, len(past) - self.style.trail_length) :])
            pen.trail(way, self._colour(tube), thin=not self._acts(tube))
        for tube, boxes, box in visible:
            self._draw_box(pen, tube, box, seen=any(one.stamp == stamp for one in boxes))
        for tube, _, box in visible:
            pen.label(self.caption(tube, stamp), box, self._colour(tube))
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

    def _draw_box(self, pen: _Pen, tube: Tube, box: Float32, seen: bool) -> None:
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


class _Pen:
    """Draws in place, lines and letters in proportion to the picture."""

    def __init__(self, picture: UInt8, source_size: tuple[int, int], scale: float) -> None:
        self._picture = picture
        self._height, self._width = picture.shape[:2]
        self._zoom = (self._width / max(source_size[0], 1), self._height / max(source_size[1], 1))
        size = min(self._height, self._width) / _REFERENCE * scale
        self._line = max(1, round(2 * size))
        self._letters = max(_SMALLEST_LETTERS, 0.5 * size)
        self._stroke = max(1, round(self._letters * 1.5))
        self._placed: list[tuple[int, int, int, int]] = []

    def _width_of(self, thin: bool) -> int:
        width: int = (self._line + 1) // 2 if thin else self._line
        return width

    def box(self, box: Float32, colour: Colour, thin: bool) -> None:
        left, top, right, bottom = self._pixels(box)
        cv2.rectangle(self._picture, (left, top), (right, bottom), colour, self._width_of(thin))

    def corners(self, box: Float32, colour: Colour, thin: bool) -> None:
        left, top, right, bottom = self._pixels(box)
        arm_x, arm_y = (right - left) // 4, (bottom - top) // 4
        for x, toward_x in ((left, arm_x), (right, -arm_x)):
            for y, toward_y in ((top, arm_y), (bottom, -arm_y)):
                cv2.line(self._picture, (x, y), (x + toward_x, y), colour, self._width_of(thin))
                cv2.line(self._picture, (x, y), (x, y + toward_y), colour, self._width_of(thin))

    def dashed_box(self, box: Float32, colour: Colour, thin: bool) -> None:
        left, top, right, bottom = self._pixels(box)
        width = self._width_of(thin)
        dash = 6 * self._line
        for x in range(left, right, 2 * dash):
            for y in (top, bottom):
                cv2.line(self._picture, (x, y), (min(x + dash, right), y), colour, width)
        for y in range(top, bottom, 2 * dash):
            for x in (left, right):
                cv2.line(self._picture, (x, y), (x, min(y + dash, bottom)), colour, width)

    def trail(self, way: Float32, colour: Colour, thin: bool) -> None:
        """A way, (K, 2) source pixels, thinner the longer ago."""
        places = [
            (round(x), min(round(y), self._height - 1)) for x, y in (way * np.array(self._zoom, np.float32)).tolist()
        ]
        for step, (start, end) in enumerate(pairwise(places), start=1):
            width = 1 if thin else max(1, round(1.5 * self._line * step / len(places)))
            cv2.line(self._picture, start, end, colour, width, cv2.LINE_AA)

    def label(self, text: str, box: Float32, colour: Colour) -> None:
        """The text on a coloured plate at the box's upper edge, inside the picture and clear of the other labels."""
        (text_width, text_height), base = cv2.getTextSize(text, _FONT, self._letters, self._stroke)
        pad = max(2, self._line)
        width, height = text_width + 2 * pad, text_height + base + 2 * pad
        left, top, _, _ = self._pixels(box)
        x = max(0, min(left, self._width - width))
        above = top - height if top >= height else top
        y = self._free(x, above, width, height)
        self._placed.append((x, y, x + width, y + height))
        cv2.rectangle(self._picture, (x, y), (x + width, y + height), colour, cv2.FILLED)
        origin = (x + pad, y + pad + text_height)
        cv2.putText(self._picture, text, origin, _FONT, self._letters, _ink(colour), self._stroke, cv2.LINE_AA)

    def _free(self, x: int, wanted: int, width: int, height: int) -> int:
        """The row, at best the wanted one, else the next above it, else below, where a plate covers no other."""
        beside = [plate for plate in self._placed if x < plate[2] and plate[0] < x + width]
        rows = [wanted, *(plate[1] - height for plate in beside), *(plate[3] for plate in beside)]
        free = [y for y in rows if y >= 0 and all(y >= plate[3] or y + height <= plate[1] for plate in beside)]
        return min(free, key=lambda y: (y > wanted, abs(y - wanted)))

    def _pixels(self, box: Float32) -> tuple[int, int, int, int]:
        """The pixels of the box's border, its maximum being exclusive, kept inside the picture."""
        x1, y1, x2, y2 = (round(float(value) * zoom) for value, zoom in zip(box, self._zoom * 2, strict=True))
        return (
            min(max(x1, 0), self._width - 1),
            min(max(y1, 0), self._height - 1),
            min(max(x2 - 1, 0), self._width - 1),
            min(max(y2 - 1, 0), self._height - 1),
        )


def _ink(plate: Colour) -> Colour:
    """Black or white, whichever can be read on the plate (ITU-R BT.601 luma)."""
    luma = 0.299 * plate[0] + 0.587 * plate[1] + 0.114 * plate[2]
    return (0, 0, 0) if luma > 128 else (255, 255, 255)
