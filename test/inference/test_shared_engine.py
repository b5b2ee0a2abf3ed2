"""Several cameras on one engine: batched, and yet each gets its own tubes as if it were alone."""

from __future__ import annotations

import itertools
import threading
import time
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest
from tiny import scene

from amtnet_ros.contracts import Frame, TubeUpdate, UInt8
from amtnet_ros.errors import UserError
from amtnet_ros.inference.contract import Encoded, Selection
from amtnet_ros.inference.factory import make_engine
from amtnet_ros.inference.onnxruntime_engine import OnnxRuntimeEngine
from amtnet_ros.inference.shared_engine import SharedEngine
from amtnet_ros.media.video import open_source
from amtnet_ros.pipeline import Pipeline, PipelineOptions

SELECTION = Selection(score_threshold=0.1)
PATIENCE = 120.0


def tracks(updates: Sequence[TubeUpdate]) -> list[tuple[int, list[tuple[int, int]], np.ndarray]]:
    """Of every update: its stamp, its tubes by id and label, and all their boxes."""
    return [
        (
            update.stamp,
            [(tube.id, tube.label) for tube in update.tubes],
            np.concatenate([np.zeros((0, 4), np.float32), *(tube.boxes for tube in update.tubes)]),
        )
        for update in updates
    ]


def watch(pipeline: Pipeline, images: Sequence[UInt8]) -> list[TubeUpdate]:
    updates = [u for i, image in enumerate(images) for u in pipeline.push(round(i * 1e9 / 30), image)]
    return updates + pipeline.finish()


def test_each_camera_has_the_tubes_it_would_have_alone(data_root: Path) -> None:
    clips = [min((data_root / "jhmdb21" / "videos" / name).glob("*.mp4")) for name in ("walk", "golf", "wave")]
    videos = [list(itertools.islice(open_source(str(clip)), 10)) for clip in clips]
    options = PipelineOptions(delta=2)
    shared = SharedEngine(make_engine("light", "cpu", precision="fp32", threads=1), max_delay=5.0)
    pipelines = [Pipeline(shared.camera(), options) for _ in videos]
    with ThreadPoolExecutor(len(videos)) as threads:
        together = list(threads.map(watch, pipelines, videos))
    assert shared.batches.get(3, 0) >= 3, "cameras that run alike meet in batches"
    for pipeline in pipelines:
        pipeline.close()

    alone = make_engine("light", "cpu", precision="fp32", threads=1)
    for video, batched in zip(videos, together, strict=True):
        expected = tracks(watch(Pipeline(alone, options), video))
        found = tracks(batched)
        assert [entry[:2] for entry in found] == [entry[:2] for entry in expected]
        assert any(ids for _, ids, _ in found), "nothing is compared"
        for (_, _, boxes), (_, _, boxes_alone) in zip(found, expected, strict=True):
            np.testing.assert_allclose(boxes, boxes_alone, atol=0.05)
    alone.close()


def test_a_single_camera_does_not_wait_for_others(tiny_folder: Path) -> None:
    shared = SharedEngine(make_engine(tiny_folder, "cpu", threads=1), max_delay=60.0)
    camera = shared.camera()
    begin = time.monotonic()
    for seed in range(3):
        camera.encode(*scene(seed))
    assert time.monotonic() - begin < 60
    assert shared.batches == {1: 3}
    assert not any(thread.name == "batches" for thread in threading.enumerate()), "no thread stands in between"
    camera.close()


def test_a_frame_waits_for_an_idle_camera_no_longer_than_the_delay(tiny_folder: Path) -> None:
    shared = SharedEngine(make_engine(tiny_folder, "cpu", threads=1), max_delay=0.05)
    busy, idle = shared.camera(), shared.camera()
    begin = time.monotonic()
    busy.encode(*scene(1))
    assert 0.05 <= time.monotonic() - begin < PATIENCE
    assert shared.batches == {1: 1}
    idle.close()
    busy.close()


def test_no_batch_is_larger_than_allowed(tiny_folder: Path) -> None:
    shared = SharedEngine(make_engine(tiny_folder, "cpu", threads=1), max_batch=2, max_delay=5.0)
    cameras = [shared.camera() for _ in range(4)]
    with ThreadPoolExecutor(4) as threads:
        encoded = list(threads.map(lambda i: cameras[i].encode(*scene(i, i)), range(4)))
    assert [frame.index for frame in encoded] == [0, 1, 2, 3]
    assert max(shared.batches) <= 2
    assert sum(size * count for size, count in shared.batches.items()) == 4
    for camera in cameras:
        camera.close()


def test_a_bad_frame_is_its_own_camera_s_affair(tiny_folder: Path) -> None:
    shared = SharedEngine(make_engine(tiny_folder, "cpu", threads=1), max_delay=5.0)
    good, bad = shared.camera(), shared.camera()
    frame, stack = scene(1)

    def broken() -> UserError:
        with pytest.raises(UserError, match="needs a flow stack") as caught:
            bad.encode(frame, None)
        return caught.value

    with ThreadPoolExecutor(2) as threads:
        answers: tuple[Encoded, UserError] = tuple(
            future.result() for future in (threads.submit(good.encode, frame, stack), threads.submit(broken))
        )
    alone = good.detect(answers[0], answers[0], SELECTION)
    assert len(alone) > 0
    assert "\n" not in str(answers[1])
    good.close()
    bad.close()


def test_the_engine_is_closed_with_the_last_camera(tiny_folder: Path) -> None:
    engine = make_engine(tiny_folder, "cpu", threads=1)
    shared = SharedEngine(engine)
    cameras = [shared.camera() for _ in range(2)]
    cameras[0].close()
    cameras[0].close()
    assert cameras[1].encode(*scene(1)).image_size == (200, 150)
    cameras[1].close()
    assert isinstance(engine, OnnxRuntimeEngine)
    assert not hasattr(engine, "_encode"), "its sessions are given back"
    assert not any(thread.name == "batches" and thread.is_alive() for thread in threading.enumerate())


def test_frames_keep_their_own_camera_s_size_and_stamp(tiny_folder: Path) -> None:
    shared = SharedEngine(make_engine(tiny_folder, "cpu", threads=1), max_delay=5.0)
    sizes = [(200, 150), (64, 48), (333, 500)]
    cameras = [shared.camera() for _ in sizes]

    def encode(i: int) -> Encoded:
        frame: Frame
        frame, stack = scene(i, i, sizes[i])
        return cameras[i].encode(frame, stack)

    with ThreadPoolExecutor(3) as threads:
        encoded = list(threads.map(encode, range(3)))
    assert [e.image_size for e in encoded] == sizes
    assert [e.stamp for e in encoded] == [i * 33_333_333 for i in range(3)]
    for camera in cameras:
        camera.close()


def test_a_delay_or_size_that_makes_no_sense_is_refused(tiny_folder: Path) -> None:
    engine = make_engine(tiny_folder, "cpu", threads=1)
    for values in ({"max_batch": 0}, {"max_delay": -1.0}):
        with pytest.raises(UserError, match="cameras"):
            SharedEngine(engine, **values)
    engine.close()
