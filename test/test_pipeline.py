"""Frames in, tube updates out: the parts in a row, on real clips and the bundled model."""

from __future__ import annotations

import itertools
from collections import Counter
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from amtnet_ros.contracts import Frame, MicroTubes, TubeState, TubeUpdate
from amtnet_ros.errors import UserError
from amtnet_ros.flow.contract import FlowEngine
from amtnet_ros.flow.factory import make_flow
from amtnet_ros.flow.stack import window
from amtnet_ros.inference.contract import Encoded, Engine, Selection
from amtnet_ros.inference.factory import make_engine
from amtnet_ros.media.video import open_source
from amtnet_ros.pipeline import Pipeline, PipelineOptions
from amtnet_ros.tubes import LinkerOptions

SECOND = 1_000_000_000
CLIP = "jhmdb21/videos/walk/"


@pytest.fixture(scope="module")
def images(data_root: Path) -> list[np.ndarray]:
    """24 frames, 320x240, of a clip of somebody walking."""
    clip = sorted((data_root / CLIP).glob("*.mp4"))[0]
    return list(itertools.islice(open_source(str(clip)), 24))


@pytest.fixture(scope="module")
def pipeline() -> Pipeline:
    return Pipeline.from_model("light", "cpu")


@pytest.fixture
def fresh(pipeline: Pipeline) -> Pipeline:
    """The pipeline as after loading."""
    pipeline.reset()
    pipeline.configure(PipelineOptions())
    pipeline.on_micro_tubes = None
    return pipeline


def stamp(number: float, rate: float = 30.0) -> int:
    return 7_000_000_000_123 + round(number / rate * SECOND)


def watch(pipeline: Pipeline, images: list[np.ndarray], rate: float = 30.0) -> list[TubeUpdate]:
    updates = [u for i, image in enumerate(images) for u in pipeline.push(stamp(i, rate), image)]
    return updates + pipeline.finish()


def test_every_frame_gets_one_update_with_its_own_stamp(fresh, images):
    updates = watch(fresh, images)
    assert [update.stamp for update in updates[:-1]] == [stamp(i) for i in range(len(images))]
    assert [update.frame for update in updates[:-1]] == list(range(len(images)))
    assert all(update.image_size == (320, 240) for update in updates[:-1])


def test_the_first_window_of_flow_is_shifted_inside_and_then_no_frame_waits(fresh, images):
    counts = [len(fresh.push(stamp(i), image)) for i, image in enumerate(images[:9])]
    assert counts == [0, 0, 0, 0, 0, 6, 1, 1, 1]


def test_every_tube_ends_exactly_once(fresh, images):
    updates = watch(fresh, images)
    ended = Counter(tube.id for update in updates for tube in update.tubes if tube.state == TubeState.ENDED)
    seen = {tube.id for update in updates for tube in update.tubes}
    assert seen
    assert ended == dict.fromkeys(seen, 1)


def test_boxes_are_in_pixels_of_the_source_image_whatever_its_size(fresh, images):
    def strongest(frames: list[np.ndarray]) -> np.ndarray:
        found: list[MicroTubes] = []
        fresh.on_micro_tubes = found.append
        watch(fresh, frames)
        return np.stack([pair.boxes[pair.scores.argmax(), 0] for pair in found if len(pair)])

    doubled = [image.repeat(2, axis=0).repeat(2, axis=1) for image in images]
    small, large = strongest(images), strongest(doubled)
    assert len(small) == len(large)
    assert small.max() <= 320
    assert np.median(np.abs(large - 2 * small)) < 8


def test_a_black_scene_gives_updates_without_confirmed_tubes_above_a_high_threshold(fresh):
    fresh.configure(PipelineOptions(score_threshold=0.9))
    updates = watch(fresh, [np.zeros((240, 320, 3), np.uint8)] * 8)
    assert len(updates) == 9
    assert not any(update.tubes for update in updates)


@pytest.mark.parametrize("delta", [2, 4, 8])
def test_a_larger_delta_processes_fewer_frames_and_interpolates_between_them(fresh, images, delta):
    fresh.configure(PipelineOptions(delta=delta))
    updates = watch(fresh, images)[:-1]
    keys = sorted({*range(0, 24, delta), 23})
    assert [update.frame for update in updates] == keys
    boxes = [tube for update in updates for tube in update.tubes if len(tube.frames)]
    between = [~np.isin(tube.frames, keys) for tube in boxes]
    assert any(frames.any() for frames in between)
    assert all(tube.interpolated[frames].all() for tube, frames in zip(boxes, between, strict=True))


@pytest.mark.parametrize("delta", [1, 8])
def test_persons_are_looked_at_ten_times_a_second_between_key_frames_too(fresh, images, delta):
    fresh.configure(PipelineOptions(delta=delta))
    told: list[int] = []
    fresh.stage.on_answer = lambda stamp, tube, answer, joined: told.append(stamp)
    before = fresh.actors.counters.whole
    for i, image in enumerate(images):
        fresh.push(stamp(i), image)
    fresh.stage.on_answer = None
    tenth = [(stamp(i) + SECOND // 100) * 10 // SECOND for i in range(len(images))]
    # nobody is known before the first pair, and a single look tells no movement
    assert fresh.actors.counters.whole - before == len(set(tenth[delta:]))
    assert sorted(set(told)) == [stamp(i) for i in range(len(images)) if tenth[i] > tenth[delta]]


class Recorded:
    """An engine that notes what it is given."""

    def __init__(self, engine: Engine) -> None:
        self.engine = engine
        self.card, self.provider, self.precision = engine.card, engine.provider, engine.precision
        self.given: list[tuple[Frame, np.ndarray | None]] = []
        self.selections: list[Selection] = []

    def encode(self, frame: Frame, flow_stack: np.ndarray | None) -> Encoded:
        self.given.append((frame, None if flow_stack is None else flow_stack.copy()))
        return self.engine.encode(frame, flow_stack)

    def detect(self, at_t: Encoded, at_t_plus_delta: Encoded, selection: Selection) -> MicroTubes:
        self.selections.append(selection)
        return self.engine.detect(at_t, at_t_plus_delta, selection)

    def close(self) -> None:
        self.engine.close()


def test_each_frame_is_encoded_once_and_pairs_are_as_if_it_were_encoded_for_each(images):
    engine = Recorded(make_engine("light", "cpu"))
    pipeline = Pipeline(engine, PipelineOptions(), make_flow("dis:ultrafast"))
    pairs: list[MicroTubes] = []
    pipeline.on_micro_tubes = pairs.append
    watch(pipeline, images[:12])
    assert [frame.index for frame, _ in engine.given] == list(range(12))
    assert [pair.frames for pair in pairs] == [(i, i + 1) for i in range(11)]
    assert sum(map(len, pairs)) > 11
    for pair, selection in zip(pairs, engine.selections, strict=True):
        anew = engine.engine.detect(*(engine.engine.encode(*engine.given[i]) for i in pair.frames), selection)
        for name in ("boxes", "labels", "scores", "class_scores"):
            np.testing.assert_array_equal(getattr(pair, name), getattr(anew, name))
    pipeline.close()


def test_another_run_gives_the_same_tubes(fresh, images):
    first, second = watch(fresh, images), (fresh.reset(), watch(fresh, images))[1]
    assert any(update.tubes for update in first)
    for a, b in zip(first, second, strict=True):
        assert [t.label for t in a.tubes] == [t.label for t in b.tubes]
        for one, other in zip(a.tubes, b.tubes, strict=True):
            np.testing.assert_array_equal(one.boxes, other.boxes)


def test_duplicates_late_and_too_frequent_frames_are_dropped_and_counted(fresh, images):
    before = dict(fresh.counters)
    for number in (0, 1, 1, 2, 1.5, 2.2, 3):
        fresh.push(stamp(number), images[0])
    gained = {name: count - before[name] for name, count in fresh.counters.items() if count != before[name]}
    assert gained == {"taken": 4, "duplicate": 1, "late": 1, "too_soon": 1}


def test_a_long_jump_back_ends_all_tubes_and_starts_a_new_session(fresh, images):
    session = fresh.session
    alive: set[int] = set()
    for i, image in enumerate(images[:12]):
        for update in fresh.push(stamp(100 + i), image):
            alive = {tube.id for tube in update.tubes if tube.state != TubeState.ENDED}
    assert alive
    updates = fresh.push(stamp(0), images[0])
    assert {tube.id for update in updates for tube in update.tubes if tube.state == TubeState.ENDED} == alive
    assert fresh.session != session


def test_frames_across_a_long_gap_are_not_paired(fresh, images):
    pairs: list[MicroTubes] = []
    fresh.on_micro_tubes = pairs.append
    for i, image in enumerate(images[:16]):
        fresh.push(stamp(i if i < 8 else i + 30), image)
    spans = {pair.frames[1] - pair.frames[0] for pair in pairs}
    assert spans == {1}
    assert not any(pair.stamps[0] < stamp(20) < pair.stamps[1] for pair in pairs)


def test_another_image_size_begins_a_new_stream(fresh, images):
    session = fresh.session
    for i, image in enumerate(images[:8]):
        fresh.push(stamp(i), image)
    fresh.push(stamp(8), np.ascontiguousarray(images[8][:120, :160]))
    assert fresh.session != session


def test_a_half_rate_camera_yields_pairs_that_span_two_nominal_frames(fresh, images):
    updates = watch(fresh, images[::2], rate=15.0)
    assert [update.frame for update in updates[:-1]] == list(range(0, 24, 2))
    assert {update.delta for update in updates[1:-1]} == {2}


def test_only_allowed_classes_are_reported(fresh, images):
    fresh.configure(PipelineOptions(score_threshold=0.01, classes=("run",)))
    said = [tube for update in watch(fresh, images) for tube in update.tubes if tube.state == TubeState.ACTIVE]
    assert {fresh.labels[tube.label] for tube in said} <= {"run", "other"}
    assert said


@pytest.mark.parametrize(
    "options",
    [
        lambda: PipelineOptions(delta=-1),
        lambda: PipelineOptions(score_threshold=1.5),
        lambda: PipelineOptions(max_frame_gap=-1.0),
        lambda: PipelineOptions(linker=LinkerOptions(mode="nobody")),
        lambda: PipelineOptions(classes=("flying",)),
    ],
)
def test_bad_options_are_refused_and_change_nothing(fresh, options):
    before = fresh.options
    with pytest.raises(UserError):
        fresh.configure(options())
    assert fresh.options == before


def test_the_mode_of_linking_changes_while_running(fresh, images):
    for i, image in enumerate(images[:10]):
        fresh.push(stamp(i), image)
    fresh.configure(replace(PipelineOptions(), linker=LinkerOptions(mode="actor")))
    updates = [u for i, image in enumerate(images[10:14], start=10) for u in fresh.push(stamp(i), image)]
    assert len(updates) == 4


class Counted:
    """A flow engine that counts its calls."""

    def __init__(self, engine: FlowEngine) -> None:
        self.engine, self.calls = engine, 0
        self.name, self.working_size = engine.name, engine.working_size

    def __call__(self, previous: np.ndarray, current: np.ndarray) -> np.ndarray:
        self.calls += 1
        return self.engine(previous, current)

    def batch(self, previous: np.ndarray, current: np.ndarray) -> np.ndarray:
        self.calls += len(previous)
        return self.engine.batch(previous, current)


@pytest.mark.parametrize("delta", [1, 5, 8])
def test_flow_that_no_stack_needs_is_not_computed(images, delta):
    flow = Counted(make_flow("dis:ultrafast"))
    pipeline = Pipeline(make_engine("light", "cpu"), PipelineOptions(delta=delta), flow)
    motion = pipeline.card.flow
    keys = {*range(0, len(images), delta), len(images) - 1}
    # the flow image of the last frame repeats the one before it
    stacks = {
        min(i, len(images) - 2) for key in keys for i in window(key, len(images), motion.placement, motion.length)
    }
    watch(pipeline, images)
    assert flow.calls == len(stacks)
    pipeline.close()


def test_tubes_that_are_too_many_are_dropped_and_counted(fresh, images):
    before = fresh.linked.dropped
    crowded = LinkerOptions(max_tubes=1, start_score=0.0, start_overlap=1.0)
    fresh.configure(PipelineOptions(linker=crowded))
    updates = watch(fresh, images)
    assert max(sum(tube.state != TubeState.ENDED for tube in update.tubes) for update in updates) == 1
    assert fresh.linked.dropped > before


def test_a_size_that_changes_after_a_gap_ends_the_tubes_under_their_own(fresh, images):
    for i, image in enumerate(images[:12]):
        fresh.push(stamp(i), image)
    small = np.ascontiguousarray(images[12][:120, :160])
    (first, *_) = fresh.push(stamp(60), small)
    assert first.image_size == (320, 240)
    assert {tube.state for tube in first.tubes} == {TubeState.ENDED}


class OnAnotherDevice:
    """The real engine, said to compute on a GPU that is not there."""

    def __init__(self, engine: Engine) -> None:
        self.__dict__.update(vars(engine))
        self.card = replace(engine.card, flow=replace(engine.card.flow, engine="brox"))
        self.device = "cuda:63"


def test_flow_is_computed_on_the_engines_device():
    pytest.importorskip("torch", reason="torch is not installed, in which this flow engine is written")
    with pytest.raises(UserError, match="cuda:63"):
        Pipeline(OnAnotherDevice(make_engine("light", "cpu")))


def boxes_at(updates: list[TubeUpdate]) -> dict[int, list[int]]:
    """Tube → the stamps of its boxes."""
    found: dict[int, list[int]] = {}
    for update in updates:
        for tube in update.tubes:
            found.setdefault(tube.id, []).extend(tube.stamps.tolist())
    return found


@pytest.fixture(scope="module")
def other_scene(data_root: Path) -> list[np.ndarray]:
    """12 frames, 320x240, of a clip of somebody else somewhere else."""
    clip = sorted((data_root / "jhmdb21/videos/golf").glob("*.mp4"))[0]
    return list(itertools.islice(open_source(str(clip)), 12))


@pytest.mark.parametrize("model", ["light", "light_rgb"])
def test_a_cut_ends_all_tubes_at_the_last_frame_before_it(model, images, other_scene):
    pipeline = Pipeline.from_model(model, "cpu", PipelineOptions(delta=4))
    cut = stamp(14)
    updates = watch(pipeline, [*images[:14], *other_scene])
    pipeline.close()
    stamps = boxes_at(updates)
    assert any(max(of_tube) < cut for of_tube in stamps.values() if of_tube)
    assert any(min(of_tube) >= cut for of_tube in stamps.values() if of_tube)
    assert not any(min(of_tube) < cut <= max(of_tube) for of_tube in stamps.values() if of_tube)
    assert max(max(of_tube) for of_tube in stamps.values() if of_tube and min(of_tube) < cut) == stamp(13)
    first_of_scene = next(i for i, update in enumerate(updates) if update.stamp >= cut)
    before = {t.id for update in updates[:first_of_scene] for t in update.tubes}
    ended = {t.id for update in updates[:first_of_scene] for t in update.tubes if t.state == TubeState.ENDED}
    assert before == ended


def test_a_flash_ends_no_tube(fresh, images):
    fresh.configure(PipelineOptions(delta=4))
    plain = watch(fresh, images[:16])
    fresh.reset()
    flashed = [*images[:10], np.full_like(images[0], 255), *images[11:16]]
    updates = watch(fresh, flashed)

    def confirmed(found: list[TubeUpdate]) -> list[tuple[int, int]]:
        strongest = max((t for u in found for t in u.tubes if t.state == TubeState.ACTIVE), key=lambda tube: tube.score)
        return boxes_at(found)[strongest.id]

    assert confirmed(updates) == confirmed(plain)


@pytest.mark.parametrize(("rate", "delta"), [(60.0, 1), (50.0, 4), (15.0, 4), (24.0, 1)])
def test_every_image_has_its_boxes_and_no_box_is_without_an_image(fresh, images, rate, delta):
    fresh.configure(PipelineOptions(delta=delta))
    count = len(images)
    updates = watch(fresh, images, rate)
    taken = [stamp(i, rate) for i in range(count)]
    longest = max(boxes_at(updates).values(), key=len)
    assert longest == [one for one in taken if longest[0] <= one <= longest[-1]]
    assert longest[-1] == taken[-1]
    assert len(longest) >= count - 2
