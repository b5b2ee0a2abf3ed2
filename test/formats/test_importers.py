"""Files as CVAT, Label Studio, COCO tools, AVA and YOLO write them, against what their formats say they mean."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from amtnet_ros.data.actions_file import Action
from amtnet_ros.formats.ava import read_action_list, read_ava
from amtnet_ros.formats.coco import read_coco
from amtnet_ros.formats.cvat import read_cvat
from amtnet_ros.formats.label_studio import read_label_studio
from amtnet_ros.formats.videos import VideoFolder
from amtnet_ros.formats.yolo import read_names, read_yolo

FILES = Path(__file__).with_name("files")


def shown(actions: list[Action]) -> list[tuple[str, list[int], list[float], list[float]]]:
    """Label, frames, first and last box of each."""
    return [
        (
            action.label,
            action.frames or list(range(action.first_frame or 0, (action.first_frame or 0) + len(action.boxes))),
            action.boxes[0],
            action.boxes[-1],
        )
        for action in actions
    ]


def test_cvat_boxes_are_of_the_videos_frames_and_end_where_they_are_outside(videos: VideoFolder) -> None:
    (imported,) = read_cvat(FILES / "cvat_task.xml", videos)
    assert (imported.video.name, imported.video.n_frames, imported.video.rate) == ("clips/hall", 24, 10)
    assert shown(imported.actions) == [
        ("wave", [2, 3, 4, 5, 6, 7], [10, 20, 40, 90], [14, 22, 44, 92]),  # up to the box that is outside, in frame 8
        ("wave", [14, 15], [100, 0, 160, 60], [100, 0, 160, 60]),  # within the picture
        ("none", [18, 19, 20, 21], [60, 20, 80, 90], [64, 20, 84, 90]),
    ]
    assert imported.actions[0].boxes[1] == [11, 20, 41, 90]  # CVAT's frames are two apart here
    assert imported.actions[0].boxes[3] == [13, 21, 43, 91]


def test_a_cvat_attribute_says_what_a_person_does_and_changes_on_the_way(videos: VideoFolder) -> None:
    (imported,) = read_cvat(FILES / "cvat_task.xml", videos, attribute="doing")
    assert [(label, frames) for label, frames, _, _ in shown(imported.actions)] == [
        ("point", [2, 3, 4, 5]),
        ("clap", [6, 7]),
        ("clap", [14, 15]),
    ]


def test_label_studio_counts_from_one_in_percent_and_a_disabled_key_frame_is_the_last(videos: VideoFolder) -> None:
    (imported,) = read_label_studio(FILES / "label_studio.json", videos)
    assert shown(imported.actions) == [
        ("wave", [0, 1, 2, 3, 4], [16, 30, 56, 90], [48, 30, 88, 102]),
        ("wave", [20, 21, 22, 23], [80, 30, 120, 90], [80, 30, 120, 90]),  # enabled to the end
    ]
    assert imported.actions[0].boxes[2] == [32, 30, 72, 96]


def test_label_studio_frames_are_scaled_where_it_counted_at_another_rate(videos: VideoFolder, tmp_path: Path) -> None:
    content = json.loads((FILES / "label_studio.json").read_text())
    value = content[0]["annotations"][1]["result"][0]["value"]
    value["framesCount"] = 60  # 25 a second, the default of the tag <Video>, for a video of 10
    for key, frame in zip(value["sequence"], (1, 11, 51), strict=True):
        key["frame"] = frame
    (tmp_path / "tasks.json").write_text(json.dumps(content))
    (imported,) = read_label_studio(tmp_path / "tasks.json", videos)
    assert [frames for _, frames, _, _ in shown(imported.actions)] == [[0, 1, 2, 3, 4], [20, 21, 22, 23]]


def test_coco_tracks_end_where_an_image_does_not_show_them(videos: VideoFolder) -> None:
    (imported,) = read_coco(FILES / "cocovid.json", videos)
    assert shown(imported.actions) == [
        ("wave", [0, 5], [10, 20, 40, 90], [12, 20, 42.5, 90]),
        ("wave", [15], [14, 20, 44, 90], [14, 20, 44, 90]),
        ("clap", [10], [100, 20, 130, 90], [100, 20, 130, 90]),
    ]


def test_tao_calls_track_and_frame_otherwise(videos: VideoFolder, tmp_path: Path) -> None:
    text = (FILES / "cocovid.json").read_text().replace("frame_id", "frame_index").replace("instance_id", "track_id")
    (tmp_path / "tao.json").write_text(text)
    assert read_coco(tmp_path / "tao.json", videos) == read_coco(FILES / "cocovid.json", videos)


def test_ava_lines_are_of_people_at_seconds_in_shares_of_the_picture(videos: VideoFolder) -> None:
    names = read_action_list(FILES / "ava_action_list.pbtxt")
    assert names == {9: "walk", 80: "watch (a person)"}
    (imported,) = read_ava(FILES / "ava.csv", videos, names, start=900)
    box = [pytest.approx(value, abs=0.01) for value in (0.077 * 160, 0.151 * 120, 0.283 * 160, 0.811 * 120)]
    assert shown(imported.actions) == [
        ("watch (a person)", [0, 10], box, [16, pytest.approx(18.12), 48, pytest.approx(97.32)]),
        ("walk", [0], box, box),  # not at 901, which was looked at
        ("walk", [20], *2 * [[19.2, 18.12, 51.2, 97.32]]),
        ("walk", [10], *2 * [[80, 18.12, 112, 97.32]]),
    ]


def test_yolo_files_are_a_frame_each_from_one_on_and_their_last_number_is_the_track(
    videos: VideoFolder, tmp_path: Path
) -> None:
    labels = tmp_path / "labels"
    labels.mkdir()
    (tmp_path / "data.yaml").write_text("path: .\nnames:\n  0: wave\n  1: clap\n")
    for frame in range(1, 5):
        lines = [f"0 {0.25 + frame / 100:g} 0.5 0.25 0.5 0.91 1"]
        if frame != 3:
            lines.append("1 0.75 0.5 0.25 0.5 0.5 2")
        (labels / f"hall_{frame}.txt").write_text("\n".join(lines) + "\n")
    (imported,) = read_yolo(labels, videos, read_names(labels, None))
    first, last = [0.26 * 160 - 20, 30, 0.26 * 160 + 20, 90], [0.29 * 160 - 20, 30, 0.29 * 160 + 20, 90]
    right = [100, 30, 140, 90]
    assert shown(imported.actions) == [
        ("wave", [0, 1, 2, 3], pytest.approx(first), pytest.approx(last)),
        ("clap", [0, 1], right, right),
        ("clap", [3], right, right),
    ]


@pytest.mark.parametrize(
    ("columns", "tracks"), [("0.5 0.5 0.2 0.2 0.77", 1), ("0.5 0.5 0.2 0.2", 1), ("0.5 0.5 0.2 0.2 {}", 3)]
)
def test_a_sixth_yolo_number_is_a_score_unless_all_are_whole(
    videos: VideoFolder, tmp_path: Path, columns: str, tracks: int
) -> None:
    for frame in range(3):
        (tmp_path / f"frame_{frame:06d}.txt").write_text("0 " + columns.format(frame + 1) + "\n")
    (imported,) = read_yolo(tmp_path, videos, ["wave"], video="hall", first=0)
    assert len(imported.actions) == tracks
    assert sum(len(action.boxes) for action in imported.actions) == 3
    np.testing.assert_allclose(imported.actions[0].boxes[0], [64, 48, 96, 72])
