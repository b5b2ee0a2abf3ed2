"""A stream logged for Rerun, read back by Rerun's own reader."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
from action_clips import make_clip
from click.testing import CliRunner
from full_disk import files_no_larger_than
from tiny import make_robot_model

from amtnet_ros.bench.brightness_model import BRIGHTNESS_LABELS
from amtnet_ros.cli.commands import amtnet
from amtnet_ros.contracts import FlowField
from amtnet_ros.errors import UserError
from amtnet_ros.flow.encoding import flow_to_colour
from amtnet_ros.media.video import open_source
from amtnet_ros.pipeline import Pipeline
from amtnet_ros.view import rerun_log
from amtnet_ros.view.rerun_log import RerunLog

chunk = pytest.importorskip("rerun.chunk", reason="rerun-sdk, which writes and reads such files, is not installed")
RATE = 30.0


def rows(file: Path) -> dict[str, list[dict[str, Any]]]:
    """What was logged for each entity, by time: component → value, with the time in seconds under "stream"."""
    found: dict[str, list[dict[str, Any]]] = {}
    for each in chunk.RrdReader(file).stream().to_chunks():
        batch = each.to_record_batch()
        kept = [name for name in batch.schema.names if "RowId" not in name and name not in ("log_time", "log_tick")]
        columns = {name: batch.column(name).cast("int64") if name == "stream" else batch.column(name) for name in kept}
        for row in range(batch.num_rows):
            values = {name: column[row].as_py() for name, column in columns.items()}
            found.setdefault(each.entity_path, []).append(values)
    for logged in found.values():
        logged.sort(key=lambda row: row.get("stream") or 0)
    return found


def test_picture_boxes_ways_actions_and_scores_are_in_the_file(tmp_path: Path) -> None:
    clip, file = tmp_path / "clip.mp4", tmp_path / "out" / "seen.rrd"
    make_clip(clip, label=0, seed=1, n_frames=30)
    model = make_robot_model(tmp_path / "tiny")
    arguments = ["run", clip, "--model", model, "--device", "cpu", "--no-video", "--tubes", tmp_path / "t.jsonl"]
    done = CliRunner().invoke(amtnet, [*map(str, arguments), "--rerun", str(file)], catch_exceptions=False)
    assert done.exit_code == 0
    logged = rows(file)

    pictures = logged["/camera/image"]
    assert [row["stream"] for row in pictures] == [round(number / RATE * 1e9) for number in range(30)]
    shown = [
        cv2.imdecode(np.frombuffer(bytes(row["EncodedImage:blob"][0]), np.uint8), cv2.IMREAD_COLOR)[..., ::-1]
        for row in pictures
    ]
    for picture, image in zip(shown, open_source(str(clip)), strict=True):
        assert np.abs(picture.astype(int) - image).mean() < 4

    pipeline = Pipeline.from_model(model, "cpu")
    steps = [
        update
        for number, image in enumerate(open_source(str(clip)))
        for update in pipeline.push(round(number / RATE * 1e9), image)
    ]
    boxes = {row["stream"]: row for row in logged["/camera/image/persons"]}
    compared = 0
    for update in steps:
        for tube in update.tubes:
            (row,) = (boxes[update.stamp],)
            centre, half = np.array(row["Boxes2D:centers"]), np.array(row["Boxes2D:half_sizes"])
            np.testing.assert_allclose(np.hstack([centre - half, centre + half]), tube.boxes[-1:], atol=1e-3)
            assert row["Boxes2D:labels"] == [f"#{tube.id} {BRIGHTNESS_LABELS[tube.label]} {tube.score:.2f}"]
            compared += 1
    assert compared > 20

    actions = [
        (row["stream"], row["StateChange:state"]) for row in logged["/persons/1"] if row.get("StateChange:state")
    ]
    confirmed = next(update for update in steps if any(tube.state == 1 for tube in update.tubes))
    name = BRIGHTNESS_LABELS[confirmed.tubes[0].label]
    assert actions[0] == (confirmed.stamp, [name])
    assert actions[-1][1] == ["over"]
    scores = {row["stream"]: row["Scalars:scalars"] for row in logged["/scores/1"] if row.get("Scalars:scalars")}
    np.testing.assert_allclose(scores[confirmed.stamp], confirmed.tubes[0].class_scores, atol=1e-6)
    assert logged["/events"][0]["TextLog:text"][0].startswith(f"#1 {name} begins")
    assert len(logged["/camera/image/ways"]) > 20


def test_flow_is_shown_in_colour(tmp_path: Path) -> None:
    file = tmp_path / "flow.rrd"
    vectors = np.full((40, 60, 2), (6.0, 0.0), np.float32)
    with RerunLog(str(file), BRIGHTNESS_LABELS) as log:
        log.add_flow(FlowField(vectors, 0, 5_000_000_000))
    (row,) = rows(file)["/flow"]
    picture = cv2.imdecode(np.frombuffer(bytes(row["EncodedImage:blob"][0]), np.uint8), cv2.IMREAD_COLOR)[..., ::-1]
    assert np.abs(picture.astype(int) - flow_to_colour(vectors)).max() < 8


def test_a_full_disk_costs_the_recording_alone_and_is_said_once(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(rerun_log, "_LOOK", 0.0)
    said: list[str] = []
    noise = np.random.default_rng(0).integers(0, 256, (120, 160, 3), dtype=np.uint8)
    with files_no_larger_than(2_000_000), RerunLog(str(tmp_path / "seen.rrd"), BRIGHTNESS_LABELS, said.append) as log:
        for number in range(100):
            log.add_image(number * 33_333_333, noise)
    assert log.failed
    assert said == [f"{tmp_path}/seen.rrd: cannot be written (file too large); it is given up, the rest goes on"]
    assert list(tmp_path.iterdir()) == []


def test_a_viewer_is_not_waited_for_where_there_is_no_screen(monkeypatch: pytest.MonkeyPatch) -> None:
    for screen in ("DISPLAY", "WAYLAND_DISPLAY"):
        monkeypatch.delenv(screen, raising=False)
    with pytest.raises(UserError, match=r"no screen here for Rerun's viewer; give a file to write, FILE\.rrd"):
        RerunLog("spawn", BRIGHTNESS_LABELS)


def test_what_is_no_recording_is_refused_and_what_fails_leaves_nothing(tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"neither a file that ends in \.rrd nor 'spawn'"):
        RerunLog("seen.mp4", BRIGHTNESS_LABELS)
    with pytest.raises(ZeroDivisionError), RerunLog(str(tmp_path / "seen.rrd"), BRIGHTNESS_LABELS):
        raise ZeroDivisionError
    assert list(tmp_path.iterdir()) == []
