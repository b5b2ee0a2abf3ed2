"""A worker lives whatever its images and its listener do, and one bad image costs itself alone."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pytest
from builtin_interfaces.msg import Time
from sensor_msgs.msg import CompressedImage, Image
from stage import wait_until
from std_msgs.msg import Header

from amtnet_ros.contracts import TubeState
from amtnet_ros.errors import UserError
from amtnet_ros.pipeline import Pipeline
from amtnet_ros.ros.conversions import image_from_rgb
from amtnet_ros.ros.messages import nanoseconds, time_message
from amtnet_ros.ros.worker import Done, Step, Worker
from amtnet_ros.stream import Admission

STEP = 66_666_667
START = 1_700_000_000_000_000_000


class Notes:
    """A listener that notes everything; where `fail` is set, it raises what that makes when a step comes."""

    wants_images = True

    def __init__(self) -> None:
        self.steps: list[Step] = []
        self.done: list[Done] = []
        self.refused: list[str] = []
        self.defects: list[Exception] = []
        self.fail: Callable[[], BaseException] | None = None

    def on_step(self, step: Step) -> None:
        self.steps.append(step)
        if self.fail is not None:
            raise self.fail()

    def on_done(self, done: Done) -> None:
        self.done.append(done)

    def on_refused(self, error: UserError) -> None:
        self.refused.append(str(error))

    def on_defect(self, error: Exception) -> None:
        self.defects.append(error)
        if self.fail is not None:
            raise error


class Run:
    """A worker with the tiny model, fed in step with its answers."""

    def __init__(self, model: Path) -> None:
        self.notes = Notes()
        self.worker = Worker(Pipeline.from_model(model, "cpu"), self.notes, image_timeout=60.0)
        self.worker.start()
        self.stamp = START

    def show(self, message: Image | CompressedImage) -> None:
        heard = self._heard()
        self.worker.submit(message, 0.0)
        wait_until(lambda: self._heard() > heard, "the worker is done with the image")

    def film(self, count: int, size: tuple[int, int] = (64, 48), frame_id: str = "eye") -> None:
        for _ in range(count):
            self.stamp += STEP
            self.show(picture(self.stamp, size, frame_id))

    def doubt(self, stamp: int) -> None:
        """Show an image of a stamp that is far from those before, of which the worker says nothing yet."""
        self.worker.submit(picture(stamp), 0.0)
        wait_until(lambda: self.worker._strays.holds, "its stamp is doubted")

    def _heard(self) -> int:
        return len(self.notes.done) + len(self.notes.refused) + len(self.notes.defects)

    def ended(self) -> list[Step]:
        return [step for step in self.notes.steps if any(t.state == TubeState.ENDED for t in step.update.tubes)]


def picture(stamp: int, size: tuple[int, int] = (64, 48), frame_id: str = "eye", level: int = 250) -> Image:
    header = Header(stamp=time_message(stamp), frame_id=frame_id)
    return image_from_rgb(np.full((size[1], size[0], 3), level, dtype=np.uint8), header)


@pytest.fixture
def run(tiny_model: Path) -> Iterator[Run]:
    made = Run(tiny_model)
    yield made
    made.worker.close()


def tube_ids(steps: list[Step]) -> set[int]:
    return {tube.id for step in steps for tube in step.update.tubes}


def test_a_listener_that_raises_costs_neither_thread_nor_tubes(run: Run) -> None:
    run.film(4)
    run.notes.fail = lambda: ValueError("an output that cannot publish")
    run.film(3)
    run.notes.fail = None
    before = len(run.notes.steps)
    run.film(4)
    assert len(run.notes.steps) >= before + 4
    assert [str(error) for error in run.notes.defects] == ["an output that cannot publish"] * 3
    assert not run.worker.dead
    assert not run.ended()
    assert len(tube_ids(run.notes.steps)) == 1


@pytest.mark.filterwarnings("ignore::pytest.PytestUnhandledThreadExceptionWarning")
def test_a_dead_thread_is_known_and_a_new_start_brings_it_back(run: Run) -> None:
    run.film(3)
    run.notes.fail = lambda: SystemExit(1)
    run.worker.submit(picture(run.stamp + STEP), 0.0)
    wait_until(lambda: run.worker.dead, "the thread is dead")
    run.notes.fail = None
    run.worker.stop()
    assert run.ended(), "its tubes end all the same"
    assert not run.worker.dead, "it was told to stop"
    run.worker.start()
    run.film(3)
    assert not run.worker.dead


def stamped(seconds: int, nanoseconds: int) -> Image:
    image = picture(0)
    image.header.stamp = Time(sec=seconds, nanosec=nanoseconds)
    return image


@pytest.mark.parametrize(
    ("bad", "words"),
    [
        (picture(0), "stamp of zero"),
        (stamped(1_700_000_000, 10**9), "1000000000 nanoseconds within a second"),
        (stamped(2**31 - 1, 2**32 - 1), "4294967295 nanoseconds within a second"),
        (picture(-(10**9)), "stamp of -1 s"),
        (Image(header=Header(stamp=time_message(START)), encoding="h264"), "unknown encoding"),
        (
            CompressedImage(header=Header(stamp=time_message(START)), format="jpeg", data=b"\xff\xd8"),
            "cannot be decoded",
        ),
    ],
)
def test_a_bad_image_among_good_ones_costs_itself_alone(run: Run, bad: Image | CompressedImage, words: str) -> None:
    run.film(4)
    run.show(bad)
    run.film(4)
    assert len(run.notes.refused) == 1
    assert words in run.notes.refused[0]
    assert not run.ended()
    assert len({step.session for step in run.notes.steps}) == 1
    assert len(tube_ids(run.notes.steps)) == 1


@pytest.mark.parametrize("away", [-(10**18), -60 * 10**9, 60 * 10**9, 10**17])
def test_one_stamp_far_from_all_others_costs_its_image_alone(run: Run, away: int) -> None:
    run.film(4)
    run.doubt(run.stamp + away)
    run.film(4)
    assert [f"{(START + 4 * STEP + away) / 1e9:.3f} s, far from" in line for line in run.notes.refused] == [True]
    assert not run.ended()
    assert len(tube_ids(run.notes.steps)) == 1
    assert len({step.session for step in run.notes.steps}) == 1


def test_a_clock_that_jumps_back_begins_a_session_and_loses_no_image(run: Run) -> None:
    run.film(4)
    run.stamp -= 60 * 10**9
    first = run.stamp + STEP
    run.doubt(first)
    run.stamp = first
    run.film(3)
    assert not run.notes.refused
    assert len({step.session for step in run.notes.steps}) == 2
    (end,) = run.ended()
    later = [step.update.stamp for step in run.notes.steps if step.session != end.session]
    assert later == [first, first + STEP, first + 2 * STEP, first + 3 * STEP]


def test_a_jump_that_nothing_follows_is_believed_soon(run: Run) -> None:
    run.film(4)
    run.stamp -= 60 * 10**9
    run.film(1)  # waits until it is looked at
    assert run.notes.done[-1].admission is Admission.RESTART


def test_an_image_with_the_stamp_of_another_does_not_lend_it_its_header(run: Run) -> None:
    run.film(4)
    run.show(picture(run.stamp, frame_id="other", level=0))
    assert run.notes.done[-1].admission is Admission.DUPLICATE
    run.worker.stop()  # the tubes end in the frame of that stamp
    (end,) = run.ended()
    assert nanoseconds(end.header.stamp) == run.stamp
    assert end.header.frame_id == "eye"
    assert end.image is not None
    assert end.image.min() == 250


def test_a_size_that_changes_after_a_gap_ends_tubes_under_their_own(run: Run) -> None:
    run.film(4)
    last = run.stamp
    run.stamp += 3 * 10**9
    run.film(4, size=(128, 96), frame_id="new eye")
    (end,) = run.ended()
    assert end.update.image_size == (64, 48)
    assert (nanoseconds(end.header.stamp), end.header.frame_id) == (last, "eye")
    assert {step.update.image_size for step in run.notes.steps if step.session != end.session} == {(128, 96)}


def test_tubes_end_when_no_image_comes_for_long_and_new_ones_begin_in_the_same_session(run: Run) -> None:
    run.film(4)
    run.worker.image_timeout = 0.3
    run.film(1)
    wait_until(run.ended, "its tubes end")
    steps = len(run.notes.steps)
    (end,) = run.ended()
    assert nanoseconds(end.header.stamp) == run.stamp
    run.stamp += 10**9
    run.worker.image_timeout = 60.0
    run.film(4)
    assert {step.session for step in run.notes.steps} == {end.session}
    assert not tube_ids(run.notes.steps[steps:]) & tube_ids(run.notes.steps[:steps])


def test_images_that_are_of_no_use_do_not_keep_tubes_alive(run: Run) -> None:
    run.film(4)
    run.worker.image_timeout = 0.3
    bad = picture(0)
    wait_until(lambda: run.worker.submit(bad, 0.0) or run.ended(), "its tubes end")
