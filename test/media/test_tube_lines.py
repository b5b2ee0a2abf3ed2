"""Whole tubes out of updates, written whole or not at all."""

from __future__ import annotations

import io
import json
from pathlib import Path
from uuid import UUID

import numpy as np
import pytest
from rich.console import Console

from amtnet_ros.contracts import Tube, TubeState, TubeUpdate
from amtnet_ros.errors import UserError
from amtnet_ros.media.tube_lines import Span, TubeRecorder, TubeSummary, table_of

SESSION, OTHER = UUID(int=1), UUID(int=2)
LABELS = ("walk", "jump")


def tube(number: int, state: TubeState, stamps: list[int], label: int = 0, score: float = 0.25) -> Tube:
    count = len(stamps)
    return Tube(
        id=number,
        state=state,
        label=label,
        score=score,
        class_scores=np.array([0.25, 0.1], dtype=np.float32),
        start_stamp=10,
        last_stamp=stamps[-1] if stamps else 30,
        frames=np.arange(count),
        stamps=np.array(stamps, dtype=np.int64),
        boxes=np.array([[s, 1, s + 5, 9] for s in stamps], dtype=np.float32).reshape(-1, 4),
        scores=np.full(count, 0.5, dtype=np.float32),
        interpolated=np.array([s % 20 == 0 for s in stamps], dtype=np.bool_),
    )


def update(stamp: int, *tubes: Tube) -> TubeUpdate:
    return TubeUpdate(frame=0, stamp=stamp, image_size=(640, 480), delta=1, tubes=tubes)


def record(path: Path, *updates: TubeUpdate, session: UUID = SESSION) -> list[dict[str, object]]:
    with TubeRecorder(path) as recorder:
        for each in updates:
            recorder.add(each, session, LABELS, "eye")
    return [json.loads(line) for line in path.read_text().splitlines()]


def test_a_tube_is_put_together_from_its_increments(tmp_path: Path) -> None:
    (line,) = record(
        tmp_path / "t.jsonl",
        update(10, tube(3, TubeState.TENTATIVE, [10])),
        update(30, tube(3, TubeState.ACTIVE, [20, 30], label=1)),
        update(40, tube(3, TubeState.ENDED, [], label=1)),
    )
    boxes = line.pop("boxes")
    assert line.pop("labels") == [
        {"stamp": 10, "class_id": 0, "class_name": "walk", "state": "TENTATIVE", "score": 0.25},
        {"stamp": 30, "class_id": 1, "class_name": "jump", "state": "ACTIVE", "score": 0.25},
        {"stamp": 40, "class_id": 1, "class_name": "jump", "state": "ENDED", "score": 0.25},
    ]
    assert line == {
        "session": str(SESSION),
        "id": 3,
        "class_id": 1,
        "class_name": "jump",
        "score": 0.25,
        "confirmed": True,
        "ended": True,
        "start": 10,
        "end": 30,
        "frame_id": "eye",
        "image_width": 640,
        "image_height": 480,
    }
    assert boxes == [
        {"stamp": stamp, "box": [stamp, 1, stamp + 5, 9], "score": 0.5, "interpolated": stamp == 20}
        for stamp in (10, 20, 30)
    ]


def test_labels_are_kept_over_time_with_the_best_score_of_each(tmp_path: Path) -> None:
    steps = [
        update(10, tube(1, TubeState.TENTATIVE, [10], score=0.9)),
        update(20, tube(1, TubeState.ACTIVE, [20], score=0.4)),
        update(30, tube(1, TubeState.ACTIVE, [30], score=0.6)),
        update(40, tube(1, TubeState.COASTING, [], score=0.5)),
        update(50, tube(1, TubeState.ACTIVE, [40, 50], score=0.3)),
        update(60, tube(1, TubeState.ACTIVE, [60], label=1, score=0.7)),
        update(65, tube(1, TubeState.COASTING, [], label=1, score=0.7)._replace(last_stamp=60)),
        update(68, tube(1, TubeState.COASTING, [], score=0.8)._replace(last_stamp=60)),
        update(70, tube(1, TubeState.ENDED, [], label=1, score=0.7)._replace(last_stamp=60)),
    ]
    (line,) = record(tmp_path / "t.jsonl", *steps)
    labels = line["labels"]
    assert isinstance(labels, list)
    assert [(each["stamp"], each["class_name"], each["state"], each["score"]) for each in labels] == [
        (10, "walk", "TENTATIVE", 0.9),
        (20, "walk", "ACTIVE", 0.6),
        (40, "walk", "COASTING", 0.5),
        (50, "walk", "ACTIVE", 0.3),
        (60, "jump", "ACTIVE", 0.7),
        (65, "jump", "COASTING", 0.7),
        (68, "walk", "COASTING", 0.8),
        (70, "jump", "ENDED", 0.7),
    ]
    with TubeRecorder(tmp_path / "again.jsonl") as recorder:
        for each in steps:
            recorder.add(each, SESSION, LABELS, "eye")
    assert recorder.summaries == [TubeSummary(1, (Span("walk", 0.6, 20, 60, 5), Span("jump", 0.7, 60, 60, 1)))]


def test_a_tube_still_alive_is_written_and_marked_as_not_ended(tmp_path: Path) -> None:
    (line,) = record(tmp_path / "t.jsonl", update(10, tube(1, TubeState.TENTATIVE, [10])))
    assert (line["ended"], line["confirmed"]) == (False, False)


def test_the_same_id_in_two_sessions_is_two_tubes(tmp_path: Path) -> None:
    with TubeRecorder(tmp_path / "t.jsonl") as recorder:
        recorder.add(update(10, tube(1, TubeState.ACTIVE, [10])), SESSION, LABELS, "eye")
        recorder.add(update(20, tube(1, TubeState.ACTIVE, [20])), OTHER, LABELS, "eye")
    lines = [json.loads(line) for line in (tmp_path / "t.jsonl").read_text().splitlines()]
    assert [(line["session"], len(line["boxes"])) for line in lines] == [(str(SESSION), 1), (str(OTHER), 1)]


def test_an_interrupted_recording_leaves_what_was_there_before(tmp_path: Path) -> None:
    path = tmp_path / "t.jsonl"
    path.write_text("yesterday\n")

    def crash() -> None:
        with TubeRecorder(path) as recorder:
            recorder.add(update(10, tube(1, TubeState.ACTIVE, [10])), SESSION, LABELS, "eye")
            assert path.read_text() == "yesterday\n"
            raise RuntimeError

    with pytest.raises(RuntimeError):
        crash()
    assert path.read_text() == "yesterday\n"
    assert list(tmp_path.iterdir()) == [path]


def test_a_place_that_cannot_be_written_is_named(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(UserError, match=r"file/t\.jsonl"):
        TubeRecorder(tmp_path / "file" / "t.jsonl")


def test_the_table_lists_confirmed_tubes_in_seconds() -> None:
    second = 10**9
    tubes = [
        TubeSummary(7, (Span("jump", 0.5, 3 * second, 5 * second, 60),)),
        TubeSummary(2, (Span("walk", 0.25, second, 4 * second, 90), Span("sit", 0.75, 4 * second, 6 * second, 61))),
        TubeSummary(9, ()),
    ]
    console = Console(width=100, record=True, file=io.StringIO())
    console.print(table_of(tubes, origin=second))
    text = console.export_text()
    rows = [[cell.strip() for cell in line.split("│")[1:-1]] for line in text.splitlines() if "│" in line]
    assert rows == [
        ["2", "walk", "0.25", "0.00 – 3.00", "3.00", "90"],
        ["", "sit", "0.75", "3.00 – 5.00", "2.00", "61"],
        ["7", "jump", "0.50", "2.00 – 4.00", "2.00", "60"],
    ]
    assert "1 more were never confirmed" in text
