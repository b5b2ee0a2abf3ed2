"""Files and folders that appear whole or not at all."""

import os

import pytest

from amtnet_ros.errors import UserError
from amtnet_ros.files import WholeFile, cache_folder, read_json, whole_folder, write_whole


def names(folder):
    return sorted(path.name for path in folder.rglob("*"))


def test_a_file_appears_when_it_is_complete_and_not_before(tmp_path):
    path = tmp_path / "a.txt"
    path.write_text("old")
    with WholeFile(path, durable=True) as temporary:
        temporary.write_text("new")
        assert path.read_text() == "old"
        assert temporary.parent == tmp_path, "so that it can be renamed"
    assert path.read_text() == "new"
    assert names(tmp_path) == ["a.txt"]


@pytest.mark.parametrize("error", [RuntimeError, KeyboardInterrupt])
def test_a_file_that_was_interrupted_leaves_the_older_one(tmp_path, error):
    path = tmp_path / "a.txt"
    path.write_text("old")

    def write():
        with WholeFile(path) as temporary:
            temporary.write_text("half")
            raise error

    with pytest.raises(error):
        write()
    assert path.read_text() == "old"
    assert names(tmp_path) == ["a.txt"]


def test_a_full_disk_is_one_line_that_names_the_file(tmp_path):
    def write():
        with WholeFile(tmp_path / "a.txt") as temporary:
            temporary.write_text("half")
            raise OSError(28, "No space left on device")

    with pytest.raises(UserError, match=r"a\.txt: cannot be written \(no space left on device\)$"):
        write()
    assert names(tmp_path) == []


def test_content_is_written_as_it_is(tmp_path):
    write_whole(tmp_path / "text", "Größe\n")
    write_whole(tmp_path / "bytes", b"\x00\r\n")
    assert (tmp_path / "text").read_bytes() == b"Gr\xc3\xb6\xc3\x9fe\n"
    assert (tmp_path / "bytes").read_bytes() == b"\x00\r\n"


def test_missing_folders_are_made_only_where_asked(tmp_path):
    with pytest.raises(UserError, match="no such file or directory"):
        write_whole(tmp_path / "a" / "b.txt", "x")
    assert names(tmp_path) == []
    write_whole(tmp_path / "a" / "b.txt", "x", parents=True)
    assert names(tmp_path) == ["a", "b.txt"]
    with pytest.raises(UserError, match=r"c\.txt: cannot be written"):
        write_whole(tmp_path / "a" / "b.txt" / "c.txt", "x", parents=True)


def test_a_folder_takes_the_place_of_an_older_one_when_it_is_full(tmp_path):
    folder = tmp_path / "deep" / "model"
    for name in ("first", "second"):
        with whole_folder(folder) as partial:
            assert partial.name == "model"
            (partial / name).touch()
            assert not (folder / name).exists()
        assert names(folder) == [name]
    assert names(tmp_path) == ["deep", "model", "second"]


@pytest.mark.parametrize(("error", "raised"), [(ValueError, ValueError), (OSError, UserError)])
def test_a_folder_that_was_interrupted_leaves_the_older_one(tmp_path, error, raised):
    folder = tmp_path / "model"
    with whole_folder(folder) as partial:
        (partial / "old").touch()

    def write():
        with whole_folder(folder) as partial:
            (partial / "half").touch()
            raise error("broken")

    with pytest.raises(raised, match="broken"):
        write()
    assert names(tmp_path) == ["model", "old"]


def test_what_a_killed_process_of_the_same_number_left_is_no_obstacle(tmp_path):
    left = tmp_path / f".model.{os.getpid()}.part" / "new" / "model"
    left.mkdir(parents=True)
    (left / "half").touch()
    with whole_folder(tmp_path / "model") as partial:
        (partial / "whole").touch()
    assert names(tmp_path) == ["model", "whole"]


def test_the_cache_is_where_the_user_says(tmp_path, monkeypatch):
    monkeypatch.setenv("HOME", "/home/ann")
    monkeypatch.delenv("AMTNET_CACHE", raising=False)
    monkeypatch.setenv("XDG_CACHE_HOME", "")
    assert str(cache_folder()) == "/home/ann/.cache/amtnet_ros"
    monkeypatch.setenv("XDG_CACHE_HOME", "/scratch")
    assert str(cache_folder()) == "/scratch/amtnet_ros"
    monkeypatch.setenv("AMTNET_CACHE", str(tmp_path))
    assert cache_folder() == tmp_path


@pytest.mark.parametrize(
    ("content", "complaint"),
    [
        (None, "cannot be read (No such file or directory)"),
        (b"\xff\xfe", "not a text file in UTF-8"),
        (b'{\n"a": }', "not JSON (Expecting value in line 2)"),
    ],
)
def test_what_is_no_json_is_told_with_its_file(tmp_path, content, complaint):
    path = tmp_path / "rule.json"
    if content is not None:
        path.write_bytes(content)
    with pytest.raises(UserError) as caught:
        read_json(path)
    assert str(caught.value) == f"{path}: {complaint}"


def test_json_is_read_as_utf_8(tmp_path):
    path = tmp_path / "names.json"
    path.write_bytes('{"è": [1, 2.5, null]}'.encode())
    assert read_json(path) == {"è": [1, 2.5, None]}
