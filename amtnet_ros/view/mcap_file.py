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
from amtnet_ros.view.mcap_schemas import ACTION_TUBES, COMPRESSED_IMAGE, IMAGE_ANNOTATIONS, Schema

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
