"""Boxes and captions for Foxglove's image panel: `foxglove_msgs/ImageAnnotations`, where that package is installed."""

from __future__ import annotations

import importlib
from typing import Any

from builtin_interfaces.msg import Time


def messages() -> Any | None:
    """The module `foxglove_msgs.msg`, or None where it is not installed."""
    try:
        return importlib.import_module("foxglove_msgs.msg")
    except ImportError:
        return None


def annotations_message(content: dict[str, Any], msg: Any) -> Any:
    """A foxglove_msgs/ImageAnnotations. content: as `view.image_annotations` has it. msg: as `messages` gives it."""
    points = [
        msg.PointsAnnotation(
            timestamp=_time(each["timestamp"]),
            type=each["type"],
            points=[msg.Point2(**point) for point in each["points"]],
            outline_color=msg.Color(**each["outline_color"]),
            fill_color=msg.Color(**each["fill_color"]),
            thickness=each["thickness"],
        )
        for each in content["points"]
    ]
    texts = [
        msg.TextAnnotation(
            timestamp=_time(each["timestamp"]),
            position=msg.Point2(**each["position"]),
            text=each["text"],
            font_size=each["font_size"],
            text_color=msg.Color(**each["text_color"]),
            background_color=msg.Color(**each["background_color"]),
        )
        for each in content["texts"]
    ]
    return msg.ImageAnnotations(points=points, texts=texts)


def _time(time: dict[str, int]) -> Time:
    return Time(sec=time["sec"], nanosec=time["nsec"])
