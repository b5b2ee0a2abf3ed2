"""`amtnet annotate import`: one file of all, that the readers of data sets take."""

from __future__ import annotations

from pathlib import Path

import pytest
from click.testing import CliRunner

from amtnet_ros.cli.commands import amtnet
from amtnet_ros.data.custom import check_videos, read_custom
from amtnet_ros.errors import UserError

FILES = Path(__file__).with_name("files")


def run(*arguments: object) -> str:
    done = CliRunner().invoke(amtnet, ["annotate", "import", *map(str, arguments)], catch_exceptions=False)
    assert done.exit_code == 0, done.output
    return done.output


def test_the_file_is_a_data_set_wherever_it_lies(folder: Path, tmp_path: Path) -> None:
    out = tmp_path / "sets" / "actions.json"
    out.parent.mkdir()
    said = run("cvat", FILES / "cvat_task.xml", "--videos", folder, "-o", out)
    assert said == f"{out}: 1 videos, 12 boxes; actions: none 1, wave 2\n"
    dataset = read_custom(out)
    check_videos(dataset, lambda path: (160, 120, 24))
    assert (dataset.classes, dataset.train, dataset.test) == (("wave",), ("clips/hall",), ())
    video = dataset.videos["clips/hall"]
    assert video.path is not None
    assert video.path.resolve() == folder / "clips" / "hall.mp4"
    assert [instance.frames.tolist() for instance in video.instances] == [[2, 3, 4, 5, 6, 7], [14, 15]]
    assert [person.frames.tolist() for person in video.others] == [[18, 19, 20, 21]]


def test_several_files_of_one_video_are_put_together_and_labels_renamed(folder: Path, tmp_path: Path) -> None:
    files = [FILES / "cocovid.json", tmp_path / "second.json"]
    files[1].write_text(files[0].read_text().replace('"wave"', '"idle"'))
    out = tmp_path / "actions.json"
    run("coco", *files, "--videos", folder, "-o", out, "--rename", "idle=none", "--split", "test")
    dataset = read_custom(out)
    assert (dataset.classes, dataset.test) == (("clap", "wave"), ("clips/hall",))
    assert [len(dataset.videos["clips/hall"].instances), len(dataset.videos["clips/hall"].others)] == [4, 2]


def test_two_videos_of_one_name_are_not_taken_for_one(folder: Path, tmp_path: Path) -> None:
    for suffix in ("mp4", "mkv"):
        (tmp_path / f"hall.{suffix}").write_bytes((folder / "clips" / "hall.mp4").read_bytes())
        text = (FILES / "cocovid.json").read_text().replace('"name": "hall"', f'"file_name": "hall.{suffix}"')
        (tmp_path / f"{suffix}.json").write_text(text)
    with pytest.raises(UserError, match=r"hall\.mkv and hall\.mp4 are two videos of one name"):
        run("coco", tmp_path / "mp4.json", tmp_path / "mkv.json", "-o", tmp_path / "actions.json")


@pytest.mark.parametrize(
    "arguments",
    [
        ("ava", FILES / "ava.csv", "--actions", FILES / "ava_action_list.pbtxt", "--start", "900"),
        ("label-studio", FILES / "label_studio.json"),
        ("cvat", FILES / "cvat_task.xml", "--attribute", "doing"),
    ],
    ids=lambda arguments: str(arguments[0]),
)
def test_each_format_becomes_a_data_set(folder: Path, tmp_path: Path, arguments: tuple[object, ...]) -> None:
    run(*arguments, "--videos", folder, "-o", tmp_path / "actions.json")
    assert read_custom(tmp_path / "actions.json").videos["clips/hall"].instances


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (("coco", FILES / "absent.json"), "absent.json: no such file"),
        (("coco", FILES / "cocovid.json"), "the video 'hall' is not in"),
        (("coco", FILES / "cocovid.json", "--videos", "/nowhere"), "/nowhere: no such folder"),
        (("coco", FILES / "cocovid.json", "--rename", "wave"), "expected LABEL=NEW"),
    ],
)
def test_what_is_wrong_with_the_command_is_said_and_nothing_written(
    tmp_path: Path, arguments: tuple[object, ...], words: str
) -> None:
    with pytest.raises(UserError, match=words):
        run(*arguments, "-o", tmp_path / "actions.json")
    assert not (tmp_path / "actions.json").exists()


def test_a_file_that_is_there_is_replaced_only_when_told(folder: Path, tmp_path: Path) -> None:
    out = tmp_path / "actions.json"
    out.write_text("reviewed")
    arguments = ("coco", FILES / "cocovid.json", "--videos", folder, "-o", out)
    with pytest.raises(UserError, match="exists already"):
        run(*arguments)
    with pytest.raises(UserError, match="no such label; there are: clap, wave"):
        run(*arguments, "--overwrite", "--rename", "wav=none")
    with pytest.raises(UserError, match="no action was found"):
        run(*arguments, "--overwrite", "--rename", "wave=none", "--rename", "clap=none")
    assert out.read_text() == "reviewed"
    run(*arguments, "--overwrite")
    assert read_custom(out).classes == ("clap", "wave")
