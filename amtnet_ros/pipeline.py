"""Stream, flow, inference and tubes in a row: frames in, tube updates out."""

from __future__ import annotations

import time
import uuid
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import fields, replace
from pathlib import Path

from amtnet_ros.actors.actors import Actors
from amtnet_ros.actors.fusion import Fusion, Rule
from amtnet_ros.actors.names import parse_actions
from amtnet_ros.actors.stage import ActorStage
from amtnet_ros.contracts import NOBODY, FlowField, Frame, MicroTubes, TubeUpdate, UInt8
from amtnet_ros.errors import UserError
from amtnet_ros.flow.contract import FlowEngine
from amtnet_ros.flow.factory import make_flow
from amtnet_ros.flow.motion import Motion
from amtnet_ros.inference.card import FlowCard, ModelCard
from amtnet_ros.inference.contract import ActorEngine, Encoded, Engine, Precision, Selection
from amtnet_ros.inference.factory import make_actor_engine, make_engine
from amtnet_ros.settings import PipelineOptions
from amtnet_ros.stream import AdaptiveDelta, Admission, FrameStream, PairMaker, SceneCuts, frames_between
from amtnet_ros.tubes import ImageBoxes, LinkerCounters, TubeLinker

__all__ = ["STAGES", "Pipeline", "PipelineOptions"]

STAGES = ("flow", "encode", "detect", "link", "look")


class Pipeline:
    """Watches one camera. Feed it every frame in the order of arrival; it decides which to use.

        image → stream: a numbered frame → flow: its stack → engine: encoded, a pair's micro-tubes → linker: tubes
              → actors: what each person does

    Not thread-safe, except that `configure` may be called from another thread than `push`.

    on_micro_tubes: called with each pair's micro-tubes before they are linked.
    latency: seconds each stage took in the last push. counters: images by what became of them, since the start.
    admission: what became of the newest image. session: the id of the stream of frames that the tubes' ids count in.

        pipeline = Pipeline.from_model("light")
        for stamp, image in camera:
            for update in pipeline.push(stamp, image):
                print([(tube.id, pipeline.labels[tube.label], tube.score) for tube in update.tubes])
    """

    def __init__(
        self,
        engine: Engine,
        options: PipelineOptions | None = None,
        flow: FlowEngine | None = None,
        clock: Callable[[], float] = time.perf_counter,
        actors: ActorEngine | None = None,
    ) -> None:
        """flow: the engine to use instead of the one that the model was trained with. clock: seconds, for latency.

        actors: of the stream that looks at persons; None: the two-stream network answers alone. Raises UserError where
        the options do not fit the model.
        """
        options = options or PipelineOptions()
        card = engine.card
        delta = options.delta or card.delta
        self._engine, self._clock = engine, clock
        self._stream = FrameStream(card.rate, options.max_frame_gap, options.reset_jump)
        self._cuts = SceneCuts()
        self._pairs = PairMaker(card.rate, delta, options.pairs_by_clock)
        self._adaptive = AdaptiveDelta(1 / card.rate, delta, options.max_delta)
        self._motion = _make_motion(engine, flow)
        self._linker = TubeLinker(len(card.actions))
        self._images = ImageBoxes(options.linker.history_limit)
        self._actor_engine, self._stage = actors, _make_stage(card, options, actors)
        self._encoded: Encoded | None = None
        self._between = 0.0  # seconds of looks since the last key frame
        self.on_micro_tubes: Callable[[MicroTubes], None] | None = None
        self.latency = dict.fromkeys(STAGES, 0.0)
        self.counters = self._stream.counters
        self.admission = Admission.TAKEN
        self.session = uuid.uuid4()
        self.configure(options)

    @classmethod
    def from_model(
        cls,
        model: str | Path,
        device: str = "auto",
        options: PipelineOptions | None = None,
        precision: Precision = "auto",
    ) -> Pipeline:
        """Load a model by its name or folder. Raises UserError where anything about it is wrong."""
        options = options or PipelineOptions()
        engine = make_engine(model, device, precision=precision)
        looks = options.actor_stream and engine.card.actor is not None
        return cls(engine, options, actors=make_actor_engine(model, device, precision=precision) if looks else None)

    @property
    def card(self) -> ModelCard:
        """The model's card."""
        return self._engine.card

    @property
    def labels(self) -> tuple[str, ...]:
        """What tubes may be called, by their label: the model's actions, `other`, and the actions asked for by name."""
        return self._stage.labels if self._stage else self.card.actions

    @property
    def actors(self) -> Actors | None:
        """Who looks at persons, to ask how it goes; None without that stream."""
        return self._stage.actors if self._stage else None

    @property
    def stage(self) -> ActorStage | None:
        """What looks at persons in each step, to listen to its answers (`on_answer`); None without that stream."""
        return self._stage

    @property
    def provider(self) -> str:
        """What the network really runs on, e.g. CPUExecutionProvider."""
        return self._engine.provider

    @property
    def precision(self) -> str:
        """Of the network's arithmetic: fp32, fp16 or int8."""
        return self._engine.precision

    @property
    def linked(self) -> LinkerCounters:
        """What the linker did since the start: tubes started, ended, dropped for their number …"""
        return self._linker.counters

    @property
    def delta(self) -> int:
        """Frames between the two frames of the next pair."""
        return self._pairs.delta

    @property
    def options(self) -> PipelineOptions:
        """The newest options that were accepted."""
        return self._options

    @property
    def on_flow(self) -> Callable[[FlowField], None] | None:
        """Called with each optical flow as it is computed; settable."""
        return self._motion.on_flow

    @on_flow.setter
    def on_flow(self, told: Callable[[FlowField], None] | None) -> None:
        self._motion.on_flow = told

    def configure(self, options: PipelineOptions) -> None:
        """Accept options; they hold from the next frame on. Raises UserError, changing nothing, if they do not fit."""
        wanted = self._class_indices(options.classes)
        self._selection = Selection(
            score_threshold=options.score_threshold,
            nms_iou=options.nms_iou,
            max_per_class=options.max_per_class,
            classes=None if self._stage else wanted or None,
        )
        if self._stage:
            self._stage.wanted = frozenset(wanted) or None
        self._options = options
        self._changed = True

    def push(self, stamp: int, image: UInt8) -> list[TubeUpdate]:
        """Take a frame: stamp in nanoseconds, image (H, W, 3) uint8 RGB.

        Returns one update for each key frame that could be processed: usually one; none for a frame that is dropped,
        lies between key frames, or waits for flow or to be told from a flash; several when the first window of flow is
        complete, or at a cut.
        """
        self.latency = dict.fromkeys(STAGES, 0.0)
        self._apply_options()
        self.admission, frame = self._stream.take(stamp, image)
        updates = self._begin_anew() if self.admission is Admission.RESTART else []
        if self.admission not in (Admission.DUPLICATE, Admission.LATE):
            self._images.add(stamp, frame.index if frame else None)
        if frame is None:
            return []
        steps: list[TubeUpdate] = []
        if self.admission is Admission.GAP:
            self._cuts.reset()  # after a while anything may have moved
        for each, is_cut in self._cuts.take(frame) if self._options.end_at_cuts else [(frame, False)]:
            if is_cut:
                updates += self._end_scene()
            elif self.admission is Admission.GAP and each is frame:
                updates += [self._step(*key) for key in self._motion.flush()]
                self._break_off()
            with self._timed("flow"):
                is_key = self._pairs.is_key(each.stamp)
                keys = self._motion.add(each, is_key, self._pairs.delta)
            steps += [self._step(*key) for key in keys]
            if not is_key:
                self._look_between(each)
        self._adapt(len(steps))
        return updates + steps

    def finish(self) -> list[TubeUpdate]:
        """The stream is over: process what still waits, and end all tubes."""
        updates = [self._step(*key) for key in self._motion.flush(newest_is_key=True)]
        updates.append(self._images.conclude(self._end_tubes()))
        self._break_off()
        self._cuts.reset()
        self._stream.reset()
        return updates

    def reset(self) -> list[TubeUpdate]:
        """End all tubes and start anew, with a new session id."""
        self._stream.reset()
        return self._begin_anew()

    def close(self) -> None:
        """Free the model."""
        self._engine.close()
        if self._actor_engine:
            self._actor_engine.close()

    def _look_between(self, frame: Frame) -> None:
        """Who is due is looked at between key frames too, unless an earlier key frame still waits for its flow."""
        if self._stage is not None and not self._motion.is_waiting:
            with self._timed("look"):
                self._stage.look_again(frame)

    def _adapt(self, steps: int) -> None:
        """Choose the next delta by what this push cost."""
        if steps == 0:
            self._between += self.latency["look"]
        elif steps == 1:  # when a window of flow becomes complete there are more, which is no measure
            flow, *key = (self.latency[stage] for stage in STAGES)
            every = flow + self._between / self._pairs.delta
            self._pairs.delta, self._between = self._adaptive.observe(every, sum(key)), 0.0

    def _class_indices(self, classes: tuple[str, ...]) -> tuple[int, ...]:
        unknown = [name for name in classes if name not in self.labels]
        if unknown:
            raise UserError(f"the model knows no class '{unknown[0]}'; it knows: {', '.join(self.labels)}")
        return tuple(self.labels.index(name) for name in classes)

    def _apply_options(self) -> None:
        if not self._changed:
            return
        self._changed = False
        options, gate = self._options, self._stream.gate
        self._linker.options = options.linker
        if self._stage:  # whose score it is that is reported, and that confirms
            self._linker.options = replace(options.linker, confirm_score=0.0)
            self._stage.confirm_score = options.linker.confirm_score
            self._stage.label_margin = options.linker.label_margin
        gate.max_frame_gap, gate.reset_jump = options.max_frame_gap, options.reset_jump
        self._adaptive.configure(options.delta or self.card.delta, options.max_delta)
        self._pairs.delta = self._adaptive.delta

    def _begin_anew(self) -> list[TubeUpdate]:
        """The stream has begun anew: end all tubes, under their own image size; a new session."""
        updates = [self._images.fit(self._end_tubes())]
        self._break_off()
        self._cuts.reset()
        self._images.reset()
        self.session = uuid.uuid4()
        return updates

    def _end_tubes(self) -> TubeUpdate:
        update = self._linker.end(self._pairs.delta)
        if self._stage is None:
            return update
        update = self._stage.named(update)
        self._stage.reset()
        return update

    def _end_scene(self) -> list[TubeUpdate]:
        """The scene is cut: end all tubes at the last frame before; the session goes on."""
        updates = [self._step(*key) for key in self._motion.flush(newest_is_key=True)]
        end = self._images.fit(self._end_tubes())
        self._break_off()
        return [*updates, end] if end.tubes else updates

    def _break_off(self) -> None:
        """Nothing that comes has to do with what was, but the tubes live on."""
        self._motion.reset()
        self._pairs.reset()
        self._encoded = None

    def _step(self, frame: Frame, stack: UInt8 | None) -> TubeUpdate:
        """One key frame: its tubes, with a box for every image up to it."""
        return self._images.fit(self._link(frame, stack))

    def _link(self, frame: Frame, stack: UInt8 | None) -> TubeUpdate:
        """Encode a key frame, detect its pair with the key frame before, link what is found."""
        with self._timed("encode"):
            encoded = self._engine.encode(frame, stack)
        before, self._encoded = self._encoded, encoded
        if before is None:
            update = self._linker.skip(frame.index, frame.stamp, frame.size, self._pairs.delta)
            return self._stage.named(update) if self._stage else update
        with self._timed("detect"):
            micro_tubes = self._engine.detect(before, encoded, self._selection)
        if self.on_micro_tubes:
            self.on_micro_tubes(micro_tubes)
        with self._timed("link"):
            update = self._linker.update(micro_tubes, frames_between(before.stamp, frame.stamp, self.card.rate))
        if self._stage is None:
            return update
        with self._timed("look"):
            return self._stage(frame, update)

    @contextmanager
    def _timed(self, stage: str) -> Iterator[None]:
        begin = self._clock()
        yield
        self.latency[stage] += self._clock() - begin


def _make_motion(engine: Engine, flow: FlowEngine | None) -> Motion:
    """What feeds the motion stream of the engine's model, on the engine's device."""
    card = engine.card
    needs = card.flow or FlowCard()
    if card.flow is not None and flow is None:
        on_gpu_itself = engine.device.replace("tensorrt", "cuda")  # TensorRT runs the network alone
        flow = make_flow(needs.engine, needs.working_size, on_gpu_itself)
    size = (card.image_size, card.image_size)
    return Motion(flow if card.flow else None, card.rate, size, needs.placement, needs.length)


def _make_stage(card: ModelCard, options: PipelineOptions, engine: ActorEngine | None) -> ActorStage | None:
    """What looks at persons, by the model's own rule. Raises UserError for actions by name where nothing can look."""
    if engine is None or card.actor is None:
        if options.actions:
            why = "actor_stream is off" if card.actor else f"model '{card.name}' has none"
            raise UserError(f"actions: '{options.actions[0]}': only the stream that looks at persons knows it; {why}")
        return None
    named = parse_actions(options.actions, card.labels)
    rule = Rule(**{field.name: getattr(card.actor.rule, field.name) for field in fields(Rule)})
    nobody = card.actor.answers.index(NOBODY) if rule.whole > 0 else None
    fusion = Fusion(card.named_actions, card.actor.answers, rule, named, seen_in_pairs=card.actions)
    return ActorStage(Actors(engine, options.max_looks, nobody), fusion)
