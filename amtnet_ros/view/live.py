"""What a stream looks like now, for people who watch from other threads: picture, timeline, rates."""

from __future__ import annotations

import threading
import time
from collections import OrderedDict, deque
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from typing import Any, NamedTuple
from uuid import UUID

from amtnet_ros.contracts import TubeUpdate, UInt8
from amtnet_ros.errors import UserError
from amtnet_ros.media.drawing import Style, TubePainter, colour_of, colour_of_action
from amtnet_ros.media.pictures import fitted, jpeg
from amtnet_ros.media.timeline import SECONDS, Timeline
from amtnet_ros.stream import NewestSlot

WIDTH = 960
"""Of the pictures, in pixels, at most."""
_IMAGES = 16  # that wait for their tubes: answers lag a few frames behind
_UPDATES = 64  # of which the picture in progress may not know yet
_UNANSWERED = 1_000_000_000  # ns; images so much newer than the newest tubes are shown without any
_FAREWELL = 1.0  # seconds
_RATE_OVER = 3.0  # seconds over which rates are taken

Load = Callable[[], UInt8]
"""Makes the image, (height, width, 3) uint8 RGB, when it is to be drawn. May raise UserError."""


class Picture(NamedTuple):
    """number: ascending. data: a JPEG file's bytes."""

    number: int
    data: bytes


class LiveView:
    """Takes images and tubes from one thread, and shows the newest to any number of viewers in others.

    Whoever brings images and tubes never waits for a viewer: pictures are drawn and encoded, once for all viewers, in
    a thread of the view's own, only the newest, and only while somebody looks.

    title: what is watched, for people. problem: what is wrong with it, or "".

        with shown(LiveView("kitchen"), HOST, None, print) as view:  # view.server
            view.add_image(stamp, lambda: image)
            view.add_tubes(update, pipeline.session, dict(enumerate(pipeline.labels)), pipeline.latency)
    """

    def __init__(self, title: str, style: Style | None = None) -> None:
        self.title, self.problem = title, ""
        self._style = style
        self._timeline = Timeline()
        self._labels: dict[int, str] = {}
        self._images: OrderedDict[int, Load] = OrderedDict()
        self._updates: deque[TubeUpdate] = deque(maxlen=_UPDATES)
        self._newest_tubes: int | None = None
        self._latency: dict[str, float] = {}
        self._image_times, self._step_times = _Rate(), _Rate()
        self._slot: NewestSlot[tuple[int, Load]] = NewestSlot()
        self._changed = threading.Condition()
        self._picture: Picture | None = None
        self._viewers = 0
        self._missed = False
        self._open = True
        threading.Thread(target=self._draw, name="view", daemon=True).start()

    # For whoever brings images and tubes

    @property
    def is_watched(self) -> bool:
        """Whether somebody looks."""
        return self._viewers > 0

    def add_image(self, stamp: int, load: Load) -> None:
        """The next image of the camera. stamp: ns."""
        self._image_times.count()
        if not self.is_watched:
            self._images.clear()
            return
        self._images[stamp] = load
        while len(self._images) > _IMAGES:
            self._images.popitem(last=False)
        if self._newest_tubes is None or stamp - self._newest_tubes > _UNANSWERED:
            self._slot.put((stamp, load))

    def add_tubes(
        self,
        update: TubeUpdate,
        session: UUID,
        labels: Sequence[str] | Mapping[int, str],
        latency: Mapping[str, float] | None = None,
    ) -> None:
        """The tubes of one step. session: what their ids count in. labels: the names of the classes, by label.

        latency: seconds of each stage, as far as they are known.
        """
        self._step_times.count()
        self._labels.update(labels if isinstance(labels, Mapping) else enumerate(labels))
        self._timeline.add(update, session, labels)
        self._newest_tubes = update.stamp
        if latency:
            self._latency = dict(latency)
        if not self.is_watched:
            self._updates.clear()
            self._missed = True
            return
        self._updates.append(update)
        if (load := self._images.get(update.stamp)) is not None:
            self._slot.put((update.stamp, load))

    def close(self) -> None:
        """No more comes: viewers are told, and have a moment to leave; the thread ends."""
        self._slot.close()
        with self._changed:
            self._open = False
            self._changed.notify_all()
            self._changed.wait_for(lambda: self._viewers == 0, _FAREWELL)

    # For viewers

    @contextmanager
    def watching(self) -> Iterator[None]:
        """Somebody looks while inside."""
        with self._changed:
            self._viewers += 1
            self._changed.notify_all()
        try:
            yield
        finally:
            with self._changed:
                self._viewers -= 1
                self._changed.notify_all()

    @property
    def is_open(self) -> bool:
        """Whether anything may still come."""
        return self._open

    def await_viewer(self, timeout: float) -> None:
        """Wait until somebody looks, so many seconds at most."""
        with self._changed:
            self._changed.wait_for(lambda: self._viewers > 0 or not self._open, timeout)

    def next_picture(self, after: int, timeout: float) -> Picture | None:
        """The newest picture that is newer than number `after`; waits for one. None after so many seconds."""
        with self._changed:
            self._changed.wait_for(lambda: not self._open or self._number > after, timeout)
            return self._picture if self._number > after else None

    def facts(self, era: int, after: int) -> dict[str, Any]:
        """What a page shows beside the picture, ready for JSON; of the timeline what came after the point `after`.

        era: of the timeline that the viewer knows; where it is another by now, all of the new one.
        """
        timeline = self._timeline
        points = timeline.after(after if era == timeline.era else -1)
        origin = timeline.origin or 0
        return {
            "title": self.title,
            "problem": self.problem,
            "era": timeline.era,
            "now": round((timeline.newest - origin) / 1e9, 3) if timeline.origin is not None else 0.0,
            "seconds": SECONDS,
            "last": points[-1].number if points else after,
            "points": [
                (each.row, round((each.stamp - origin) / 1e9, 3), each.label, round(each.score, 3), each.state.name)
                for each in points
            ],
            "persons": {each.row: (each.id, _css(colour_of(each.id))) for each in points},
            "actions": {each.label: (each.name, _css(colour_of_action(each.label, each.name))) for each in points},
            "images": self._image_times.rate(),
            "steps": self._step_times.rate(),
            "latency": {name: round(seconds * 1e3, 1) for name, seconds in self._latency.items()},
        }

    @property
    def _number(self) -> int:
        return self._picture.number if self._picture else 0

    # The thread that draws

    def _draw(self) -> None:
        painter = TubePainter(self._labels, self._style, delay=_IMAGES)
        while not self._slot.closed:
            item = self._slot.take()
            if item is None:
                continue
            if self._missed:  # tubes may have ended meanwhile
                painter, self._missed = TubePainter(self._labels, self._style, delay=_IMAGES), False
            with suppress(IndexError):  # until there is none
                while True:
                    painter.update(self._updates.popleft())
            try:
                data = jpeg(painter.draw(fitted(item[1](), WIDTH), item[0]))
            except Exception as error:  # one image that cannot be shown; the next is looked at as if nothing had been
                self.problem = str(error) if isinstance(error, UserError) else f"{type(error).__name__}: {error}"
                continue
            self.problem = ""
            with self._changed:
                self._picture = Picture(self._number + 1, data)
                self._changed.notify_all()


class _Rate:
    """Counts what comes, and how often it came of late."""

    def __init__(self) -> None:
        self._times: deque[float] = deque(maxlen=400)

    def count(self) -> None:
        self._times.append(time.monotonic())

    def rate(self) -> float:
        """A second."""
        now = time.monotonic()
        times = [each for each in tuple(self._times) if now - each <= _RATE_OVER]
        return round((len(times) - 1) / (times[-1] - times[0]), 1) if len(times) > 1 and times[-1] > times[0] else 0.0


def _css(colour: tuple[int, int, int]) -> str:
    return "#{:02x}{:02x}{:02x}".format(*colour)
