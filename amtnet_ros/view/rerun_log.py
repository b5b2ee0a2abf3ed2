"""A stream in Rerun, a file or its viewer: picture, boxes, ways, flow, what each person does and how surely."""

from __future__ import annotations

import os
import sysconfig
import time
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any

import numpy as np

from amtnet_ros.contracts import OTHER, FlowField, Tube, TubeState, TubeUpdate, UInt8
from amtnet_ros.errors import UserError
from amtnet_ros.files import WholeFile, WholeOutput, reported
from amtnet_ros.flow.encoding import flow_to_colour
from amtnet_ros.libraries import library
from amtnet_ros.media.drawing import GREY, colour_of, colour_of_action, feet, name_of
from amtnet_ros.media.events import ActionEvents
from amtnet_ros.media.losses import Say, to_stderr
from amtnet_ros.media.pictures import fitted, jpeg
from amtnet_ros.tube_boxes import Box, grow, newest_box
from amtnet_ros.view.server import has_desktop

SPAWN = "spawn"
"""Given in place of a file: open Rerun's viewer, and show it live."""
TIMELINE = "stream"
"""What Rerun's time is called: seconds since the stream's first stamp."""
WIDTH = 960
"""Of the pictures, in pixels, at most; boxes are in the pictures' pixels."""
_TRAIL = 30  # boxes of a tube's way
_OVER = "over"
_LOOK = 1.0  # seconds between two looks at whether the file can be written
_ROOM = 1 << 20  # bytes
_PATIENCE = 30.0  # seconds for what waits to be written


def check_target(target: str) -> None:
    """Raises UserError where --rerun can mean nothing here."""
    if target != SPAWN and Path(target).suffix != ".rrd":
        raise UserError(f"--rerun {target}: neither a file that ends in .rrd nor '{SPAWN}'")
    if target == SPAWN and not has_desktop():
        raise UserError(f"--rerun {SPAWN}: there is no screen here for Rerun's viewer; give a file to write, FILE.rrd")


class RerunLog(WholeOutput):
    """Logs a stream's images, flow and tubes.

    Use as a context manager: leaving it by an exception discards the file. Raises UserError where Rerun is missing, or
    its viewer or the file cannot be opened. Where the file cannot be written any more, as on a full disk, that is said,
    nothing is left of it, and what comes is ignored: `failed`.

    labels: the names of the classes, by label.

        with RerunLog("tubes.rrd", pipeline.labels) as log:
            log.add_image(stamp, image)
            log.add_tubes(update)
    """

    def __init__(self, target: str, labels: Sequence[str], say: Say = to_stderr) -> None:
        """target: a file to write, .rrd, or "spawn". say: is told where it is given up."""
        check_target(target)
        os.environ.setdefault("RUST_LOG", "off")  # what is wrong is said here
        self._rerun: Any = library("rerun", "--rerun")
        self._say, self.failed = say, False
        self._looked_at = time.monotonic()
        self._labels, self._events = labels, ActionEvents(labels)
        self._origin: int | None = None
        self._newest: int | None = None
        self._ways: dict[int, list[Box]] = {}
        self._said: dict[int, str] = {}
        self._log: Any = self._rerun.RecordingStream("amtnet_ros")
        self._file = None if target == SPAWN else WholeFile(Path(target), parents=True)
        self._open()

    def add_image(self, stamp: int, image: UInt8) -> None:
        """The next image, (height, width, 3) uint8 RGB, of that stamp (ns)."""
        if self._file and not self.failed and time.monotonic() - self._looked_at > _LOOK:
            self._flush(self._file)
        if self.failed:
            return
        self._at(stamp)
        self._log.log(
            "camera/image", self._rerun.EncodedImage(contents=jpeg(fitted(image, WIDTH)), media_type="image/jpeg")
        )

    def add_flow(self, field: FlowField) -> None:
        """The flow from one image to the next."""
        if self.failed:
            return
        self._at(field.stamp)
        self._log_picture("flow", flow_to_colour(field.vectors))

    def add_tubes(self, update: TubeUpdate) -> None:
        """The tubes of one step."""
        if self.failed:
            return
        self._at(update.stamp)
        if update.stamp != self._newest:  # that all tubes end is told of an image that has its boxes
            self._log_boxes(update)
            self._log_ways(update)
        self._newest = update.stamp
        for tube in update.tubes:
            self._log_action(tube)
        for event in self._events.add(update):
            self._log.log("events", self._rerun.TextLog(str(event), color=colour_of(event.id)))

    def close(self) -> None:
        """Finish the file, and put it in its place."""
        if self._file is None:
            with suppress(Exception):  # the viewer may have been closed
                self._log.flush(timeout_sec=_PATIENCE)
            self._log.disconnect()
            return
        if not self.failed:
            self._flush(self._file)
        if not self.failed:
            self._log.disconnect()
            self._file.keep()

    def discard(self) -> None:
        """Give up: nothing is left of the file."""
        if self._file:
            with suppress(Exception):  # what is discarded need not be finished
                self._log.disconnect()
            self._file.discard()

    def _flush(self, file: WholeFile) -> None:
        """Rerun writes in a thread of its own, and says nothing where it cannot: look whether all is written, and
        whether there is room for the file's end."""
        self._looked_at = time.monotonic()
        try:
            with reported(file.path), file.temporary.open("r+b") as opened:
                size = os.fstat(opened.fileno()).st_size
                os.posix_fallocate(opened.fileno(), size, _ROOM)
                opened.truncate(size)
            self._log.flush(timeout_sec=_PATIENCE)
        except Exception as error:  # Rerun's own are of several kinds
            self.discard()
            self.failed = True
            reason = error if isinstance(error, UserError) else f"{file.path}: {error}"
            self._say(f"{reason}; it is given up, the rest goes on")

    def _open(self) -> None:
        plan = _blueprint()
        try:
            if self._file is None:
                scripts = sysconfig.get_path(
                    "scripts"
                )  # where the viewer is, also of an environment that is not active
                os.environ["PATH"] = os.pathsep.join([scripts, os.environ.get("PATH", "")])
                self._log.spawn(default_blueprint=plan)
            else:
                self._log.save(self._file.temporary, default_blueprint=plan)
        except Exception as error:  # Rerun's own are of several kinds
            raise UserError(f"--rerun: {' '.join(str(error).split())[:200]}") from error

    def _at(self, stamp: int) -> None:
        if self._origin is None:
            self._origin = stamp
        self._log.set_time(TIMELINE, duration=(stamp - self._origin) / 1e9)

    def _log_picture(self, entity: str, image: UInt8) -> None:
        self._log.log(entity, self._rerun.EncodedImage(contents=jpeg(image), media_type="image/jpeg"))

    def _colour(self, tube: Tube) -> tuple[int, int, int]:
        return GREY if self._labels[tube.label] == OTHER else colour_of(tube.id)

    def _log_boxes(self, update: TubeUpdate) -> None:
        seen = [
            (tube, box)
            for tube in update.tubes
            if tube.state != TubeState.ENDED and (box := newest_box(tube, update.stamp)) is not None
        ]
        boxes = self._rerun.Boxes2D(
            array=np.array([box for _, box in seen], np.float32).reshape(-1, 4) * _zoom(update),
            array_format=self._rerun.Box2DFormat.XYXY,
            labels=[name_of(tube, self._labels) for tube, _ in seen],
            colors=[self._colour(tube) for tube, _ in seen],
        )
        self._log.log("camera/image/persons", boxes)

    def _log_ways(self, update: TubeUpdate) -> None:
        alive = [tube for tube in update.tubes if tube.state != TubeState.ENDED]
        self._ways = {tube.id: self._ways.get(tube.id, []) for tube in alive}
        for tube in alive:
            grow(self._ways[tube.id], tube, _TRAIL)
        moving = [tube for tube in alive if len(self._ways[tube.id]) > 1]
        lines = [feet([each.box for each in self._ways[tube.id]]) * _zoom(update) for tube in moving]
        ways = self._rerun.LineStrips2D(lines, colors=[self._colour(tube) for tube in moving])
        self._log.log("camera/image/ways", ways)

    def _log_action(self, tube: Tube) -> None:
        """What a person does since when, and how sure that is: of those that are, or have been, confirmed."""
        if tube.state == TubeState.TENTATIVE or (tube.id not in self._said and tube.state == TubeState.ENDED):
            return
        name = self._labels[tube.label] if tube.state != TubeState.ENDED else _OVER
        if tube.id not in self._said:
            self._describe(tube.id)
        if self._said.get(tube.id) != name:
            self._log.log(f"persons/{tube.id}", self._rerun.StateChange(state=name))
            self._said[tube.id] = name
        if name != _OVER:
            self._log.log(f"scores/{tube.id}", self._rerun.Scalars(tube.class_scores.astype(np.float64)))

    def _describe(self, number: int) -> None:
        """How a person's states and scores are shown."""
        colours = [colour_of_action(label, name) for label, name in enumerate(self._labels)]
        states = self._rerun.StateConfiguration(
            values=[*self._labels, _OVER],
            labels=[*self._labels, _OVER],
            colors=[*colours, GREY],
            visible=[True] * len(self._labels) + [False],
        )
        self._log.log(f"persons/{number}", states, static=True)
        self._log.log(f"scores/{number}", self._rerun.SeriesLines(names=self._labels, colors=colours), static=True)


def _zoom(update: TubeUpdate) -> np.float32:
    """From source pixels to those of the logged picture."""
    return np.float32(min(1.0, WIDTH / max(update.image_size[0], 1)))


def _blueprint() -> Any:
    """What is shown where."""
    views: Any = library("rerun.blueprint", "--rerun")
    return views.Blueprint(
        views.Horizontal(
            views.Vertical(
                views.Spatial2DView(origin="camera/image", name="Camera"),
                views.StateTimelineView(origin="persons", name="Who does what"),
                row_shares=[3, 1],
            ),
            views.Vertical(
                views.TimeSeriesView(origin="scores", name="Scores of each class"),
                views.Spatial2DView(origin="flow", name="Optical flow"),
                views.TextLogView(origin="events", name="Actions begin and end"),
                row_shares=[2, 2, 1],
            ),
            column_shares=[3, 2],
        ),
        collapse_panels=True,
    )
