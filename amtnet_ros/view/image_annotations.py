"""Tubes as Foxglove draws them over an image: the content of a foxglove.ImageAnnotations, as plain data."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from amtnet_ros.contracts import OTHER, Tube, TubeState, TubeUpdate
from amtnet_ros.media.drawing import GREY, colour_of, name_of
from amtnet_ros.media.pen import Colour
from amtnet_ros.tube_boxes import newest_box

LINE_LOOP = 2
"""Of Foxglove's kinds of points: a closed line."""
_LINE = 1 / 160  # of the picture's shorter side
_LETTERS = 1 / 24


def image_annotations(update: TubeUpdate, labels: Sequence[str] | Mapping[int, str]) -> dict[str, Any]:
    """A box and a caption for each tube that has a box in the update's newest image.

    The keys are Foxglove's own. Positions are in source pixels, colours in 0..1. Somebody who does none of the known
    actions is thin, grey and without a score; a tube that is not confirmed is half transparent.
    """
    found = [
        (tube, box)
        for tube in update.tubes
        if tube.state != TubeState.ENDED and (box := newest_box(tube, update.stamp)) is not None
    ]
    points, texts = [], []
    for tube, box in found:
        points.append(_outline(tube, box.tolist(), update, labels))
        texts.append(_caption(tube, box.tolist(), update, labels))
    return {"circles": [], "points": points, "texts": texts}


def time_of(stamp: int) -> dict[str, int]:
    """Nanoseconds as Foxglove writes a time in JSON."""
    seconds, rest = divmod(stamp, 1_000_000_000)
    return {"sec": seconds, "nsec": rest}


def _outline(tube: Tube, box: list[float], update: TubeUpdate, labels: Sequence[str] | Mapping[int, str]) -> Any:
    x1, y1, x2, y2 = box
    acts = labels[tube.label] != OTHER
    alpha = 0.5 if tube.state == TubeState.TENTATIVE else 1.0
    return {
        "timestamp": time_of(update.stamp),
        "type": LINE_LOOP,
        "points": [{"x": x, "y": y} for x, y in ((x1, y1), (x2, y1), (x2, y2), (x1, y2))],
        "outline_color": _colour(colour_of(tube.id) if acts else GREY, alpha),
        "outline_colors": [],
        "fill_color": _colour((0, 0, 0), 0.0),
        "thickness": min(update.image_size) * (_LINE if acts else _LINE / 2),
    }


def _caption(tube: Tube, box: list[float], update: TubeUpdate, labels: Sequence[str] | Mapping[int, str]) -> Any:
    return {
        "timestamp": time_of(update.stamp),
        "position": {"x": box[0], "y": box[1]},
        "text": name_of(tube, labels),
        "font_size": min(update.image_size) * _LETTERS,
        "text_color": _colour((0, 0, 0), 1.0),
        "background_color": _colour(colour_of(tube.id) if labels[tube.label] != OTHER else GREY, 0.8),
    }


def _colour(colour: Colour, alpha: float) -> dict[str, float]:
    red, green, blue = (channel / 255 for channel in colour)
    return {"r": red, "g": green, "b": blue, "a": alpha}
