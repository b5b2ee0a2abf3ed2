"""One engine for several cameras: what waits at the same time is encoded as one batch, within a bounded delay."""

from __future__ import annotations

import threading
import time
from collections.abc import Sequence
from concurrent.futures import Future
from dataclasses import dataclass, field

from amtnet_ros.contracts import Frame, MicroTubes, UInt8
from amtnet_ros.errors import UserError
from amtnet_ros.inference.contract import Encoded, Engine, Selection

MAX_BATCH = 16
MAX_DELAY = 0.005


class SharedEngine:
    """Lends one engine to several cameras, each of which has its own pipeline in its own thread.

    A frame waits for the frames of other cameras `max_delay` seconds at most, and not at all once every camera waits or
    `max_batch` frames do. A single camera never waits, and uses the engine in its own thread. What a camera gets is
    what the engine alone would give it.

    batches: how many batches of each size were run.

        shared = SharedEngine(make_engine("light"))
        pipelines = [Pipeline(shared.camera()) for _ in ("left", "right")]
    """

    def __init__(self, engine: Engine, max_batch: int = MAX_BATCH, max_delay: float = MAX_DELAY) -> None:
        """Takes the engine over: it is closed when the last camera is. Raises UserError for a value out of range."""
        if max_batch < 1 or max_delay < 0:
            raise UserError(f"cameras: max_batch is {max_batch}, max_delay {max_delay}; at least 1 and at least 0")
        self.engine, self.max_batch, self.max_delay = engine, max_batch, max_delay
        self.batches: dict[int, int] = {}
        self._waiting: list[_Job] = []
        self._cameras = 0
        self._changed = threading.Condition()
        self._busy = threading.Lock()  # around every use of the engine
        self._thread: threading.Thread | None = None

    def camera(self) -> CameraEngine:
        """An engine for one more camera."""
        with self._changed:
            self._cameras += 1
            if self._cameras > 1 and self._thread is None:
                self._thread = threading.Thread(target=self._serve, name="batches", daemon=True)
                self._thread.start()
        return CameraEngine(self)

    def encode(self, frame: Frame, flow_stack: UInt8 | None) -> Encoded:
        """Encode a frame together with those of other cameras; called from each camera's own thread."""
        job = _Job(frame, flow_stack)
        with self._changed:
            alone = self._cameras == 1
            if not alone:
                self._waiting.append(job)
                self._changed.notify_all()
        if alone:
            self._run([job])
        return job.answer.result()

    def detect(self, at_t: Encoded, at_t_plus_delta: Encoded, selection: Selection) -> MicroTubes:
        """As the engine's own, one at a time."""
        with self._busy:
            return self.engine.detect(at_t, at_t_plus_delta, selection)

    def encode_batch(self, frames: Sequence[Frame], flow_stacks: Sequence[UInt8 | None]) -> list[Encoded]:
        """As the engine's own, one at a time."""
        with self._busy:
            return self.engine.encode_batch(frames, flow_stacks)

    def leave(self) -> None:
        """A camera is done; after the last one the engine is closed."""
        with self._changed:
            self._cameras -= 1
            self._changed.notify_all()
            last = self._cameras == 0
        if last:
            if self._thread is not None:
                self._thread.join()
            self.engine.close()

    def _serve(self) -> None:
        while jobs := self._next_batch():
            self._run(jobs)

    def _run(self, jobs: Sequence[_Job]) -> None:
        self.batches[len(jobs)] = self.batches.get(len(jobs), 0) + 1
        self._answer(jobs)

    def _next_batch(self) -> list[_Job]:
        """Wait for frames, and a little for more of them. Nothing once all cameras have left."""
        with self._changed:
            self._changed.wait_for(lambda: self._waiting or self._cameras == 0)
            until = time.monotonic() + self.max_delay
            while self._waiting and len(self._waiting) < min(self._cameras, self.max_batch):
                remaining = until - time.monotonic()
                if remaining <= 0 or not self._changed.wait(remaining):
                    break
            jobs, self._waiting = self._waiting[: self.max_batch], self._waiting[self.max_batch :]
            return jobs

    def _answer(self, jobs: Sequence[_Job]) -> None:
        """Give every job its encoding; what is wrong with one camera's frame is that camera's affair alone."""
        try:
            encoded = self.encode_batch([job.frame for job in jobs], [job.flow_stack for job in jobs])
        except Exception as error:
            if len(jobs) == 1:
                jobs[0].answer.set_exception(error)
            else:
                for job in jobs:
                    self._answer([job])
        else:
            for job, mine in zip(jobs, encoded, strict=True):
                job.answer.set_result(mine)


class CameraEngine:
    """One camera's view of a shared engine; an `Engine` in every respect."""

    def __init__(self, shared: SharedEngine) -> None:
        self._shared = shared
        engine = shared.engine
        self.card, self.device = engine.card, engine.device
        self.provider, self.precision = engine.provider, engine.precision
        self._open = True

    def encode(self, frame: Frame, flow_stack: UInt8 | None) -> Encoded:
        return self._shared.encode(frame, flow_stack)

    def encode_batch(self, frames: Sequence[Frame], flow_stacks: Sequence[UInt8 | None]) -> list[Encoded]:
        return self._shared.encode_batch(frames, flow_stacks)

    def detect(self, at_t: Encoded, at_t_plus_delta: Encoded, selection: Selection) -> MicroTubes:
        return self._shared.detect(at_t, at_t_plus_delta, selection)

    def close(self) -> None:
        if self._open:
            self._open = False
            self._shared.leave()


@dataclass(frozen=True, slots=True)
class _Job:
    """A frame that waits to be encoded."""

    frame: Frame
    flow_stack: UInt8 | None
    answer: Future[Encoded] = field(default_factory=Future)
