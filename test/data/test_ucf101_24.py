"""UCF-101-24: the JSON, the published pickles, and pickles that are not to be trusted."""

import gzip
import json
import os
import pickle
import shutil

import numpy as np
import pytest

from amtnet_ros.data.ucf101_24 import read_ucf101_24
from amtnet_ros.errors import UserError


def entry(boxes=((200, 100, 100, 50), (201, 100, 100, 50)), dtype=np.uint8, sf=3, ef=5, numf=9, label=0):
    """As the published pickle has it: boxes in uint8, where x + w overflows, and NumPy scalars."""
    tube = {"label": label, "sf": np.int64(sf), "ef": np.int64(ef), "boxes": np.array(boxes, dtype=dtype)}
    return {"label": label, "numf": np.uint8(numf), "annotations": [tube]}


def write_pickle(folder, content, name="pyannot_with_class_names.pkl", protocol=3):
    (folder / name).write_bytes(pickle.dumps(content, protocol=protocol))
    (folder / "testlist01.txt").write_text("Dive/v_b\n")


CONTENT = {
    "classes": ["Run", "Dive"],
    "trainvideos": [np.str_("Run/v_a"), "Run/v_withdrawn"],
    "db": {np.str_("Run/v_a"): entry(), "Dive/v_b": entry(label=1)},
}


def test_the_data_pack_is_read(data_root):
    dataset = read_ucf101_24(data_root / "ucf101_24")
    assert (len(dataset.classes), len(dataset.videos), len(dataset.train), len(dataset.test)) == (24, 3194, 2284, 910)
    instances = [i for video in dataset.videos.values() for i in video.instances]
    assert len(instances) == 4458
    assert sum(len(i.boxes) for i in instances) == 573862
    assert all(
        dataset.classes[i.label] == video.name.split("/")[0] and i.frames[-1] < video.n_frames
        for video in dataset.videos.values()
        for i in video.instances
    )
    boxes = np.concatenate([i.boxes for i in instances])
    assert (boxes[:, :2] >= 1).all()
    assert (boxes[:, 2:] > boxes[:, :2]).all()
    assert (boxes[:, 2:] <= [320, 240]).all()
    first = dataset.videos["Basketball/v_Basketball_g08_c01"].instances[0]
    assert (first.frames[0], len(first.frames)) == (69, 115 - 69)


def test_the_published_pickle_gives_the_same_as_the_json(data_root, tmp_path):
    source = data_root / "ucf101_24"
    content = json.loads(gzip.decompress((source / "annotations.json.gz").read_bytes()))
    for video in content["db"].values():
        for tube in video["annotations"]:
            tube["boxes"] = np.array(tube["boxes"], dtype=np.uint8 if np.max(tube["boxes"]) < 256 else np.uint16)
    write_pickle(tmp_path, content)
    write_pickle(tmp_path, CONTENT, "unused.pkl")
    shutil.copy(source / "testlist01.txt", tmp_path)
    expected, found = read_ucf101_24(source), read_ucf101_24(tmp_path)
    assert (found.classes, found.train, found.test) == (expected.classes, expected.train, expected.test)
    for name, video in expected.videos.items():
        assert found.videos[name].n_frames == video.n_frames
        for a, b in zip(found.videos[name].instances, video.instances, strict=True):
            assert a.label == b.label
            assert np.array_equal(a.frames, b.frames)
            assert np.array_equal(a.boxes, b.boxes)


@pytest.mark.parametrize("protocol", [2, 3, 4, 5])
def test_boxes_do_not_overflow_in_any_pickle_protocol(tmp_path, protocol):
    write_pickle(tmp_path, CONTENT, protocol=protocol)
    dataset = read_ucf101_24(tmp_path)
    assert dataset.train == ("Run/v_a",)
    assert dataset.videos["Dive/v_b"].instances[0].boxes.tolist() == [[200, 100, 300, 150], [201, 100, 301, 150]]


def test_names_of_old_and_new_numpy_are_both_known(tmp_path):
    plain = pickle.dumps(CONTENT, protocol=0)
    for old, new in ((b"numpy._core.", b"numpy.core."), (b"numpy.core.", b"numpy._core.")):
        write_pickle(tmp_path, CONTENT)
        (tmp_path / "pyannot_with_class_names.pkl").write_bytes(plain.replace(old, new))
        assert len(read_ucf101_24(tmp_path).videos) == 2


def test_pyannot_without_class_names_takes_them_from_the_videos(tmp_path):
    write_pickle(tmp_path, CONTENT["db"], "pyannot.pkl")
    dataset = read_ucf101_24(tmp_path)
    assert (dataset.classes, dataset.train, dataset.test) == (("Run", "Dive"), ("Run/v_a",), ("Dive/v_b",))


def test_the_authors_folders_are_read(tmp_path):
    (tmp_path / "splitfiles").mkdir()
    (tmp_path / "rgb-images" / "Dive" / "v_b").mkdir(parents=True)
    write_pickle(tmp_path / "splitfiles", CONTENT)
    assert read_ucf101_24(tmp_path).videos["Dive/v_b"].path == tmp_path / "rgb-images" / "Dive" / "v_b"


class Harmful:
    """Runs a command when it is unpickled."""

    def __init__(self, marker):
        self.marker = marker

    def __reduce__(self):
        return os.system, (f"touch {self.marker}",)


def test_a_pickle_that_would_run_code_is_refused_before_it_does(tmp_path):
    marker = tmp_path / "it_ran"
    write_pickle(tmp_path, {"db": {"Dive/v_b": Harmful(marker)}})
    with pytest.raises(UserError, match=r"pyannot_with_class_names\.pkl: refers to (posix|os)\.system"):
        read_ucf101_24(tmp_path)
    assert not marker.exists()


@pytest.mark.parametrize("name", ["numpy.core.multiarray\nfromfile", "numpy\nload", "builtins\neval"])
def test_other_names_are_refused_also_when_numpy_has_them(tmp_path, name):
    write_pickle(tmp_path, CONTENT)
    (tmp_path / "pyannot_with_class_names.pkl").write_bytes(f"c{name}\n.".encode())
    with pytest.raises(UserError, match="refers to"):
        read_ucf101_24(tmp_path)


def test_damaged_files_are_named(tmp_path, data_root):
    write_pickle(tmp_path, CONTENT)
    file = tmp_path / "pyannot_with_class_names.pkl"
    whole = file.read_bytes()
    for content, message in (
        (whole[:-50], "not a whole pickle"),
        (pickle.dumps([1]), "expected a dict"),
        (b"", "not a whole"),
    ):
        file.write_bytes(content)
        with pytest.raises(UserError, match=message):
            read_ucf101_24(tmp_path)
    packed = (data_root / "ucf101_24" / "annotations.json.gz").read_bytes()
    for content in (packed[: len(packed) // 2], b"\0" * 100, gzip.compress(b"[1, 2"), gzip.compress(b"[]")):
        (tmp_path / "annotations.json.gz").write_bytes(content)
        with pytest.raises(UserError, match=r"annotations\.json\.gz"):
            read_ucf101_24(tmp_path)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"ef": 6}, "2 boxes for 3 frames"),
        ({"numf": 4}, "frames 3 to 5"),
        ({"label": 2}, "label 2"),
        ({"boxes": ((1, 1, 5, 5), (1, 1, 0, 5))}, "box 1 has no area"),
    ],
)
def test_a_wrong_annotation_is_named_with_its_video(tmp_path, change, message):
    write_pickle(tmp_path, {**CONTENT, "db": {**CONTENT["db"], "Dive/v_b": entry(**change)}})
    with pytest.raises(UserError, match=f"video 'Dive/v_b', annotation 0: .*{message}"):
        read_ucf101_24(tmp_path)


def test_missing_parts_are_named(tmp_path):
    with pytest.raises(UserError, match="no UCF-101-24 annotations here"):
        read_ucf101_24(tmp_path)
    write_pickle(tmp_path, {**CONTENT, "db": {"Run/v_a": {"label": 0}}})
    with pytest.raises(UserError, match="video 'Run/v_a': not a UCF-101-24 entry"):
        read_ucf101_24(tmp_path)
    write_pickle(tmp_path, {**CONTENT, "db": {"Run/v_a": entry()}})
    with pytest.raises(UserError, match=r"testlist01\.txt: video 'Dive/v_b' is not in"):
        read_ucf101_24(tmp_path)
    (tmp_path / "testlist01.txt").unlink()
    with pytest.raises(UserError, match="cannot read the list of test videos"):
        read_ucf101_24(tmp_path)
