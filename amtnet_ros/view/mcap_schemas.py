"""What is in an MCAP recording, as JSON Schemas: Foxglove knows those of its own by their names."""

from __future__ import annotations

from typing import Any

Schema = dict[str, Any]


def _object(title: str, **properties: Schema) -> Schema:
    return {"title": title, "type": "object", "properties": properties}


def _array(items: Schema) -> Schema:
    return {"type": "array", "items": items}


_INTEGER: Schema = {"type": "integer"}
_NUMBER: Schema = {"type": "number"}
_TEXT: Schema = {"type": "string"}
_TRUTH: Schema = {"type": "boolean"}
_TIME = _object("time", sec={"type": "integer", "minimum": 0}, nsec={"type": "integer", "minimum": 0})
_POINT = _object("foxglove.Point2", x=_NUMBER, y=_NUMBER)
_COLOUR = _object("foxglove.Color", r=_NUMBER, g=_NUMBER, b=_NUMBER, a=_NUMBER)

COMPRESSED_IMAGE = _object(
    "foxglove.CompressedImage",
    timestamp=_TIME,
    frame_id=_TEXT,
    data={"type": "string", "contentEncoding": "base64"},
    format=_TEXT,
)
"""An image as the bytes of a JPEG file."""

IMAGE_ANNOTATIONS = _object(
    "foxglove.ImageAnnotations",
    circles=_array(
        _object(
            "foxglove.CircleAnnotation",
            timestamp=_TIME,
            position=_POINT,
            diameter=_NUMBER,
            thickness=_NUMBER,
            fill_color=_COLOUR,
            outline_color=_COLOUR,
        )
    ),
    points=_array(
        _object(
            "foxglove.PointsAnnotation",
            timestamp=_TIME,
            type=_INTEGER,
            points=_array(_POINT),
            outline_color=_COLOUR,
            outline_colors=_array(_COLOUR),
            fill_color=_COLOUR,
            thickness=_NUMBER,
        )
    ),
    texts=_array(
        _object(
            "foxglove.TextAnnotation",
            timestamp=_TIME,
            position=_POINT,
            text=_TEXT,
            font_size=_NUMBER,
            text_color=_COLOUR,
            background_color=_COLOUR,
        )
    ),
)
"""Boxes and captions over an image, in its pixels."""

_BOX = _object(
    "amtnet_ros.ActionBox",
    stamp=_TIME,
    x1=_NUMBER,
    y1=_NUMBER,
    x2=_NUMBER,
    y2=_NUMBER,
    score=_NUMBER,
    interpolated=_TRUTH,
)
_TUBE = _object(
    "amtnet_ros.ActionTube",
    id=_INTEGER,
    state=_INTEGER,
    class_id=_INTEGER,
    class_name=_TEXT,
    has_action=_TRUTH,
    score=_NUMBER,
    class_scores=_array(_NUMBER),
    start=_TIME,
    last_update=_TIME,
    boxes=_array(_BOX),
)
ACTION_TUBES = _object(
    "amtnet_ros.ActionTubeArray",
    timestamp=_TIME,
    frame_id=_TEXT,
    image_width=_INTEGER,
    image_height=_INTEGER,
    session=_TEXT,
    delta=_INTEGER,
    tubes=_array(_TUBE),
)
"""One step's tubes, with the fields that the message ActionTubeArray has."""
