"""People whom a detector finds: linked from look to look, named where they are the annotated actor, kept in a file."""

from dataclasses import replace

import numpy as np
import pytest

from amtnet_ros.boxes import iou
from amtnet_ros.data.annotations import UNKNOWN
from amtnet_ros.data.people import find_people, link_boxes
from amtnet_ros.data.ucf101_24 import read_ucf101_24
from amtnet_ros.errors import UserError

CLIPS = ("WalkingWithDog/v_WalkingWithDog_g08_c01",)


def boxes(*rows):
    return np.array(rows, np.float32).reshape(-1, 4)


def test_boxes_are_linked_by_their_overlap_and_interpolated_between_looks():
    walker, stander = (10, 10, 30, 50), (100, 20, 120, 80)
    looks = [boxes(walker, stander), boxes(stander, (14, 10, 34, 50)), boxes((18, 12, 38, 52)), boxes(stander)]
    first, second = link_boxes(looks, every=4)
    assert (first.label, second.label) == (UNKNOWN, UNKNOWN)
    assert first.frames.tolist() == list(range(9))
    assert first.boxes[[0, 1, 4, 8]].tolist() == [
        [10, 10, 30, 50],
        [11, 10, 31, 50],
        [14, 10, 34, 50],
        [18, 12, 38, 52],
    ]
    assert second.frames.tolist() == list(range(5))  # gone in the third look, and seen once in the fourth
    assert np.array_equal(second.boxes, np.tile(boxes(stander), (5, 1)))


def test_who_overlaps_most_goes_on_and_nobody_twice():
    """The second look's boxes both overlap the first person enough; the nearer one is theirs."""
    looks = [boxes((0, 0, 40, 40)), boxes((8, 0, 48, 40), (2, 0, 42, 40)), boxes((8, 0, 48, 40), (4, 0, 44, 40))]
    people = link_boxes(looks, every=2)
    assert [person.boxes[-1, 0] for person in people] == [4, 8]
    assert [person.frames[0] for person in people] == [0, 2]
    assert link_boxes([boxes(), boxes((0, 0, 9, 9)), boxes()], every=2) == []


@pytest.fixture(scope="module")
def annotated(data_root):
    detector = data_root.parent / "teachers" / "picodet_s_320_coco.onnx"
    if not detector.is_file():
        pytest.skip(f"no people detector in {detector.parent}")
    dataset = read_ucf101_24(data_root / "ucf101_24")
    return replace(dataset, train=CLIPS), detector


def test_people_are_found_around_the_action_and_kept(annotated, tmp_path):
    dataset, detector = annotated
    found = find_people(dataset, tmp_path, detector)
    walking = next(video for video in found.videos.values() if "WalkingWithDog" in video.name)
    action = dataset.videos[CLIPS[0]].instances[0]
    assert walking.first in action.frames
    assert found.groups[walking.name] == "ucf101/WalkingWithDog/8"
    actors = [person for person in walking.instances if person.label == dataset.classes.index("WalkingWithDog")]
    assert actors
    for actor in actors:
        _, here, there = np.intersect1d(walking.first + actor.frames, action.frames, return_indices=True)
        assert iou(actor.boxes[here].T, action.boxes[there].T).mean() > 0.3
    (file,) = tmp_path.glob("found-*.npz")
    again = find_people(dataset, tmp_path, detector.with_name("gone.onnx"))  # read, not looked for
    for name, video in found.videos.items():
        for before, after in zip(video.instances, again.videos[name].instances, strict=True):
            assert np.array_equal(before.boxes, after.boxes)
    file.write_bytes(b"half")
    with pytest.raises(UserError, match=r"found-\w+\.npz: damaged .*; delete it"):
        find_people(dataset, tmp_path, detector)
