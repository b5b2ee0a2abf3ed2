"""The page docs/teach.md, followed by its own commands on short clips, and what goes wrong on the way."""

from __future__ import annotations

import json
import re
import shlex
import shutil
from pathlib import Path

import numpy as np
import pytest
from click.testing import CliRunner, Result

from amtnet_ros.actors.actors import Actors
from amtnet_ros.actors.crops import square_around, whole_view
from amtnet_ros.actors.fusion import Fusion, Rule
from amtnet_ros.cli.commands import amtnet
from amtnet_ros.contracts import Frame
from amtnet_ros.deploy.answer_layer import answer_weights, hidden_layer
from amtnet_ros.errors import UserError
from amtnet_ros.inference.card import ACTOR, ENCODE, read_card
from amtnet_ros.inference.factory import make_actor_engine
from amtnet_ros.media.video import open_source
from amtnet_ros.teaching.judging import joined
from amtnet_ros.teaching.layer import Layer
from amtnet_ros.teaching.views import Way
from amtnet_ros.teaching.watching import watch

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


def test_what_is_told_of_clips_is_what_the_robot_says(at_place: Path) -> None:
    """Of a person alone in view: by the features that a lesson is judged by, and by the node's part that looks."""
    folder, clip = at_place / "my_model", at_place / "clips" / "sit_down" / "anna_1.mp4"
    card = read_card(folder)
    assert card.actor is not None
    images = list(open_source(str(clip)))[::3]
    box = np.array([100, 20, 200, 220], np.float32)
    engine = make_actor_engine(folder, "cpu", precision="fp32", threads=1)
    actors = Actors(engine, nobody=card.actor.answers.index("nobody"))
    fusion = Fusion(card.named_actions, card.actor.answers, Rule(0, 1, 0, whole=0.5), seen_in_pairs=card.actions)
    for number, image in enumerate(images):
        answers = actors.look(Frame(number, number * 100_000_000, image), {1: box})
    assert actors.whole(1) is not None
    robot = fusion.join(np.full(len(card.actions), 0.1, np.float32), answers[1], actors.whole(1))

    frames, size = tuple(range(len(images))), (images[0].shape[1], images[0].shape[0])
    ways = [Way(frames, (view,) * len(frames)) for view in (square_around(box), whole_view(size))]
    base = ROOT / "models" / "light"
    seen = watch(make_actor_engine(base, "cpu", precision="fp32", threads=1), images, ways)
    layer, hidden = Layer(*answer_weights(folder / ACTOR)), hidden_layer(base / ACTOR)
    person, whole = (layer.logits(hidden(one.features[-1:])) for one in seen)
    np.testing.assert_allclose(joined(person, whole, 0.5)[0], [*robot.scores, robot.nobody], atol=2e-3)


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
        (("teach", "absent.json", "-o", "new"), "absent.json: cannot be read"),
        (("annotate", "absent", "-o", "new.json"), "absent: no such folder"),
    ],
)
def test_what_cannot_be_done_is_said_in_one_line(at_place: Path, words: tuple[str, ...], complaint: str) -> None:
    result = call(*words)
    assert isinstance(result.exception, UserError)
    assert complaint in str(result.exception)
    assert "\n" not in str(result.exception)
