"""Tube files: what is written is read again, and every mistake is named with file and line."""

import json

import numpy as np
import pytest
from scenes import make_dataset

from amtnet_ros.errors import UserError
from amtnet_ros.evaluation.tube_file import read_tubes, write_tubes
from amtnet_ros.evaluation.tubes import ScoredTube

BOX = [10, 20, 30, 40]
GOOD = {"video": "v", "label": "jump", "score": 0.5, "first_frame": 3, "boxes": [BOX, BOX]}
DATASET = make_dataset({"v": [(0, range(10), [BOX] * 10)], "w": []}, n_frames=20)


def file_of(tmp_path, *lines):
    file = tmp_path / "tubes.jsonl"
    file.write_text("".join(line if isinstance(line, str) else json.dumps(line) + "\n" for line in lines))
    return file


def test_written_tubes_are_read_again(tmp_path):
    boxes = np.array([[1.25, 2.5, 30.75, 40.0], [0.0, 0.0, 0.001, 1.0]])
    tubes = [ScoredTube("w", 2, 0.125, 4, boxes[:1]), ScoredTube("v", 1, -3.5, 0, boxes)]
    write_tubes(tmp_path / "tubes.jsonl", tubes, DATASET.classes)
    back = read_tubes(tmp_path / "tubes.jsonl", DATASET)
    assert [(t.video, t.label, t.score, t.first_frame) for t in back] == [("w", 2, 0.125, 4), ("v", 1, -3.5, 0)]
    assert all(np.array_equal(a.boxes, b.boxes) for a, b in zip(back, tubes, strict=True))
    assert [file.name for file in tmp_path.iterdir()] == ["tubes.jsonl"]


def test_nothing_is_written_when_a_tube_cannot_be(tmp_path):
    file = file_of(tmp_path, GOOD)
    with pytest.raises(IndexError):
        write_tubes(
            file, [ScoredTube("v", 0, 1.0, 0, np.array([BOX])), ScoredTube("v", 99, 1.0, 0, np.array([BOX]))], ("a",)
        )
    assert [f.name for f in tmp_path.iterdir()] == ["tubes.jsonl"]
    assert len(read_tubes(file, DATASET)) == 1


def test_labels_are_names_or_indices_and_further_keys_and_empty_lines_do_no_harm(tmp_path):
    file = file_of(tmp_path, GOOD, "\n", {**GOOD, "label": 2, "id": 17})
    assert [tube.label for tube in read_tubes(file, DATASET)] == [1, 2]


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"video": "x"}, "video 'x' is unknown"),
        ({"video": 7}, "video 7 is unknown"),
        ({"label": "fly"}, "label 'fly'"),
        ({"label": 3}, "label 3"),
        ({"label": True}, "label True"),
        ({"score": "high"}, "score 'high'"),
        ({"score": 10**400}, "score 1000"),
        ({"first_frame": -1}, "first_frame -1"),
        ({"first_frame": 1.5}, "first_frame 1.5"),
        ({"first_frame": 19}, "2 boxes from frame 19 on, but video 'v' has 20 frames"),
        ({"boxes": []}, "at least one box"),
        ({"boxes": [BOX, [1, 2, 3]]}, r"box 1 is \[1, 2, 3\], expected four numbers"),
        ({"boxes": [BOX, [1, 2, 3, "4"]]}, "box 1"),
        ({"boxes": [[30, 20, 10, 40]]}, "box 0 is .*x1 < x2"),
        ({"boxes": [BOX, [10, 20, 30, 20]]}, "box 1 is .*x1 < x2"),
        ({"boxes": [[10, 20, 10**400, 20]]}, "too large"),
    ],
)
def test_a_mistake_is_named_with_file_and_line(tmp_path, change, message):
    file = file_of(tmp_path, {**GOOD, "video": "w"}, {**GOOD, **change})
    with pytest.raises(UserError, match=rf"tubes\.jsonl, line 2: .*{message}"):
        read_tubes(file, DATASET)


@pytest.mark.parametrize("value", ["NaN", "Infinity", "-Infinity", "1e999"])
@pytest.mark.parametrize("key", ["score", "boxes"])
def test_values_that_are_not_finite_are_named(tmp_path, key, value):
    text = json.dumps({**GOOD, key: "@" if key == "score" else [[1, 2, 3, "@"]]}).replace('"@"', value)
    with pytest.raises(UserError, match=r"line 2: .*finite"):
        read_tubes(file_of(tmp_path, GOOD, text + "\n"), DATASET)


@pytest.mark.parametrize("key", GOOD)
def test_a_missing_key_is_named(tmp_path, key):
    entry = {k: v for k, v in GOOD.items() if k != key}
    with pytest.raises(UserError, match=f"line 1: no '{key}'"):
        read_tubes(file_of(tmp_path, entry), DATASET)


def test_a_file_cut_short_is_refused_at_its_last_line(tmp_path):
    file = file_of(tmp_path, GOOD, {**GOOD, "video": "w"})
    for length in (1, 10, 40):
        cut = tmp_path / "cut.jsonl"
        cut.write_bytes(file.read_bytes()[:-length])
        if length == 1:  # only the last line's end is lost, no content
            assert len(read_tubes(cut, DATASET)) == 2
        else:
            with pytest.raises(UserError, match=r"cut\.jsonl, line 2: not JSON"):
                read_tubes(cut, DATASET)


def test_garbage_and_missing_files_are_named(tmp_path):
    (tmp_path / "noise").write_bytes(bytes(range(256)))
    for name, message in (("noise", "noise, line 1"), ("absent", "absent: cannot read"), (".", "cannot read")):
        with pytest.raises(UserError, match=message):
            read_tubes(tmp_path / name, DATASET)


def test_the_same_tube_twice_is_refused_unless_it_is_annotated_twice(tmp_path):
    with pytest.raises(UserError, match="line 3: this tube of video 'v' is there already"):
        read_tubes(file_of(tmp_path, GOOD, {**GOOD, "first_frame": 4}, {**GOOD, "score": 0.9}), DATASET)
    doubled = make_dataset({"v": [(1, [3, 4], [BOX] * 2)] * 2})
    assert len(read_tubes(file_of(tmp_path, GOOD, GOOD), doubled)) == 2
    with pytest.raises(UserError, match="line 3: this tube"):
        read_tubes(file_of(tmp_path, GOOD, GOOD, GOOD), doubled)
