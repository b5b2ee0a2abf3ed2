"""A recording that Foxglove opens: picture, boxes, timeline and plots in one MCAP file, schemas inside."""

from __future__ import annotations

import base64
import json
from collections.abc import Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any
from uuid import UUID

from amtnet_ros.contracts import OTHER, Tube, TubeUpdate, UInt8
from amtnet_ros.errors import UserError
from amtnet_ros.files import WholeFile, WholeOutput, reported
from amtnet_ros.libraries import library
from amtnet_ros.media.losses import Say, to_stderr
from amtnet_ros.media.pictures import jpeg
from amtnet_ros.tube_boxes import boxes_of
from amtnet_ros.view.image_annotations import image_annotations, time_of

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


IMAGE, ANNOTATIONS, TUBES = "/camera/image_raw/compressed", "/detector/annotations", "/action_tubes"
"""The topics, called as on a robot, so that one layout fits both."""


class McapRecorder(WholeOutput):
    """Writes an MCAP file: whole, when closed, or not at all; each message has its image's stamp.

    Use as a context manager: leaving it by an exception discards the file. Raises UserError where the library `mcap` is
    missing or the file cannot be opened. Where it cannot be written any more, as on a full disk, that is said, nothing
    is left of it, and what comes is ignored: `failed`.
    """

    def __init__(self, path: Path, say: Say = to_stderr) -> None:
        """say: is told where it is given up."""
        mcap: Any = library("mcap.writer", "an MCAP recording")
        self._whole = WholeFile(path, parents=True)
        self._counts: dict[int, int] = {}
        self._say, self.failed = say, False
        with reported(path):
            self._file = self._whole.temporary.open("wb")
        self._writer = mcap.Writer(self._file)
        self._writer.start(profile="", library="amtnet_ros")
        self._image, self._annotations, self._tubes = (
            self._channel(topic, schema)
            for topic, schema in ((IMAGE, COMPRESSED_IMAGE), (ANNOTATIONS, IMAGE_ANNOTATIONS), (TUBES, ACTION_TUBES))
        )

    def add_image(self, stamp: int, image: UInt8, frame_id: str) -> None:
        """The next image, (height, width, 3) uint8 RGB, of that stamp (ns), as it comes from the camera."""
        data = base64.b64encode(jpeg(image)).decode()
        content = {"timestamp": time_of(stamp), "frame_id": frame_id, "data": data, "format": "jpeg"}
        self._write(self._image, stamp, content)

    def add_tubes(
        self, update: TubeUpdate, session: UUID, labels: Sequence[str] | Mapping[int, str], frame_id: str
    ) -> None:
        """One step. session: what the tubes' ids count in. labels: the names of the classes, by label."""
        self._write(self._annotations, update.stamp, image_annotations(update, labels))
        self._write(
            self._tubes,
            update.stamp,
            {
                "timestamp": time_of(update.stamp),
                "frame_id": frame_id,
                "image_width": update.image_size[0],
                "image_height": update.image_size[1],
                "session": str(session),
                "delta": update.delta,
                "tubes": [_as_written(tube, labels[tube.label]) for tube in update.tubes],
            },
        )

    def close(self) -> None:
        """Finish the file and put it in its place."""
        if self.failed:
            return
        try:
            with reported(self._whole.path):
                self._writer.finish()
                self._file.close()
            self._whole.keep()
        except UserError as error:
            self._give_up(error)

    def discard(self) -> None:
        """Give up: nothing is left of the file."""
        with suppress(OSError):  # where the disk is full, what waits cannot be written either
            self._file.close()
        self._whole.discard()

    def _give_up(self, error: UserError) -> None:
        self.discard()
        self.failed = True
        self._say(f"{error}; it is given up, the rest goes on")

    def _channel(self, topic: str, schema: Schema) -> int:
        number = self._writer.register_schema(schema["title"], "jsonschema", json.dumps(schema).encode())
        return int(self._writer.register_channel(topic, "json", number))

    def _write(self, channel: int, stamp: int, content: Mapping[str, Any]) -> None:
        if self.failed:
            return
        number = self._counts[channel] = self._counts.get(channel, -1) + 1
        try:
            with reported(self._whole.path):
                self._writer.add_message(channel, stamp, json.dumps(content).encode(), stamp, sequence=number)
        except UserError as error:
            self._give_up(error)


def _as_written(tube: Tube, name: str) -> dict[str, Any]:
    return {
        "id": tube.id,
        "state": int(tube.state),
        "class_id": tube.label,
        "class_name": name,
        "has_action": name != OTHER,
        "score": round(float(tube.score), 4),
        "class_scores": [round(value, 4) for value in tube.class_scores.tolist()],
        "start": time_of(tube.start_stamp),
        "last_update": time_of(tube.last_stamp),
        "boxes": [
            {
                "stamp": time_of(box.stamp),
                **dict(zip(("x1", "y1", "x2", "y2"), (round(side, 2) for side in box.box.tolist()), strict=True)),
                "score": round(box.score, 4),
                "interpolated": box.interpolated,
            }
            for box in boxes_of(tube)
        ],
    }
