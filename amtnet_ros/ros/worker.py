"""The thread of one camera: takes the newest image, runs the pipeline, tells a listener what came of it."""

from __future__ import annotations

import threading
import time
from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Protocol
from uuid import UUID

from builtin_interfaces.msg import Time
from sensor_msgs.msg import CompressedImage, Image
from std_msgs.msg import Header

from amtnet_ros.contracts import TubeUpdate, UInt8
from amtnet_ros.errors import UserError
from amtnet_ros.pipeline import Pipeline
from amtnet_ros.ros.conversions import rgb_from
from amtnet_ros.ros.messages import nanoseconds, time_message
from amtnet_ros.stream import Admission, NewestSlot, Strays
from amtnet_ros.stream.frames import DROPPED

_SECOND = 1_000_000_000
_HEADERS = 64  # of the newest images; answers lag a few frames behind
_IMAGES = 16
_FAR = 1.0  # seconds between two stamps beyond which the second is doubted
_DOUBT = 0.5  # seconds after which one that is doubted is believed, where no other image tells
_STOP_TIMEOUT = 1.5  # seconds for the image in progress


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
class Done:
    """An image that the pipeline is done with.

    admission: what became of it. latency: seconds of ``arrival`` (from stamp to detector), ``waiting``, ``convert`` and
    the pipeline's stages.
    """

    header: Header
    admission: Admission
    latency: dict[str, float]


class Listener(Protocol):
    """Whom a worker tells what comes of its images; called in the worker's thread, or in the one that ends the tubes.

    What a listener raises is reported to its `on_defect` and does no harm to pipeline and thread.
    """

    @property
    def wants_images(self) -> bool:
        """Whether steps should come with their images."""

    def on_step(self, step: Step) -> None:
        """A step, in order."""

    def on_done(self, done: Done) -> None:
        """An image, after the steps that came of it."""

    def on_refused(self, error: UserError) -> None:
        """An image that cannot be used, and why."""

    def on_defect(self, error: Exception) -> None:
        """Something that should never happen; the worker goes on."""


class Worker:
    """Feeds a pipeline from its own thread, so that the executor stays free; never more than one image waits.

    image_timeout: seconds without an image that can be looked at, after which all tubes end; may be set at any time.
    """

    def __init__(self, pipeline: Pipeline, listener: Listener, image_timeout: float) -> None:
        self.pipeline, self.image_timeout = pipeline, image_timeout
        self._listener = listener
        self._lock = threading.Lock()  # around every use of the pipeline, and the steps that result
        self._sources = _Sources()
        self._strays: Strays[tuple[_Arrival, _Converted]] = Strays()
        self._slot: NewestSlot[_Arrival] | None = None
        self._thread: threading.Thread | None = None
        self._open = False
        self._dropped_before = 0

    def start(self) -> None:
        """Begin to take images."""
        slot = self._slot = NewestSlot()
        self._thread = threading.Thread(target=self._run, args=(slot,), name="detector", daemon=True)
        self._open = True
        self._thread.start()

    def submit(self, message: Image | CompressedImage, age: float) -> None:
        """The newest image; it takes the place of one that still waits. age: seconds since its stamp."""
        if self._slot is not None:
            self._slot.put(_Arrival(message, age, time.monotonic()))

    def close(self) -> None:
        """Take no more images; the one in progress is not waited for."""
        self._open = False
        if self._slot is not None:
            self._slot.close()

    def stop(self) -> None:
        """Finish the image in progress, end all tubes, and begin anew at the next start."""
        if self._slot is None or self._thread is None:
            return
        self.close()
        self._thread.join(_STOP_TIMEOUT)
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

    @property
    def dead(self) -> bool:
        """Whether the thread has ended although images are still to be taken."""
        return self._open and self._thread is not None and not self._thread.is_alive()

    def _run(self, slot: NewestSlot[_Arrival]) -> None:
        looked_at: float | None = None  # when the newest image was; None where no tube can be alive
        while not slot.closed:
            arrival = slot.take(None if looked_at is None else max(0.0, looked_at + self._patience - time.monotonic()))
            image = self._converted(arrival) if arrival else None
            silence = 0.0 if looked_at is None else time.monotonic() - looked_at
            if arrival and image:
                for each in self._belonging(arrival, image):
                    self._try(*each)
                looked_at = time.monotonic()
            elif looked_at is not None and silence >= self._patience and not slot.closed:
                for each in self._believed():
                    self._try(*each)
                if silence >= self.image_timeout:
                    self._end(self.pipeline.finish)
                    looked_at = None

    @property
    def _patience(self) -> float:
        """Seconds without an image after which something is to be done."""
        return min(_DOUBT, self.image_timeout) if self._strays.holds else self.image_timeout

    def _belonging(self, arrival: _Arrival, image: _Converted) -> list[tuple[_Arrival, _Converted]]:
        """What is to be looked at now: nothing, the image, or with it one whose stamp was doubted."""
        stamp = nanoseconds(arrival.message.header.stamp)
        far = round(max(_FAR, self.pipeline.options.max_frame_gap) * _SECOND)
        with self._lock:
            belonging, stray = self._strays.take(stamp, (arrival, image), far)
        if stray is not None:
            seconds = nanoseconds(stray[0].message.header.stamp) / _SECOND
            self._tell(
                self._listener.on_refused,
                UserError(f"image with a stamp of {seconds:.3f} s, far from those before and after; check the driver"),
            )
        return belonging

    def _believed(self) -> list[tuple[_Arrival, _Converted]]:
        """The image whose stamp was doubted, where there is one: no other came that could tell."""
        with self._lock:
            return self._strays.believe()

    def _try(self, arrival: _Arrival, image: _Converted) -> None:
        """Look at an image, whatever comes of it."""
        try:
            self._look(arrival, image)
        except UserError as error:
            self._tell(self._listener.on_refused, error)
        except Exception as error:
            self._tell(self._listener.on_defect, error)
            self.reset()

    def _converted(self, arrival: _Arrival) -> _Converted | None:
        """The image as the pipeline takes it. One that is no use costs itself, and no tube."""
        message, started = arrival.message, time.monotonic()
        try:
            _check_stamp(message.header.stamp)
            rgb = rgb_from(message)
        except UserError as error:
            self._tell(self._listener.on_refused, error)
        except Exception as error:
            self._tell(self._listener.on_defect, error)
        else:
            latency = {"arrival": arrival.age, "waiting": started - arrival.at, "convert": time.monotonic() - started}
            return _Converted(rgb, latency)
        return None

    def _look(self, arrival: _Arrival, image: _Converted) -> None:
        header = arrival.message.header
        stamp = nanoseconds(header.stamp)
        with self._lock:
            session = self.pipeline.session  # the pipeline may begin a new one; what it then returns first ends the old
            updates = self.pipeline.push(stamp, image.rgb)
            admission = self.pipeline.admission
            if admission not in DROPPED:  # an image that is left out must not lend its header to another
                self._sources.remember(stamp, header, image.rgb if self._listener.wants_images else None)
            ends = 1 if admission is Admission.RESTART else len(updates)
            self._hand_on(updates[:ends], session)
            self._hand_on(updates[ends:], self.pipeline.session)
            self._tell(self._listener.on_done, Done(header, admission, {**image.latency, **self.pipeline.latency}))

    def _end(self, how: Callable[[], list[TubeUpdate]]) -> None:
        with self._lock:
            self._strays.reset()
            session = self.pipeline.session
            try:
                *steps, end = how()
            except Exception as error:
                self._tell(self._listener.on_defect, error)
            else:
                self._hand_on([*steps, end] if end.tubes else steps, session)

    def _hand_on(self, updates: list[TubeUpdate], session: UUID) -> None:
        for update in updates:
            header, image = self._sources.of(update.stamp)
            self._tell(self._listener.on_step, Step(update, session, header, image))

    def _tell(self, event: Callable[[Any], None], what: Any) -> None:
        """Call the listener; what it raises is its own affair."""
        try:
            event(what)
        except Exception as error:
            if event != self._listener.on_defect:
                self._tell(self._listener.on_defect, error)


def _check_stamp(time: Time) -> None:
    """Raises UserError for a stamp that no clock gives."""
    stamp = nanoseconds(time)
    if stamp <= 0:
        said = f"{stamp / 1e9:g} s" if stamp else "zero"
        raise UserError(
            f"image with a stamp of {said}; does the camera's driver stamp its images, does /clock run if it uses "
            "simulated time?"
        )
    if time.nanosec >= _SECOND:
        raise UserError(f"image with a stamp of {time.nanosec} nanoseconds within a second; check the camera's driver")


@dataclass(frozen=True)
class _Arrival:
    """An image, its age in seconds on arrival, and when that was by time.monotonic()."""

    message: Image | CompressedImage
    age: float
    at: float


@dataclass(frozen=True)
class _Converted:
    """An image as (height, width, 3) uint8 RGB, and the seconds of each stage so far."""

    rgb: UInt8
    latency: dict[str, float]


class _Sources:
    """The headers of the newest images, and the images themselves where they are wanted, by stamp."""

    def __init__(self) -> None:
        self._headers: OrderedDict[int, Header] = OrderedDict()
        self._images: OrderedDict[int, UInt8] = OrderedDict()

    def remember(self, stamp: int, header: Header, image: UInt8 | None) -> None:
        """image: None where nobody wants images; those that were kept are forgotten."""
        self._headers[stamp] = header
        if len(self._headers) > _HEADERS:
            self._headers.popitem(last=False)
        if image is None:
            self._images.clear()
            return
        self._images[stamp] = image
        if len(self._images) > _IMAGES:
            self._images.popitem(last=False)

    def of(self, stamp: int) -> tuple[Header, UInt8 | None]:
        """Header and image of that stamp (ns); a bare header where it is too long ago."""
        return self._headers.get(stamp) or Header(stamp=time_message(stamp)), self._images.get(stamp)
