"""Your own actions: the documented example is read, and the first mistake is named with its place."""

import copy
import json
from pathlib import Path

import numpy as np
import pytest

from amtnet_ros.data.actions_file import LAYOUT, parse_actions_file, write_actions_file
from amtnet_ros.data.custom import check_videos, read_custom
from amtnet_ros.errors import UserError


@pytest.fixture
def write(tmp_path):
    (tmp_path / "videos").mkdir()
    (tmp_path / "videos" / "kitchen_0001.mp4").touch()
    (tmp_path / "videos" / "none_0001.mp4").touch()

    def write(content):
        file = tmp_path / "actions.json"
        file.write_text(content if isinstance(content, str) else json.dumps(content))
        return file

    return write


def changed(*path_and_value):
    """The example with one value replaced; the value KeyError takes the key away."""
    content = copy.deepcopy(json.loads(LAYOUT))
    *path, key, value = path_and_value
    place = content
    for part in path:
        place = place[part]
    if value is KeyError:
        del place[key]
    else:
        place[key] = value
    return content


VIDEO = ("videos", "kitchen/0001")
WAVE = (*VIDEO, "actions", 0)
SIT = (*VIDEO, "actions", 1)
NONE = ("videos", "none/0001")


def test_the_documented_example_is_read(write):
    file = write(LAYOUT)
    dataset = read_custom(file)
    assert (dataset.name, dataset.classes, dataset.train, dataset.test) == (
        "actions",
        ("wave", "sit_down"),
        ("kitchen/0001", "none/0001"),
        (),
    )
    video = dataset.videos["kitchen/0001"]
    assert (video.size, video.n_frames) == ((640, 480), 300)
    assert video.path == file.parent / "videos" / "kitchen_0001.mp4"
    wave, sit = video.instances
    assert (wave.label, wave.frames.tolist(), wave.boxes.tolist()) == (
        0,
        [41, 42],
        [[10, 20, 110, 220], [11, 20, 111, 221]],
    )
    assert (sit.label, sit.frames.tolist(), sit.boxes.dtype) == (1, [100, 110, 120], np.float32)


def test_people_who_do_none_of_the_classes_are_apart_from_the_actions(write):
    video = read_custom(write(LAYOUT)).videos["none/0001"]
    assert video.instances == ()
    (person,) = video.others
    assert (person.label, person.frames.tolist()) == (2, [0, 1])


def test_where_nobody_acts_all_whom_the_detector_found_do_none_of_the_classes(write):
    video = read_custom(write(changed(*NONE, "actions", []))).videos["none/0001"]
    assert [person.frames.tolist() for person in video.others] == [[0, 1], [7]]
    assert video.others[1].boxes.tolist() == [[400, 20, 500, 220]]


def test_a_dropped_video_is_left_out(write):
    assert list(read_custom(write(changed(*NONE, "review", "dropped"))).videos) == ["kitchen/0001"]
    content = changed(*NONE, "review", "dropped")
    content["videos"]["kitchen/0001"]["review"] = "dropped"
    with pytest.raises(UserError, match="all were dropped"):
        read_custom(write(content))


def test_a_file_is_written_as_it_is_read(write, tmp_path):
    content = parse_actions_file(write(LAYOUT))
    write_actions_file(tmp_path / "again.json", content)
    assert json.loads((tmp_path / "again.json").read_text()) == json.loads(LAYOUT)


def test_the_documentation_shows_this_example():
    assert LAYOUT in (Path(__file__).parents[2] / "docs" / "evaluation.md").read_text()


def test_a_video_may_have_no_actions_and_no_path(write):
    content = changed(*VIDEO, "actions", [])
    del content["videos"]["kitchen/0001"]["path"]
    video = read_custom(write(content)).videos["kitchen/0001"]
    assert (video.instances, video.path) == ((), None)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (changed("format", "coco"), "format: "),
        (changed("version", 2), "version: "),
        (changed("classes", []), "classes: empty"),
        (changed("classes", ["wave", "sit_down", "wave"]), "classes: 'wave' is listed twice"),
        (changed("classes", ["wave", "sit_down", "none"]), "classes: 'none' is no class"),
        (changed("videos", {}), "videos: empty"),
        (changed("videos", KeyError), "videos: "),
        (changed("vidoes", {}), "vidoes: "),
        (changed(*VIDEO, "width", 0), "videos, kitchen/0001, width: "),
        (changed(*VIDEO, "n_frames", "300"), "videos, kitchen/0001, n_frames: "),
        (changed(*VIDEO, "n_frames", True), "videos, kitchen/0001, n_frames: "),
        (changed(*VIDEO, "split", "val"), "videos, kitchen/0001, split: "),
        (changed(*VIDEO, "path", "videos/other.mp4"), r"kitchen/0001, path: .*other\.mp4 does not exist"),
        (
            changed(*WAVE, "label", "fly"),
            r"kitchen/0001, actions\[0\], label: 'fly' is not one of the classes wave, sit_down, nor 'none'",
        ),
        (changed(*WAVE, "frames", [41, 42]), r"actions\[0\]: give either first_frame .* or frames"),
        (changed(*SIT, "frames", KeyError), r"actions\[1\]: give either first_frame .* or frames"),
        (changed(*WAVE, "first_frame", -1), r"actions\[0\], first_frame: "),
        (changed(*WAVE, "first_frame", 299), r"actions\[0\]: frame 300, but the video has frames 0 to 299"),
        (changed(*WAVE, "boxes", []), r"actions\[0\], boxes: empty"),
        (changed(*SIT, "frames", [100, 110]), r"actions\[1\]: 2 frames, but 3 boxes"),
        (changed(*SIT, "frames", [100, 110, 110]), r"frames\[2\]: 110 does not come after 110"),
        (changed(*SIT, "frames", [100, 110, 10**30]), r"frame 10{30}, but the video has"),
        (changed(*WAVE, "boxes", 1, [1, 2, 3]), r"actions\[0\], boxes\[1\]: 3 numbers"),
        (changed(*WAVE, "boxes", 1, [1, 2, 3, "4"]), r"actions\[0\], boxes\[1\]\[3\]: "),
        (changed(*WAVE, "boxes", 1, [50, 2, 50, 4]), r"boxes\[1\]: .* x1 < x2"),
        (changed(*WAVE, "boxes", 0, [0, 0, 641, 4]), r"boxes\[0\]: .* within 640 x 480"),
        (changed(*WAVE, "boxes", 0, [-1, 0, 64, 4]), r"boxes\[0\]: .* within 640 x 480"),
        (changed(*NONE, "review", "done"), "none/0001, review: "),
        (changed(*NONE, "candidates", 1, "first_frame", 300), r"candidates\[1\]: frame 300, but the video has"),
        (changed(*NONE, "candidates", 1, "boxes", []), r"candidates\[1\], boxes: empty"),
        (changed(*NONE, "candidates", 0, "boxes", 1, [1, 2, 3]), r"candidates\[0\], boxes\[1\]: 3 numbers"),
        ('{"format": ', r"actions\.json: not JSON .* in line 1"),
        (LAYOUT[:-30], r"actions\.json: not JSON .* in line 2\d"),
        (LAYOUT.replace("41", "NaN"), "NaN is not a finite number"),
        (LAYOUT.replace('"height": 480', '"height": 480, "width": 1'), "'width' is twice"),
        ("[]", "expected a JSON object"),
    ],
)
def test_the_first_mistake_is_named_with_file_and_place(write, content, message):
    file = write(content)
    with pytest.raises(UserError, match=message) as raised:
        read_custom(file)
    assert str(raised.value).startswith(str(file))
    assert "\n" not in str(raised.value)


def test_text_that_is_not_utf_8_and_a_missing_file_are_named(tmp_path):
    (tmp_path / "latin.json").write_bytes('{"format": "é"}'.encode("latin-1"))
    with pytest.raises(UserError, match=r"latin\.json: not a text file in UTF-8"):
        read_custom(tmp_path / "latin.json")
    with pytest.raises(UserError, match=r"absent\.json: cannot be read"):
        read_custom(tmp_path / "absent.json")


def test_videos_are_compared_with_their_annotations(write):
    dataset = read_custom(write(LAYOUT))
    check_videos(dataset, lambda path: (640, 480, 300))
    with pytest.raises(UserError, match=r"kitchen_0001\.mp4: is 320x240, annotated as 640x480"):
        check_videos(dataset, lambda path: (320, 240, 300))
    with pytest.raises(UserError, match=r"kitchen_0001\.mp4: has 299 frames, annotated as 300"):
        check_videos(dataset, lambda path: (640, 480, 299))
