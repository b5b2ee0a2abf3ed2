"""Stream, flow, inference and tubes in a row: frames in, tube updates out."""

from __future__ import annotations

import time
import uuid
from collections import deque
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from amtnet_ros.contracts import Frame, MicroTubes, TubeUpdate, UInt8
from amtnet_ros.errors import UserError
from amtnet_ros.flow.contract import FlowEngine, check_pair, to_working_size
from amtnet_ros.flow.encoding import encode_flow, flow_scale
from amtnet_ros.flow.factory import make_flow
from amtnet_ros.flow.stack import FlowStack, is_needed
from amtnet_ros.inference.card import FlowCard, ModelCard
from amtnet_ros.inference.contract import Encoded, Engine, Precision, Selection
from amtnet_ros.inference.factory import make_engine
from amtnet_ros.stream import AdaptiveDelta, Admission, FrameGate, PairMaker
from amtnet_ros.tubes import LinkerCounters, LinkerOptions, TubeLinker

STAGES = ("flow", "encode", "detect", "link")


@dataclass(frozen=True)
class PipelineOptions:
    """What may be changed while the pipeline runs. Raises UserError for a value out of range.

    delta: frames between the two frames of a pair at the model's nominal rate; None is the model's own.
    max_delta: while steps take longer than the frames are apart, delta grows up to this (see AdaptiveDelta); 0: never.
    classes: names of the actions to report; None reports all.
    score_threshold, nms_iou, max_per_class: selection of micro-tubes, see inference.engine.Selection.
    max_frame_gap: seconds; frames further apart are not paired.
    reset_jump: seconds; stamps that fall back by this or more start a new session, by less drop the frame.
    linker: see tubes.LinkerOptions.
    """

    delta: int | None = None
    max_delta: int = 0
    classes: tuple[str, ...] | None = None
    score_threshold: float = 0.05
    nms_iou: float = 0.45
    max_per_class: int = 10
    max_frame_gap: float = 0.5
    reset_jump: float = 1.0
    linker: LinkerOptions = field(default_factory=LinkerOptions)

    def __post_init__(self) -> None:
        if self.delta is not None and not 1 <= self.delta <= 64:
            raise UserError(f"delta is {self.delta}; it must be 1 to 64 frames")
        for name, low, high in (
            ("max_delta", 0, 64),
            ("score_threshold", 0.0, 1.0),
            ("nms_iou", 0.0, 1.0),
            ("max_per_class", 1, 1000),
            ("max_frame_gap", 0.01, 60.0),
            ("reset_jump", 0.01, 3600.0),
        ):
            if not low <= getattr(self, name) <= high:
                raise UserError(f"{name} is {getattr(self, name)}; it must be {low} to {high}")


class Pipeline:
    """Watches one camera. Feed it every frame in the order of arrival; it decides which to use.

    Frames are numbered on the model's nominal time grid: a lost frame leaves a number out. Not thread-safe, except that
    `configure` may be called from another thread than `push`.

    on_micro_tubes: called with each pair's micro-tubes before they are linked.
    latency: seconds each stage took in the last push. counters: frames by what became of them, since the start.
    """

    def __init__(
        self,
        engine: Engine,
        options: PipelineOptions | None = None,
        flow: FlowEngine | None = None,
        clock: Callable[[], float] = time.perf_counter,
    ) -> None:
        """flow: the engine to use instead of the one that the model was trained with. clock: seconds, for latency."""
        self._engine, self._clock = engine, clock
        card = engine.card
        motion = card.flow or FlowCard()
        self._uses_flow = card.flow is not None
        self._flow = (flow or make_flow(motion.engine, motion.working_size)) if self._uses_flow else None
        self._stack = FlowStack(motion.placement, (card.image_size, card.image_size), motion.length)
        self._linker = TubeLinker(len(card.actions))
        self.on_micro_tubes: Callable[[MicroTubes], None] | None = None
        self.latency = dict.fromkeys(STAGES, 0.0)
        self.counters = {admission.value: 0 for admission in Admission}
        self.session = uuid.uuid4()
        self.configure(options or PipelineOptions())
        self._apply_options()
        self._forget()

    @classmethod
    def from_model(
        cls,
        model: str | Path,
        device: str = "auto",
        options: PipelineOptions | None = None,
        precision: Precision = "auto",
    ) -> Pipeline:
        """Load a model by its name or folder. Raises UserError where anything about it is wrong."""
        return cls(make_engine(model, device, precision=precision), options)

    @property
    def card(self) -> ModelCard:
        """The model's card."""
        return self._engine.card

    @property
    def provider(self) -> str:
        """What the network really runs on, e.g. CPUExecutionProvider."""
        return self._engine.provider

    @property
    def linked(self) -> LinkerCounters:
        """What the linker did since the start: tubes started, ended, dropped for their number …"""
        return self._linker.counters

    @property
    def precision(self) -> str:
        """Of the network's arithmetic: fp32, fp16 or int8."""
        return self._engine.precision

    @property
    def delta(self) -> int:
        """Frames between the two frames of the next pair."""
        return self._pairs.delta

    @property
    def options(self) -> PipelineOptions:
        """The newest options that were accepted."""
        return self._options

    def configure(self, options: PipelineOptions) -> None:
        """Accept options; they hold from the next frame on. Raises UserError, changing nothing, if they do not fit."""
        self._selection = Selection(
            score_threshold=options.score_threshold,
            nms_iou=options.nms_iou,
            max_per_class=options.max_per_class,
            classes=None if options.classes is None else self._class_indices(options.classes),
        )
        self._options = options
        self._changed = True

    def push(self, stamp: int, image: UInt8) -> list[TubeUpdate]:
        """Take a frame: stamp in nanoseconds, image (H, W, 3) uint8 RGB.

        Returns one update for each key frame that could be processed: usually one; none for a frame that is dropped,
        lies between key frames, or waits for flow; several when the first window of flow is complete.
        """
        self.latency = dict.fromkeys(STAGES, 0.0)
        if self._changed:
            self._apply_options()
        admission = self._gate.admit(stamp)
        if admission is Admission.TAKEN and self._previous and self._previous.image.shape != image.shape:
            admission = Admission.RESTART
        self.counters[admission.value] += 1
        updates: list[TubeUpdate] = []
        if admission in (Admission.DUPLICATE, Admission.LATE, Admission.TOO_SOON):
            return updates
        if admission is Admission.RESTART:
            updates += self.reset()
            self._gate.admit(stamp)
        elif admission is Admission.GAP:
            updates += self._flush()
            self._break_off()
        frame = Frame(self._number(stamp), stamp, image)
        self._advance(frame)
        processed = list(self._process_ready())
        if len(processed) == 1:  # when a window of flow becomes complete there are more, which is no measure
            self._adapt()
        return updates + processed

    def finish(self) -> list[TubeUpdate]:
        """The stream is over: process what still waits, and end all tubes."""
        updates = [*self._flush(last_is_key=True), self._linker.end(self._pairs.delta)]
        self._forget()
        return updates

    def reset(self) -> list[TubeUpdate]:
        """End all tubes and start anew, with a new session id."""
        updates = [self._linker.end(self._pairs.delta)]
        self._forget()
        self.session = uuid.uuid4()
        return updates

    def close(self) -> None:
        """Free the model."""
        self._engine.close()

    def _class_indices(self, classes: tuple[str, ...]) -> tuple[int, ...]:
        unknown = [name for name in classes if name not in self.card.actions]
        if unknown:
            raise UserError(f"the model knows no class '{unknown[0]}'; it knows: {', '.join(self.card.actions)}")
        return tuple(self.card.actions.index(name) for name in classes)

    def _apply_options(self) -> None:
        self._changed = False
        options = self._options
        self._linker.options = options.linker
        if not hasattr(self, "_gate"):
            self._gate = FrameGate(self.card.rate, options.max_frame_gap, options.reset_jump)
            self._pairs = PairMaker(self.card.rate, options.delta or self.card.delta)
            self._adaptive = AdaptiveDelta(1 / self.card.rate, self._pairs.delta, options.max_delta)
        self._gate.max_frame_gap, self._gate.reset_jump = options.max_frame_gap, options.reset_jump
        self._adaptive.configure(options.delta or self.card.delta, options.max_delta)
        self._pairs.delta = self._adaptive.delta

    def _adapt(self) -> None:
        """Let delta follow what this step took."""
        flow, *key = (self.latency[stage] for stage in STAGES)
        self._pairs.delta = self._adaptive.observe(flow, sum(key))

    def _forget(self) -> None:
        """Back to the state before the first frame."""
        self._gate.reset()
        self._last_number: tuple[int, int] | None = None
        self._break_off()

    def _break_off(self) -> None:
        """Nothing that comes has to do with what was, but the tubes live on."""
        self._stack.reset()
        self._pairs.reset()
        self._previous: Frame | None = None
        self._key = 0
        self._waiting: deque[Frame] = deque()
        self._encoded: Encoded | None = None

    def _number(self, stamp: int) -> int:
        """The frame's number on the nominal time grid: at least one more than the last one's."""
        number = 0
        if self._last_number is not None:
            last, last_stamp = self._last_number
            number = last + self._pairs.distance(last_stamp, stamp)
        self._last_number = (number, stamp)
        return number

    def _advance(self, frame: Frame) -> None:
        """Compute the flow that ends at this frame, and let the frame wait for its stack if it is a key frame.

        Flow that no stack will need, as far as one can tell, is put off until one needs it after all.
        """
        if self._flow and self._previous:
            with self._timed("flow"):
                flow_image = self._flow_image(self._flow, self._previous, frame)
                span = range(self._previous.index, frame.index)
                self._stack.push(span.start, flow_image() if self._are_needed(span) else flow_image, until=span.stop)
        self._previous = frame
        if self._pairs.is_key(frame.stamp):
            self._waiting.append(frame)
            self._key = frame.index

    def _flow_image(self, flow: FlowEngine, previous: Frame, current: Frame) -> Callable[[], UInt8]:
        """Computes the encoded flow between two frames; holds on to them at the size of the flow only."""
        check_pair(previous.image, current.image)
        images = [to_working_size(frame.image, flow.working_size) for frame in (previous, current)]
        scale = flow_scale(previous.stamp, current.stamp, self.card.rate)
        return lambda: encode_flow(flow(*images) * np.float32(scale))

    def _are_needed(self, flows: range) -> bool:
        """Whether one of these flow images is in the stack of a key frame to come."""
        stack, delta = self._stack, self._pairs.delta
        return any(is_needed(flow, self._key, delta, stack.placement, stack.length) for flow in flows)

    def _flush(self, last_is_key: bool = False) -> list[TubeUpdate]:
        """Process what waits for flow that will not come: the last flow image is repeated, as at the end of a video."""
        last = self._previous
        if last_is_key and last and not self._waiting and self._encoded and self._encoded.index < last.index:
            self._waiting.append(last)
        self._stack.flush()
        return list(self._process_ready())

    def _process_ready(self) -> Iterator[TubeUpdate]:
        while self._waiting and (not self._uses_flow or self._stack.ready(self._waiting[0].index)):
            yield self._process(self._waiting.popleft())

    def _process(self, frame: Frame) -> TubeUpdate:
        with self._timed("flow"):
            stack = self._stack.stack(frame.index) if self._uses_flow else None
        with self._timed("encode"):
            encoded = self._engine.encode(frame, stack)
        before, self._encoded = self._encoded, encoded
        if before is None:
            return self._linker.skip(frame.index, frame.stamp, frame.size, self._pairs.delta)
        with self._timed("detect"):
            micro_tubes = self._engine.detect(before, encoded, self._selection)
        if self.on_micro_tubes:
            self.on_micro_tubes(micro_tubes)
        with self._timed("link"):
            return self._linker.update(micro_tubes, self._pairs.distance(before.stamp, frame.stamp))

    @contextmanager
    def _timed(self, stage: str) -> Iterator[None]:
        begin = self._clock()
        yield
        self.latency[stage] += self._clock() - begin
