"""The page docs/teach.md, followed by its own commands on short clips, and what goes wrong on the way."""

from __future__ import annotations

import json
import re
import shlex
import shutil
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from amtnet_ros.cli.commands import amtnet
from amtnet_ros.errors import UserError
from amtnet_ros.inference.card import ACTOR, ENCODE, read_card

ROOT = Path(__file__).parents[2]
PAGE = ROOT / "docs" / "teach.md"
CLIPS = {"wave_to_stop": "wave", "sit_down": "sit", "none": "walk"}
OF_EACH = 2


def commands() -> list[list[str]]:
    """Those of the page, in order, without the program's name."""
    blocks = re.findall(r"```sh\n(.*?)```", PAGE.read_text(), flags=re.DOTALL)
    return [shlex.split(line)[1:] for block in blocks for line in block.splitlines() if line.startswith("amtnet ")]


def call(*words: str) -> Result:
    return CliRunner().invoke(amtnet, list(words), catch_exceptions=True)


@pytest.fixture(scope="module")
def place(data_root: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with clips/, of different sources, two of each action."""
    folder = tmp_path_factory.mktemp("afternoon")
    for label, source in CLIPS.items():
        (folder / "clips" / label).mkdir(parents=True)
        files = sorted((data_root / "jhmdb21" / "videos" / source).glob("*.mp4"))[::12][:OF_EACH]
        for file, name in zip(files, ("anna_1", "ben_1"), strict=True):
            shutil.copyfile(file, folder / "clips" / label / f"{name}.mp4")
    (folder / "clips" / "sit_down" / "broken.mp4").write_text("no video")
    return folder


@pytest.fixture
def at_place(place: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(place)
    monkeypatch.setenv("AMTNET_CACHE", str(place / "cache"))
    monkeypatch.setenv("AMENT_PREFIX_PATH", "")  # the models of this tree, not of an installed one
    return place


def test_the_page_is_true_when_it_is_followed_word_by_word(at_place: Path) -> None:
    said = {}
    for words in commands():
        result = call(*words)
        assert result.exit_code == 0, (words, result.output, result.exception)
        said[words[0]] = result.output
    assert "broken.mp4: left out: cannot be read as a video" in said["annotate"]
    content = json.loads((at_place / "actions.json").read_text())
    assert content["classes"] == ["sit_down", "wave_to_stop"]
    assert sorted(content["videos"]) == sorted(f"{label}/{name}" for label in CLIPS for name in ("anna_1", "ben_1"))
    assert all(video["actions"][0]["label"] == name.split("/")[0] for name, video in content["videos"].items())
    card = read_card(at_place / "my_model")
    assert card.labels == ("sit_down", "wave_to_stop", "other")
    assert card.actor is not None
    assert card.actor.training["clips"] == {"sit_down": 2, "wave_to_stop": 2, "none": 2}
    base = read_card(ROOT / "models" / "light")
    assert card.files[ENCODE] == base.files[ENCODE]
    assert card.files[ACTOR] != base.files[ACTOR]
    assert (at_place / "my_model_confusion.png").stat().st_size > 1000
    assert (at_place / "tubes.jsonl").exists()


def test_what_was_reviewed_stays_and_new_clips_are_added(at_place: Path) -> None:
    file = at_place / "actions.json"
    if not file.exists():
        pytest.skip("the page's commands did not get so far")
    before = json.loads(file.read_text())
    before["videos"]["none/ben_1"]["review"] = "dropped"
    del before["videos"]["none/anna_1"]
    file.write_text(json.dumps(before))
    assert call("annotate", "clips", "-o", "actions.json").exit_code == 0
    after = json.loads(file.read_text())["videos"]
    assert after["none/ben_1"]["review"] == "dropped"
    assert after["none/anna_1"]["review"] == "open"
    assert {name: after[name] for name in before["videos"]} == before["videos"]


@pytest.mark.parametrize(
    ("words", "complaint"),
    [
        (("teach", "actions.json", "-o", "my_model"), "my_model: exists already; give another folder, or --overwrite"),
        (("teach", "actions.json", "-o", "new", "--model", "light_rgb"), "has no actor stream"),
        (("teach", "absent.json", "-o", "new"), "absent.json: cannot read"),
        (("annotate", "absent", "-o", "new.json"), "absent: no such folder"),
    ],
)
def test_what_cannot_be_done_is_said_in_one_line(at_place: Path, words: tuple[str, ...], complaint: str) -> None:
    result = call(*words)
    assert isinstance(result.exception, UserError)
    assert complaint in str(result.exception)
    assert "\n" not in str(result.exception)
