"""Delta of a running pipeline follows what its steps take."""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest

from amtnet_ros.contracts import Frame, MicroTubes, UInt8
from amtnet_ros.inference.contract import Encoded, Engine, Selection
from amtnet_ros.inference.factory import make_engine
from amtnet_ros.media.video import open_source
from amtnet_ros.pipeline import Pipeline, PipelineOptions


class Clock:
    """Stands still unless told."""

    now = 0.0

    def __call__(self) -> float:
        return self.now


class TimedEngine:
    """The real engine, whose encoding takes as long as it is told, by a clock of the test's."""

    def __init__(self, engine: Engine, clock: Clock) -> None:
        self._engine, self._clock = engine, clock
        self.card, self.device = engine.card, engine.device
        self.provider, self.precision = engine.provider, engine.precision
        self.seconds = 0.010

    def encode(self, frame: Frame, flow_stack: UInt8 | None) -> Encoded:
        self._clock.now += self.seconds
        return self._engine.encode(frame, flow_stack)

    def encode_batch(self, frames: Sequence[Frame], flow_stacks: Sequence[UInt8 | None]) -> list[Encoded]:
        return self._engine.encode_batch(frames, flow_stacks)

    def detect(self, at_t: Encoded, at_t_plus_delta: Encoded, selection: Selection) -> MicroTubes:
        return self._engine.detect(at_t, at_t_plus_delta, selection)

    def close(self) -> None:
        self._engine.close()


@pytest.fixture(scope="module")
def images(data_root: Path) -> list[np.ndarray]:
    """20 frames of a clip of somebody walking."""
    clip = sorted((data_root / "jhmdb21/videos/walk").glob("*.mp4"))[0]
    return list(itertools.islice(open_source(str(clip)), 20))


def test_delta_grows_while_steps_are_slow_falls_back_and_is_told(images: list[np.ndarray]) -> None:
    clock = Clock()
    engine = TimedEngine(make_engine("light", "cpu", threads=1), clock)
    pipeline = Pipeline(engine, PipelineOptions(delta=1, max_delta=8), clock=clock)
    looped = itertools.cycle(images + images[::-1])
    number = 0

    def watch(frames: int, seconds: float) -> list[int]:
        """What the updates' delta is while an encoding takes so long."""
        nonlocal number
        engine.seconds = seconds
        deltas = []
        for image in itertools.islice(looped, frames):
            deltas += [update.delta for update in pipeline.push(round(number / 30 * 1e9), image)]
            number += 1
        return deltas

    assert set(watch(10, 0.020)) == {1}
    slow = watch(30, 0.100)  # fits at 4: 25 of 33 ms
    assert slow[:2] == [1, 1]
    assert slow[-1] == pipeline.delta == 4
    assert clock.now < 10 * 0.020 + 30 * 0.100 / 3, "and so fewer frames pay for it"
    assert watch(100, 0.005)[-1] < 4
    pipeline.close()
