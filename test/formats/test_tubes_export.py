"""Tubes of a real run in other tools' formats, against the recorded lines and against our own importers."""

from __future__ import annotations

import csv
import json
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
from click.testing import CliRunner
from tiny import make_robot_model

from amtnet_ros.cli.commands import amtnet
from amtnet_ros.errors import UserError
from amtnet_ros.formats.ava import read_action_list, read_ava
from amtnet_ros.formats.coco import read_coco
from amtnet_ros.formats.videos import VideoFolder

RATE = 30  # of a folder of images
COUNT = 70


def amtnet_(*arguments: object) -> str:
    done = CliRunner().invoke(amtnet, [*map(str, arguments)], catch_exceptions=False)
    assert done.exit_code == 0, done.output
    return done.output


@pytest.fixture(scope="module")
def clip(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder of images, bright at first, then dark, and beside it the tubes that were found in it."""
    folder = tmp_path_factory.mktemp("run")
    (folder / "clip").mkdir()
    for number in range(COUNT):
        level = 250 if number < 40 else 0
        cv2.imwrite(str(folder / "clip" / f"{number}.png"), np.full((48, 64, 3), level, np.uint8))
    model = make_robot_model(folder / "model")
    amtnet_("run", folder / "clip", "--model", model, "--no-video", "--tubes", folder / "t.jsonl", "--device", "cpu")
    return folder / "clip"


def recorded(clip: Path) -> dict[int, tuple[list[float], float, str]]:
    """Frame → box, score and name of the one tube, straight from the file."""
    (line,) = [json.loads(line) for line in (clip.parent / "t.jsonl").read_text().splitlines()]
    boxes = {}
    for box in line["boxes"]:
        names = [label["class_name"] for label in line["labels"] if label["stamp"] <= box["stamp"]]
        boxes[round(box["stamp"] * RATE / 1e9)] = (
            box["box"],
            box["score"],
            (names or [line["labels"][0]["class_name"]])[-1],
        )
    return boxes


def export(clip: Path, kind: str, out: Path, *arguments: object) -> str:
    return amtnet_("tubes", "export", kind, clip.parent / "t.jsonl", "--video", clip, "-o", out, *arguments)


def test_coco_has_an_image_a_frame_and_comes_back_as_it_was(clip: Path, tmp_path: Path) -> None:
    out = tmp_path / "tubes.json"
    boxes = recorded(clip)
    assert {name for _, _, name in boxes.values()} == {"bright", "dark"}
    assert export(clip, "coco", out) == f"{out}: 1 tubes, {len(boxes)} boxes in {COUNT} frames\n"
    content = json.loads(out.read_text())
    assert content["categories"] == [{"id": 1, "name": "bright"}, {"id": 2, "name": "dark"}]
    assert [image["frame_id"] for image in content["images"]] == list(range(COUNT))
    first = content["annotations"][0]
    (x1, y1, x2, y2), score, _ = boxes[first["image_id"] - 1]
    assert first["bbox"] == pytest.approx([x1, y1, x2 - x1, y2 - y1], abs=0.01)
    assert (first["area"], first["score"]) == (pytest.approx((x2 - x1) * (y2 - y1), abs=1), score)

    (again,) = read_coco(out, VideoFolder(clip.parent))
    found = {
        (action.first_frame or 0) + i: (box, action.label)
        for action in again.actions
        for i, box in enumerate(action.boxes)
    }
    assert {frame: (pytest.approx(box, abs=0.01), name) for frame, (box, _, name) in boxes.items()} == found


def test_mot_counts_frames_ids_and_pixels_from_one(clip: Path, tmp_path: Path) -> None:
    export(clip, "mot", tmp_path / "tubes.txt")
    rows = [list(map(float, row)) for row in csv.reader((tmp_path / "tubes.txt").read_text().splitlines())]
    expected = [
        [frame + 1, 1, x1 + 1, y1 + 1, x2 - x1, y2 - y1, score, -1, -1, -1]
        for frame, ((x1, y1, x2, y2), score, _) in sorted(recorded(clip).items())
    ]
    np.testing.assert_allclose(rows, expected, atol=0.01)


def test_ava_has_a_line_a_second_with_a_score_or_with_a_person_that_can_be_imported(clip: Path, tmp_path: Path) -> None:
    out, boxes = tmp_path / "tubes.csv", recorded(clip)
    export(clip, "ava", out)
    rows = [line.split(",") for line in out.read_text().splitlines()]
    assert [row[:2] for row in rows] == [["clip", f"{second:04d}"] for second in (0, 1, 2) if 30 * second in boxes]
    for row in rows:
        (x1, y1, x2, y2), score, name = boxes[30 * int(row[1])]
        assert list(map(float, row[2:6])) == pytest.approx([x1 / 64, y1 / 48, x2 / 64, y2 / 48], abs=1e-4)
        assert (int(row[6]), float(row[7])) == ({"bright": 1, "dark": 2}[name], pytest.approx(score, abs=1e-4))
    export(clip, "ava", out, "--people")
    (again,) = read_ava(out, VideoFolder(clip.parent), read_action_list(tmp_path / "tubes.pbtxt"))
    assert {(action.label, len(action.boxes)) for action in again.actions} <= {
        ("bright", 2),
        ("bright", 1),
        ("dark", 1),
    }


def test_what_it_is_made_of_is_never_overwritten(clip: Path, tmp_path: Path) -> None:
    before = (clip.parent / "t.jsonl").read_bytes()
    (tmp_path / "link.jsonl").symlink_to(clip.parent / "t.jsonl")
    with pytest.raises(UserError, match=r"link\.jsonl: would overwrite .*t\.jsonl, which is the same file"):
        export(clip, "mot", tmp_path / "link.jsonl")
    assert (clip.parent / "t.jsonl").read_bytes() == before


def changed(clip: Path, folder: Path, change: Any) -> Path:
    (line,) = [json.loads(line) for line in (clip.parent / "t.jsonl").read_text().splitlines()]
    change(line)
    (folder / "t.jsonl").write_text(json.dumps(line) + "\n")
    return folder / "t.jsonl"


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (lambda line: line.pop("boxes"), "line 1: no recorded tube: boxes: Field required"),
        (lambda line: line["boxes"][0].update(box=[1, 2, 3]), r"line 1: no recorded tube: boxes\[0\], box"),
        (lambda line: line["boxes"][-1].update(stamp=10**18), "stamp 1000000000000000000 is of no frame .* --start"),
        (lambda line: line.update(confirmed=False), "no tube was ever confirmed"),
        (lambda line: line.update(image_width=640), "of images of 640x48, but .*clip is 64x48"),
    ],
)
def test_a_file_that_is_no_recording_of_the_video_is_refused(
    clip: Path, tmp_path: Path, change: Any, words: str
) -> None:
    file = changed(clip, tmp_path, change)
    with pytest.raises(UserError, match=words):
        amtnet_("tubes", "export", "mot", file, "--video", clip)
    assert not (tmp_path / "t.txt").exists()


def test_a_recording_by_the_clock_is_counted_from_its_start(clip: Path, tmp_path: Path) -> None:
    start = 1_790_000_000_000_000_000

    def by_the_clock(line: dict[str, Any]) -> None:
        for entry in (*line["boxes"], *line["labels"]):
            entry["stamp"] += start

    file = changed(clip, tmp_path, by_the_clock)
    amtnet_("tubes", "export", "mot", file, "--rate", RATE, "--start", start)
    frames = [int(line.split(",")[0]) - 1 for line in (tmp_path / "t.txt").read_text().splitlines()]
    assert frames == sorted(recorded(clip))


def test_a_line_cut_short_and_no_lines_at_all_are_named(clip: Path, tmp_path: Path) -> None:
    file = tmp_path / "cut.jsonl"
    file.write_text((clip.parent / "t.jsonl").read_text()[:-40])
    with pytest.raises(UserError, match=r"cut\.jsonl, line 1: not JSON"):
        amtnet_("tubes", "export", "coco", file, "--rate", 30)
    file.write_text("")
    with pytest.raises(UserError, match="holds no tubes"):
        amtnet_("tubes", "export", "coco", file, "--rate", 30)
    with pytest.raises(UserError, match="give --video"):
        amtnet_("tubes", "export", "coco", file)
