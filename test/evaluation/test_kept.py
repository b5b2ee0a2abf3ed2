"""Detections on disk: read as written, whole or not at all, never mixed."""

import numpy as np
import pytest
from scenes import BOX, FAR, make_dataset, pair

from amtnet_ros.errors import UserError
from amtnet_ros.evaluation.detections import (
    VideoDetections,
    detections_file,
    make_kept,
    open_kept,
    read_detections,
    write_detections,
)
from amtnet_ros.evaluation.frame_map import frame_map
from amtnet_ros.evaluation.results import evaluate_kept
from amtnet_ros.evaluation.video_map import ACT, ROAD
from amtnet_ros.tubes import PER_CLASS

PAIRS = (pair(0, 4, (BOX, FAR, 1, 0.75), (FAR, FAR, 2, 0.5)), pair(4, 8), pair(8, 12, (FAR, BOX, 0, 0.25)))
DETECTIONS = VideoDetections(delta=4, n_classes=3, pairs=PAIRS)


def test_detections_are_read_as_written(tmp_path):
    write_detections(tmp_path / "v.npz", DETECTIONS)
    back = read_detections(tmp_path / "v.npz")
    assert (back.delta, back.n_classes, len(back.pairs)) == (4, 3, 3)
    for written, read in zip(PAIRS, back.pairs, strict=True):
        assert (read.frames, read.stamps, read.image_size) == (written.frames, written.stamps, written.image_size)
        for name in ("boxes", "labels", "scores", "class_scores"):
            assert np.array_equal(getattr(read, name), getattr(written, name))
            assert getattr(read, name).dtype == getattr(written, name).dtype
    write_detections(tmp_path / "empty.npz", VideoDetections(1, 3, ()))
    assert read_detections(tmp_path / "empty.npz") == VideoDetections(1, 3, ())
    assert sorted(file.name for file in tmp_path.iterdir()) == ["empty.npz", "v.npz"]


def test_a_damaged_file_is_named(tmp_path):
    file = tmp_path / "v.npz"
    write_detections(file, DETECTIONS)
    whole = file.read_bytes()
    for content in (whole[: len(whole) // 2], b"", b"PK\3\4 no archive"):
        file.write_bytes(content)
        with pytest.raises(UserError, match=r"v\.npz: not readable as detections"):
            read_detections(file)


def test_any_video_name_is_one_file_inside_the_folder(tmp_path):
    names = ["a/b", "../../up", "..", "a b", "a%2Fb", "ünï"]
    files = [detections_file(tmp_path, name) for name in names]
    assert len(set(files)) == len(names)
    for file in files:
        file.touch()
        assert file.resolve().parent == tmp_path.resolve()


def test_frames_between_the_two_of_a_pair_have_boxes_in_between():
    found = DETECTIONS.in_frames()
    assert found.frames.tolist() == [0, 0, 1, 1, 2, 2, 3, 3, 8, 9, 10, 11, 12]
    assert found.boxes[found.frames == 2].tolist() == [[105, 10, 205, 110], FAR]
    assert found.boxes[found.frames == 12].tolist() == [BOX]
    dataset = make_dataset({"v": [(1, range(5), [[10 + 47.5 * t, 10, 110 + 47.5 * t, 110] for t in range(5)])]})
    assert frame_map(dataset, {"v": found}).average_precision[1] == pytest.approx(0.8)  # frame 4 is missing


def test_a_folder_takes_detections_of_one_setting_only(tmp_path):
    kept = make_kept(tmp_path / "a" / "b", {"model": "m", "delta": "1"})
    assert make_kept(tmp_path / "a" / "b", {"delta": "1", "model": "m"}) == kept == open_kept(tmp_path / "a" / "b")
    with pytest.raises(UserError, match="holds detections with delta 1, now it is 2"):
        make_kept(tmp_path / "a" / "b", {"model": "m", "delta": "2"})
    with pytest.raises(UserError, match="no kept detections here"):
        open_kept(tmp_path)


def test_scores_come_from_kept_detections_alone(tmp_path):
    dataset = make_dataset({"a/1": [(1, range(12), [BOX] * 12)], "b": [(2, range(12), [FAR] * 12)]}, n_frames=12)
    kept = make_kept(tmp_path, {"model": "m"})
    pairs = tuple(pair(t, t + 1, (BOX, BOX, 1, 0.9)) for t in range(11))
    kept.write("a/1", VideoDetections(1, 3, pairs))
    assert kept.missing(dataset) == ["b"]
    with pytest.raises(UserError, match="detections of 1 of 2 videos are missing, the first 'b'"):
        evaluate_kept(dataset, kept, PER_CLASS, [ACT])
    kept.write("b", VideoDetections(1, 3, ()))
    result, tubes = evaluate_kept(dataset, kept, PER_CLASS, [ACT, ROAD])
    assert len(tubes) == 1
    assert result.accuracy == 0.5
    assert result.video_maps[0].average_precision[:, 1].tolist() == [1.0] * 11
    assert result.video_maps[0].at(0.5) == 0.5
    assert result.frame_map.average_precision[1:].tolist() == [1.0, 0.0]
    assert (result.online.found, result.online.identity.followed, result.online.identity.boxes) == (0.5, 12, 24)
    # Confirmed by the second pair (1, 2): the first active box is that of frame 2.
    assert result.online.delays == (PER_CLASS.confirm_after, None)
    assert [scores.accuracy for scores in result.online.observed] == [0.5] * 10


def test_detections_of_another_number_of_classes_are_refused(tmp_path):
    kept = make_kept(tmp_path, {})
    kept.write("v", VideoDetections(1, 5, ()))
    with pytest.raises(UserError, match="detections of 5 classes, but hand-made has 3"):
        evaluate_kept(make_dataset({"v": []}), kept, PER_CLASS, [ACT])
