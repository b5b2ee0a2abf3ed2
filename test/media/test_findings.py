"""Tubes and the video beside them, on disks that fill up, and of persons who stay for hours."""

from __future__ import annotations

import gc
import json
import os
from pathlib import Path
from uuid import UUID

import av
import numpy as np
import pytest
from full_disk import files_no_larger_than

from amtnet_ros.contracts import Tube, TubeState, TubeUpdate
from amtnet_ros.errors import UserError
from amtnet_ros.files import WholeFile, check_distinct
from amtnet_ros.media.findings import Findings
from amtnet_ros.media.tube_lines import Span, TubeRecorder
from amtnet_ros.tube_boxes import Box

SESSION = UUID(int=1)
LABELS = {0: "walk", 1: "jump"}
STEP = 33_333_333


def step(number: int, state: TubeState, tube_id: int = 1, label: int = 0) -> TubeUpdate:
    """An update with one new box of one tube."""
    stamp = number * STEP
    tube = Tube(
        id=tube_id,
        state=state,
        label=label,
        score=0.5,
        class_scores=np.array([0.5, 0.25], dtype=np.float32),
        start_stamp=0,
        last_stamp=stamp,
        frames=np.array([number]),
        stamps=np.array([stamp], dtype=np.int64),
        boxes=np.array([[number % 50, 1, 60, 40]], dtype=np.float32),
        scores=np.array([0.5], dtype=np.float32),
        interpolated=np.array([False]),
    )
    return TubeUpdate(frame=number, stamp=stamp, image_size=(64, 48), delta=1, tubes=(tube,))


def noise(number: int) -> np.ndarray:
    return np.random.default_rng(number).integers(0, 256, (48, 64, 3), dtype=np.uint8)


def record(recording: Findings, count: int, each: int = 10) -> None:
    """So many noisy images, with a tube that begins and ends every few."""
    for number in range(count):
        recording.add_image(number * STEP, noise(number))
        state = TubeState.ENDED if number % each == each - 1 else TubeState.ACTIVE
        recording.add_tubes(step(number, state, 1 + number // each), SESSION, LABELS, "eye")


def lines_of(path: Path) -> list[dict[str, object]]:
    return [json.loads(line) for line in path.read_text().splitlines()]


def test_a_full_disk_costs_the_video_and_keeps_the_tubes(tmp_path: Path) -> None:
    said: list[str] = []
    with (
        files_no_larger_than(60_000),
        Findings(tmp_path / "t.jsonl", tmp_path / "v.mp4", say=said.append) as recording,
    ):
        record(recording, 200)
    assert [path.name for path in tmp_path.iterdir()] == ["t.jsonl"]
    assert [line["id"] for line in lines_of(tmp_path / "t.jsonl")] == list(range(1, 21))
    assert recording.failed
    assert said == [f"{tmp_path}/v.mp4: cannot be written (file too large); the video is given up, the tubes go on"]


def test_where_even_the_tubes_find_no_room_those_that_were_written_stay(tmp_path: Path) -> None:
    said: list[str] = []
    with (
        pytest.raises(
            UserError, match=r"t\.jsonl: cannot be written \(file too large\); the \d+ tubes that ended before"
        ),
        files_no_larger_than(6_000),
        Findings(tmp_path / "t.jsonl", tmp_path / "v.mp4", say=said.append) as recording,
    ):
        record(recording, 200)
    assert [path.name for path in tmp_path.iterdir()] == ["t.jsonl"]
    assert [line["id"] for line in lines_of(tmp_path / "t.jsonl")] == list(range(1, len(recording.summaries) + 1))
    assert len(said) == 1, "the video was given up first"


def test_a_disk_that_is_full_from_the_start_leaves_nothing(tmp_path: Path) -> None:
    with (
        pytest.raises(UserError, match=r"t\.jsonl: cannot be written \(file too large\)$"),
        files_no_larger_than(100),
        Findings(tmp_path / "t.jsonl") as recording,
    ):
        record(recording, 30)
    assert list(tmp_path.iterdir()) == []


def test_a_device_that_is_always_full_is_named_and_stays_a_device() -> None:
    full = Path("/dev/full")
    with (
        pytest.raises(UserError, match=r"/dev/full: cannot be written \(no space left on device\)"),
        Findings(full) as r,
    ):
        record(r, 30)
    assert full.is_char_device()
    with Findings(Path("/dev/null")) as recording:
        record(recording, 30)
    assert Path("/dev/null").is_char_device()


def test_tubes_go_into_a_pipe_and_through_a_link(tmp_path: Path) -> None:
    reading, writing = os.pipe()
    with Findings(Path(f"/dev/fd/{writing}")) as recording:
        record(recording, 30)
    os.close(writing)
    with open(reading, encoding="utf-8") as pipe:
        assert [json.loads(line)["id"] for line in pipe] == [1, 2, 3]
    (tmp_path / "old.jsonl").write_text("yesterday")
    (tmp_path / "link.jsonl").symlink_to("old.jsonl")
    with Findings(tmp_path / "link.jsonl") as recording:
        record(recording, 30)
    assert (tmp_path / "link.jsonl").is_symlink()
    assert len(lines_of(tmp_path / "old.jsonl")) == 3


def test_what_waits_to_be_written_is_written_once_there_is_room(tmp_path: Path) -> None:
    with TubeRecorder(tmp_path / "t.jsonl") as recorder:
        with files_no_larger_than(100), pytest.raises(UserError):
            recorder.add(step(0, TubeState.ENDED), SESSION, LABELS, "eye")
        recorder.add(step(1, TubeState.ENDED, tube_id=2), SESSION, LABELS, "eye")
    assert [line["id"] for line in lines_of(tmp_path / "t.jsonl")] == [1, 2]


LONG = 12_000  # boxes; an hour has 108,000


def test_a_person_who_stays_is_written_in_full_and_costs_no_memory(tmp_path: Path) -> None:
    with TubeRecorder(tmp_path / "t.jsonl") as recorder:
        in_memory = []
        for number in range(LONG):
            label, state = int(number >= LONG // 2), TubeState.ACTIVE if number else TubeState.TENTATIVE
            recorder.add(step(number, state, label=label), SESSION, LABELS, "eye")
            if number % (LONG // 4) == LONG // 4 - 1:
                in_memory.append(sum(isinstance(each, Box) for each in gc.get_objects()))
        assert not (tmp_path / "t.jsonl").exists()
        assert len(list(tmp_path.iterdir())) == 1, "older boxes are in files without a name"
    assert max(in_memory) < 2100, f"boxes after each quarter: {in_memory}"
    (line,) = lines_of(tmp_path / "t.jsonl")
    boxes = line["boxes"]
    assert isinstance(boxes, list)
    assert [box["stamp"] for box in boxes] == [number * STEP for number in range(LONG)]
    assert boxes[5] == {"stamp": 5 * STEP, "box": [5.0, 1.0, 60.0, 40.0], "score": 0.5, "interpolated": False}
    middle, last = LONG // 2 * STEP, (LONG - 1) * STEP
    assert recorder.summaries[0].spans == (
        Span("walk", 0.5, STEP, middle, LONG // 2),
        Span("jump", 0.5, middle, last, LONG // 2),
    )


def test_a_full_disk_keeps_older_boxes_in_memory(tmp_path: Path) -> None:
    with TubeRecorder(tmp_path / "t.jsonl") as recorder:
        with files_no_larger_than(1000):
            for number in range(3000):
                recorder.add(step(number, TubeState.ACTIVE), SESSION, LABELS, "eye")
        for number in range(3000, 6000):
            recorder.add(step(number, TubeState.ACTIVE), SESSION, LABELS, "eye")
    (line,) = lines_of(tmp_path / "t.jsonl")
    assert [box["stamp"] for box in line["boxes"]] == [number * STEP for number in range(6000)]  # type: ignore[attr-defined]


def test_both_files_are_discarded_by_an_exception(tmp_path: Path) -> None:
    def crash() -> None:
        with Findings(tmp_path / "t.jsonl", tmp_path / "v.mp4") as recording:
            record(recording, 30)
            raise RuntimeError

    with pytest.raises(RuntimeError):
        crash()
    assert list(tmp_path.iterdir()) == []
    with pytest.raises(UserError, match=r"v\.webm: a video is written as"):
        Findings(tmp_path / "t.jsonl", tmp_path / "v.webm")
    assert list(tmp_path.iterdir()) == []


def test_the_two_files_are_two_by_whatever_name(tmp_path: Path) -> None:
    (tmp_path / "link").symlink_to(tmp_path)
    with pytest.raises(UserError, match="is the same file"):
        Findings(tmp_path / "a.mp4", tmp_path / "link" / "a.mp4")
    (tmp_path / "in.mp4").write_text("the input")
    (tmp_path / "hard.mp4").hardlink_to(tmp_path / "in.mp4")
    (tmp_path / "soft.mp4").symlink_to("in.mp4")
    for other in ("hard.mp4", "soft.mp4", "link/in.mp4", "./in.mp4"):
        with pytest.raises(UserError, match=r"would overwrite .*in\.mp4"):
            check_distinct(tmp_path / other, None, tmp_path / "in.mp4")
    check_distinct(tmp_path / "other.mp4", tmp_path / "in.mp4")


def test_a_folder_of_the_files_name_is_named_before_the_work(tmp_path: Path) -> None:
    (tmp_path / "t.jsonl").mkdir()
    with pytest.raises(UserError, match=r"t\.jsonl: cannot be written \(is a directory\)"):
        WholeFile(tmp_path / "t.jsonl")


def test_a_very_fast_camera_makes_a_video_that_players_can_play(tmp_path: Path) -> None:
    with Findings(tmp_path / "t.jsonl", tmp_path / "v.mp4", rate=1000.0) as recording:
        for number in range(400):
            recording.add_image(number * 1_000_000, noise(0))
    with av.open(str(tmp_path / "v.mp4")) as container:
        times = [frame.time for frame in container.decode(video=0)]
    assert times[-1] == pytest.approx(0.39, abs=0.02)
    assert 60 <= len(times) / 0.4 <= 80, "images a second"
