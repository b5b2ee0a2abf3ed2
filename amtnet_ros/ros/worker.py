"""The thread that looks: takes the newest image, runs the pipeline, hands on what came out."""

from __future__ import annotations

import threading
import time
from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass
from uuid import UUID

from sensor_msgs.msg import CompressedImage, Image
from std_msgs.msg import Header

from amtnet_ros.contracts import TubeUpdate, UInt8
from amtnet_ros.errors import UserError
from amtnet_ros.pipeline import Pipeline
from amtnet_ros.ros.conversions import rgb_from_compressed, rgb_from_image
from amtnet_ros.ros.messages import nanoseconds, time_message
from amtnet_ros.stream import NewestSlot

_HEADERS = 64  # of the newest images; answers lag a few frames behind
_IMAGES = 16
_PATIENCE = 1.5  # seconds for the step in progress when asked to stop


@dataclass(frozen=True)
class Step:
    """One processed step: what was found, and the source image it was found in.

    header: the image's, untouched; image: (height, width, 3) uint8 RGB, where images were wanted and it is still there.
    """

    update: TubeUpdate
    session: UUID
    header: Header
    image: UInt8 | None


@dataclass(frozen=True)
class _Arrival:
    """An image, its age in seconds on arrival, and when that was by time.monotonic()."""

    message: Image | CompressedImage
    age: float
    at: float


class Worker:
    """Feeds a pipeline from its own thread, so that the executor stays free; never more than one image waits.

    on_step: called with each step, in order. on_looked: with the header of each image, after the steps that came of it,
        and the seconds of ``arrival`` (from stamp to detector), ``waiting``, ``convert`` and the pipeline's stages.
    on_refused: called when an image cannot be used, and why.
    on_defect: with an exception of the package's own; the pipeline was reset and goes on.
    keep_images: says whether somebody will want the images of the steps.
    """

    def __init__(
        self,
        pipeline: Pipeline,
        on_step: Callable[[Step], None],
        on_looked: Callable[[Header, dict[str, float]], None],
        on_refused: Callable[[UserError], None],
        on_defect: Callable[[Exception], None],
        keep_images: Callable[[], bool],
    ) -> None:
        self.pipeline = pipeline
        self._on_step, self._on_looked = on_step, on_looked
        self._on_refused, self._on_defect = on_refused, on_defect
        self._keep_images = keep_images
        self._lock = threading.Lock()  # around every use of the pipeline, and the steps that result
        self._headers: OrderedDict[int, Header] = OrderedDict()
        self._images: OrderedDict[int, UInt8] = OrderedDict()
        self._slot: NewestSlot[_Arrival] | None = None
        self._thread: threading.Thread | None = None
        self._dropped_before = 0

    def start(self) -> None:
        """Begin to look at what is submitted."""
        slot = self._slot = NewestSlot()
        self._thread = threading.Thread(target=self._run, args=(slot,), name="detector", daemon=True)
        self._thread.start()

    def submit(self, message: Image | CompressedImage, age: float) -> None:
        """The newest image; it takes the place of one that still waits. age: seconds since its stamp."""
        if self._slot is not None:
            self._slot.put(_Arrival(message, age, time.monotonic()))

    def close(self) -> None:
        """Take no more images; the one in progress is not waited for."""
        if self._slot is not None:
            self._slot.close()

    def stop(self) -> None:
        """Finish the image in progress, end all tubes, and begin anew at the next start."""
        if self._slot is None or self._thread is None:
            return
        self.close()
        self._thread.join(_PATIENCE)
        self._dropped_before += self._slot.replaced
        self._slot = self._thread = None
        self._end(self.pipeline.finish)
        self._end(self.pipeline.reset)

    def reset(self) -> None:
        """End all tubes and begin a new session."""
        self._end(self.pipeline.reset)

    @property
    def dropped(self) -> int:
        """Images that made way for a newer one before they were looked at."""
        return self._dropped_before + (self._slot.replaced if self._slot is not None else 0)

    def _run(self, slot: NewestSlot[_Arrival]) -> None:
        while (arrival := slot.take()) is not None:
            try:
                self._look(arrival)
            except UserError as error:
                self._on_refused(error)
            except Exception as error:
                self._on_defect(error)
                self.reset()

    def _look(self, arrival: _Arrival) -> None:
        message, started = arrival.message, time.monotonic()
        image = rgb_from_image(message) if isinstance(message, Image) else rgb_from_compressed(message)
        converted = time.monotonic() - started
        stamp = nanoseconds(message.header.stamp)
        self._remember(stamp, message.header, image)
        with self._lock:
            session = self.pipeline.session  # the pipeline may begin a new one; what it then returns ends the old
            updates = self.pipeline.push(stamp, image)
            self._hand_on(updates, session)
            latency = {"arrival": arrival.age, "waiting": started - arrival.at, "convert": converted}
            self._on_looked(message.header, {**latency, **self.pipeline.latency})

    def _end(self, how: Callable[[], list[TubeUpdate]]) -> None:
        with self._lock:
            session = self.pipeline.session
            *steps, end = how()
            self._hand_on([*steps, end] if end.tubes else steps, session)

    def _hand_on(self, updates: list[TubeUpdate], session: UUID) -> None:
        for update in updates:
            header = self._headers.get(update.stamp) or Header(stamp=time_message(update.stamp))
            self._on_step(Step(update, session, header, self._images.get(update.stamp)))

    def _remember(self, stamp: int, header: Header, image: UInt8) -> None:
        self._headers[stamp] = header
        if len(self._headers) > _HEADERS:
            self._headers.popitem(last=False)
        if not self._keep_images():
            self._images.clear()
            return
        self._images[stamp] = image
        if len(self._images) > _IMAGES:
            self._images.popitem(last=False)
