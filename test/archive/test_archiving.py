"""Videos become rows; what is done is done; what cannot be read is said."""

from __future__ import annotations

import resource
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from recordings import about, failures_in, rows_of, run, setup_of, tubes_in, write_video
from tiny import box_in

from amtnet_ros.errors import UserError
from amtnet_ros.media.video import open_source
from amtnet_ros.pipeline import Pipeline
from amtnet_ros.tubes import TubeAssembler


def test_a_video_becomes_the_tubes_that_a_pipeline_finds_in_it(tmp_path: Path, model: Path) -> None:
    video = write_video(tmp_path / "a.mp4", 2.0)
    summary = run(setup_of(model, tmp_path / "out"), video)
    assert (summary.recordings, summary.tubes, summary.pictures) == (1, 1, 60)

    pipeline, whole = Pipeline.from_model(model, "cpu"), TubeAssembler()
    for number, image in enumerate(open_source(str(video))):
        for update in pipeline.push(round(number / 30 * 1e9), image):
            whole.add(update)
    for update in pipeline.finish():
        whole.add(update)
    (expected,) = whole.tubes()
    (row,), (found,) = rows_of(tmp_path / "out"), tubes_in(tmp_path / "out")
    np.testing.assert_array_equal(found.boxes, expected.boxes)
    np.testing.assert_allclose(found.stamps, expected.stamps, atol=1)
    np.testing.assert_array_equal(found.interpolated, expected.interpolated)
    np.testing.assert_allclose(found.boxes[0], box_in(64, 48))
    assert (row["file"], row["tube"], row["label"], row["topic"], row["episode"]) == (str(video), 1, "bright", "", None)
    assert row["card"] == about(tmp_path / "out")["card"]
    assert [said["second"] for said in row["actions"] if said["label"] == "bright"] == [0, 1]
    assert row["score"] == pytest.approx(expected.class_scores[0], abs=0.02)
    assert [(each["second"], each["people"]) for each in row["seconds"]] == [(0, 1), (1, 1)]
    assert row["seconds"][0]["size"] == pytest.approx(0.5, abs=1e-5)  # half as high as the picture


def test_fewer_pictures_are_watched_on_request(tmp_path: Path, model: Path) -> None:
    video = write_video(tmp_path / "a.mp4", 2.0)
    assert run(setup_of(model, tmp_path / "out", rate=10), video).pictures == 20
    (found,) = tubes_in(tmp_path / "out")
    np.testing.assert_allclose(np.diff(found.stamps), 1e8, atol=1)


def test_what_is_done_is_not_done_again_wherever_it_lies(tmp_path: Path, model: Path) -> None:
    folder = tmp_path / "videos"
    write_video(folder / "a.mp4", seed=1)
    write_video(folder / "deep" / "b.mkv", seed=2)
    setup = setup_of(model, tmp_path / "out")
    assert run(setup, folder).recordings == 2
    shutil.copy(folder / "a.mp4", folder / "copy of a.mp4")
    write_video(folder / "c.mov", seed=3)
    again = run(setup, folder)
    assert (again.recordings, again.known, again.copies) == (1, 2, 1)
    assert [Path(row["file"]).name for row in rows_of(tmp_path / "out")] == ["a.mp4", "c.mov", "b.mkv"]


def test_an_archive_is_of_one_model_watched_in_one_way(tmp_path: Path, model: Path) -> None:
    video = write_video(tmp_path / "a.mp4")
    run(setup_of(model, tmp_path / "out"), video)
    with pytest.raises(UserError, match="was made with another rate"):
        run(setup_of(model, tmp_path / "out", rate=10), video)
    with pytest.raises(UserError, match="another options"):
        run(setup_of(model, tmp_path / "out", delta=2), video)
    with pytest.raises(UserError, match="another fast_flow"):
        run(setup_of(model, tmp_path / "out", fast_flow=True), video)


def test_what_cannot_be_read_is_a_row_with_the_reason_until_it_can(tmp_path: Path, model: Path) -> None:
    folder = tmp_path / "videos"
    good = write_video(folder / "good.mp4").read_bytes()
    write_video(folder / "cut.mkv", 4.0, seed=5)
    whole = (folder / "cut.mkv").read_bytes()
    (folder / "cut.mkv").write_bytes(whole[: len(whole) // 2])
    (folder / "empty.mp4").touch()
    (folder / "text.avi").write_text("no video at all")
    setup = setup_of(model, tmp_path / "out")
    run(setup, folder)
    reasons = {Path(row["file"]).name: (row["reason"], row["kept"]) for row in failures_in(tmp_path / "out")}
    assert set(reasons) == {"empty.mp4", "text.avi", "cut.mkv"}
    assert all("cannot be read as a video" in reasons[name][0] for name in ("empty.mp4", "text.avi"))
    assert reasons["cut.mkv"][0].startswith("ends sooner than after the 4.")
    assert reasons["cut.mkv"][1]
    found = {Path(row["file"]).name for row in rows_of(tmp_path / "out")}
    assert found == {"good.mp4", "cut.mkv"}  # what comes before the break is kept

    write_video(folder / "text.avi.mp4", seed=7).rename(folder / "text.avi")
    (folder / "empty.mp4").write_bytes(good)
    run(setup, folder)
    assert {Path(row["file"]).name for row in failures_in(tmp_path / "out")} == {"cut.mkv"}
    assert "text.avi" in {Path(row["file"]).name for row in rows_of(tmp_path / "out")}


def test_a_full_disk_costs_one_line_and_the_next_run_goes_on(tmp_path: Path, model: Path) -> None:
    folder = tmp_path / "videos"
    for seed in range(2):
        write_video(folder / f"{seed}.mp4", seed=seed)
    command = [sys.executable, "-m", "amtnet_ros.cli.main", "archive", folder, "-o", tmp_path / "out", "--model", model]
    command = [*map(str, command), "--device", "cpu", "--workers", "0"]

    def little_room() -> None:
        resource.setrlimit(resource.RLIMIT_FSIZE, (3_000, 3_000))

    full = subprocess.run(command, capture_output=True, text=True, preexec_fn=little_room)
    assert full.returncode == 2
    last = full.stderr.strip().splitlines()[-1]
    assert last.startswith("amtnet: ")
    assert "cannot be written (" in last
    assert "File too large" in last
    assert not list((tmp_path / "out").rglob("*.parquet"))
    again = subprocess.run(command, capture_output=True, text=True)
    assert again.returncode == 0, again.stderr
    assert len(rows_of(tmp_path / "out")) == 2
    assert not list((tmp_path / "out").rglob("*.part"))


@pytest.mark.parametrize(
    ("source", "says"),
    [("nowhere", "no such file or folder"), ("empty", "holds no recording"), ("s4://bucket/x", "cannot be reached")],
)
def test_a_source_that_is_none_is_named(tmp_path: Path, model: Path, source: str, says: str) -> None:
    (tmp_path / "empty").mkdir()
    with pytest.raises(UserError, match=says):
        run(setup_of(model, tmp_path / "out"), source if "://" in source else tmp_path / source)
