"""What is wrong with a file is said in one line, with its place."""

from __future__ import annotations

import json
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from amtnet_ros.errors import UserError
from amtnet_ros.formats.ava import read_action_list, read_ava
from amtnet_ros.formats.coco import read_coco
from amtnet_ros.formats.cvat import read_cvat
from amtnet_ros.formats.label_studio import read_label_studio
from amtnet_ros.formats.videos import VideoFolder
from amtnet_ros.formats.yolo import read_names, read_yolo

FILES = Path(__file__).with_name("files")


def refused(read: Callable[[], Any], *words: str) -> None:
    with pytest.raises(UserError) as raised:
        read()
    message = str(raised.value)
    assert "\n" not in message
    for word in words:
        assert word in message


def changed(name: str, folder: Path, old: str, new: str) -> Path:
    """A copy of a file, changed in one place."""
    text = (FILES / name).read_text()
    assert old in text
    (folder / name).write_text(text.replace(old, new, 1))
    return folder / name


@pytest.mark.parametrize(
    ("old", "new", "words"),
    [
        ("</annotations>", "", ["line 89", "not XML"]),
        ("<annotations>", "<people>", ["not XML"]),
        ("hall.mp4", "yard.mp4", ["'yard.mp4' is not in"]),
        ("<width>160", "<width>320", ["320x120", "is 160x120"]),
        ('xtl="12.00"', 'xtl="twelve"', ["track 0 (wave), frame 4", "xtl='twelve' is not a number"]),
        ('xbr="42.00"', 'xbr="nan"', ["track 0 (wave), frame 4", "finite"]),
        ('xbr="42.00"', 'xbr="12.00"', ["track 0 (wave), frame 4", "nothing of the box"]),
        ('frame="4"', 'frame="2"', ["track 0 (wave)", "frame 2 does not come after 2"]),
        ('frame="20"', 'frame="24"', ["track 1 (none), frame 24", "frames 0 to 23"]),
        ('z_order="0"', 'rotation="12.5" z_order="0"', ["track 0 (wave), frame 2", "rotated"]),
        ("<task>", "<project/><task>", ["whole project"]),
        ("<source>hall.mp4</source>", "", ["CVAT for video 1.1"]),
    ],
)
def test_cvat(videos: VideoFolder, tmp_path: Path, old: str, new: str, words: list[str]) -> None:
    file = changed("cvat_task.xml", tmp_path, old, new)
    refused(lambda: read_cvat(file, videos), str(file), *words)


def test_a_zip_of_cvat_is_to_be_unpacked(videos: VideoFolder, tmp_path: Path) -> None:
    with zipfile.ZipFile(tmp_path / "task.zip", "w") as packed:
        packed.write(FILES / "cvat_task.xml", "annotations.xml")
    refused(lambda: read_cvat(tmp_path / "task.zip", videos), "task.zip", "unpack it", "annotations.xml")


def test_cvat_without_the_attribute_names_those_there_are(videos: VideoFolder) -> None:
    refused(
        lambda: read_cvat(FILES / "cvat_task.xml", videos, "action"),
        "track 0 (wave), frame 2",
        "'action'",
        "it has: doing",
    )


@pytest.mark.parametrize(
    ("old", "new", "words"),
    [
        ("}\n]", "", ["not JSON"]),
        ('"annotations"', '"annotation"', ["tasks[0], annotations", "export from Label Studio as 'JSON'"]),
        ('"frame": 1,', '"frame": 0,', ["task 12, region tJhYZLMC9G", "sequence[0], frame"]),
        ('"frame": 21', '"frame": 25', ["region tJhYZLMC9G, frame 25", "framesCount is 24"]),
        ('"x": 10,', '"x": "left",', ["sequence[0], x"]),
        ('"x": 10,', '"x": 110,', ["frame 1", "nothing of the box"]),
        ('"rotation": 0', '"rotation": 10', ["frame 1", "rotated"]),
        ('["wave"]', "[]", ["region tJhYZLMC9G", "no label"]),
        ("-hall.mp4", "-yard.mp4", ["task 12"]),
    ],
)
def test_label_studio(videos: VideoFolder, tmp_path: Path, old: str, new: str, words: list[str]) -> None:
    file = changed("label_studio.json", tmp_path, old, new)
    if old == "-hall.mp4":  # the address is what counts, not the name of the upload
        file.write_text(file.read_text().replace("/data/upload/1/3f9a01bc-hall.mp4", "s3://bucket/yard.mp4"))
    refused(lambda: read_label_studio(file, videos), str(file), *words)


@pytest.mark.parametrize(
    ("old", "new", "words"),
    [
        ('"videos"', '"vids"', ["videos: Field required"]),
        ('"video_id": 1, "frame_id": 5', '"frame_id": 5', ["images[1], video_id"]),
        ('"frame_id": 15', '"frame_id": 24', ["image 14, counted from 0 (--first)", "frame 24", "frames 0 to 23"]),
        ('hall/000005.jpg", "width": 160', 'hall/000005.jpg", "width": 320', ["image 12: of 320x120", "is 160x120"]),
        ('"image_id": 12', '"image_id": 19', ["annotation 2", "no image 19"]),
        ('"image_id": 12', '"image_id": 11', ["annotation 2", "its track is twice in image 11"]),
        ('"category_id": 2', '"category_id": 7', ["annotation 4", "no category 7"]),
        (', "instance_id": 4', "", ["annotation 4", "track_id or instance_id"]),
        ("[10, 20, 30, 70]", "[10, 20, 30]", ["annotations[0], bbox"]),
        ("[10, 20, 30, 70]", "[10, 20, 0, 70]", ["annotation 1", "nothing of the box"]),
    ],
)
def test_coco(videos: VideoFolder, tmp_path: Path, old: str, new: str, words: list[str]) -> None:
    file = changed("cocovid.json", tmp_path, old, new)
    refused(lambda: read_coco(file, videos), str(file), *words)


@pytest.mark.parametrize(
    ("old", "new", "words"),
    [
        (",9,2", ",9", ["line 4", "7 columns"]),
        ("0901,0.5", "0903,0.5", ["line 4", "second 0903", "--start"]),
        ("0.500", "half", ["line 4", "x1 'half'"]),
        (",9,2", ",8,2", ["line 4", "action 8"]),
        (",9,2", ",9,0.93", ["line 4", "person_id 0.93", "scores"]),
        ("0.500", "80", ["line 4", "in pixels"]),
        ("hall,0902", "yard,0902", ["line 5", "'yard'"]),
    ],
)
def test_ava(videos: VideoFolder, tmp_path: Path, old: str, new: str, words: list[str]) -> None:
    file = changed("ava.csv", tmp_path, old, new)
    names = read_action_list(FILES / "ava_action_list.pbtxt")
    refused(lambda: read_ava(file, videos, names, 900), str(file), *words)


def test_an_action_list_that_is_none(tmp_path: Path) -> None:
    refused(lambda: read_action_list(FILES / "ava.csv"), "ava.csv", "no list of actions")
    file = changed("ava_action_list.pbtxt", tmp_path, "label_id: 9", "")
    refused(lambda: read_action_list(file), "walk", "lacks a name or an id")


@pytest.mark.parametrize(
    ("name", "line", "words"),
    [
        ("hall_1.txt", "0 0.5 0.5 0.2", ["hall_1.txt, line 2", "4 numbers"]),
        ("hall_1.txt", "wave 0.5 0.5 0.2 0.2", ["hall_1.txt, line 2", "'wave'"]),
        ("hall_1.txt", "3 0.5 0.5 0.2 0.2", ["hall_1.txt, line 2", "class 3", "0 to 0"]),
        ("hall_1.txt", "0 80 60 20 20", ["hall_1.txt, line 2", "in pixels"]),
        ("hall_1.txt", "0 0.5 0.5 0.2 0.2 1", ["hall_1.txt, line 2", "'wave' twice"]),
        ("hall_0.txt", "", ["hall, counted from 1 (--first): frame -1", "frames 0 to 23"]),
        ("yard_1.txt", "", ["'yard'"]),
        ("notes.txt", "", ["notes.txt", "number of a frame"]),
    ],
)
def test_yolo(videos: VideoFolder, tmp_path: Path, name: str, line: str, words: list[str]) -> None:
    (tmp_path / name).write_text(f"0 0.3 0.5 0.2 0.2 1\n{line}\n")
    refused(lambda: read_yolo(tmp_path, videos, ["wave"]), str(tmp_path), *words)


def test_yolo_without_files_or_names(videos: VideoFolder, tmp_path: Path) -> None:
    refused(lambda: read_yolo(tmp_path, videos, ["wave"]), "holds no files such as clip_1.txt")
    refused(lambda: read_names(tmp_path, None), "--names")
    (tmp_path / "data.yaml").write_text("names: {1: wave}\n")
    refused(lambda: read_names(tmp_path, None), "data.yaml", "should list")


def test_two_videos_of_one_name_and_a_broken_one_are_named(folder: Path, tmp_path: Path) -> None:
    for place in ("a", "b"):
        (tmp_path / place).mkdir()
        (tmp_path / place / "hall.mp4").write_bytes((folder / "clips" / "hall.mp4").read_bytes())
    refused(lambda: read_coco(FILES / "cocovid.json", VideoFolder(tmp_path)), "a/hall.mp4", "b/hall.mp4")
    (tmp_path / "a" / "hall.mp4").unlink()
    (tmp_path / "b" / "hall.mp4").write_bytes(b"cut short")
    refused(lambda: read_coco(FILES / "cocovid.json", VideoFolder(tmp_path)), "b/hall.mp4", "cannot be read as a video")


def test_a_video_is_taken_by_its_path_but_never_from_outside_the_folder(folder: Path) -> None:
    inner = VideoFolder(folder / "clips")
    assert inner.find("", "/elsewhere/hall.mp4").path == folder / "clips" / "hall.mp4"
    refused(lambda: VideoFolder(FILES).find("file", "../../../setup.py"), "is not in")
    windows = VideoFolder(folder).find("", "C:\\films\\hall.mp4")
    assert json.dumps([windows.width, windows.height, windows.n_frames]) == "[160, 120, 24]"
