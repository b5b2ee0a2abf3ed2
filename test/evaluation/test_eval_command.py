"""`amtnet eval tubes` and `amtnet eval check`, as a user runs them."""

import json
import subprocess
import sys

import numpy as np
import pytest
from naive_metrics import naive_video_map
from scenes import make_dataset

from amtnet_ros.data.ucf101_24 import read_ucf101_24
from amtnet_ros.evaluation.tubes import ScoredTube

BOX = [10, 10, 110, 110]


def amtnet(*arguments, check=True):
    done = subprocess.run(
        [sys.executable, "-m", "amtnet_ros.cli.main", *map(str, arguments)], capture_output=True, text=True, check=False
    )
    assert not check or done.returncode == 0, done.stderr
    return done


@pytest.fixture(scope="module")
def perfect(data_root, tmp_path_factory):
    """perfect.jsonl, made from the annotations alone."""
    file = tmp_path_factory.mktemp("perfect") / "perfect.jsonl"
    dataset = read_ucf101_24(data_root / "ucf101_24")
    with file.open("w") as out:
        for name in dataset.test:
            for instance in dataset.videos[name].instances:
                tube = {
                    "video": name,
                    "label": dataset.classes[instance.label],
                    "score": 1.0,
                    "first_frame": int(instance.frames[0]),
                    "boxes": instance.boxes.tolist(),
                }
                out.write(json.dumps(tube) + "\n")
    return file


def test_perfect_tubes_give_the_published_numbers(perfect, data_root):
    arguments = ["eval", "tubes", "--gt", "ucf101_24", "--tubes", perfect, "--data-root", data_root, "--json"]
    act = json.loads(amtnet(*arguments, "--definition", "act").stdout)
    assert set(act["video_map"]) == {"act"}
    assert set(act["video_map"]["act"].values()) == {100.0}
    assert len(act["video_map"]["act"]) == 12
    assert act["accuracy"] == 100.0
    assert (act["videos"], act["actions"], act["tubes"]) == (910, 1315, 1315)
    road = json.loads(amtnet(*arguments, "--definition", "road").stdout)["video_map"]["road"]
    assert (round(road["0.9"], 1), round(road["0.95"], 1)) == (87.9, 44.5)
    ten = [road[f"{0.5 + 0.05 * k:.3g}"] for k in range(10)]
    assert road["0.5:0.95"] == pytest.approx(sum(ten) / 10, abs=1e-3)


@pytest.fixture
def small(tmp_path):
    """A custom data set of two test videos with one tube right and one wrong, as files."""
    action = {"label": "wave", "first_frame": 0, "boxes": [BOX] * 10}
    video = {"width": 320, "height": 240, "n_frames": 20, "split": "test", "actions": [action]}
    content = {"format": "amtnet-actions", "version": 1, "classes": ["wave", "sit"], "videos": {"a": video, "b": video}}
    (tmp_path / "gt.json").write_text(json.dumps(content))
    tubes = [
        {"video": "a", "label": "wave", "score": 0.9, "first_frame": 0, "boxes": [BOX] * 10},
        {"video": "b", "label": 1, "score": 0.8, "first_frame": 0, "boxes": [BOX] * 10},
        {"video": "b", "label": 0, "score": 0.7, "first_frame": 5, "boxes": [BOX] * 10},
    ]
    (tmp_path / "tubes.jsonl").write_text("".join(json.dumps(tube) + "\n" for tube in tubes))
    return ["eval", "tubes", "--gt", tmp_path / "gt.json", "--tubes", tmp_path / "tubes.jsonl"]


def expected(definition, threshold):
    dataset = make_dataset({name: [(0, range(10), [BOX] * 10)] for name in "ab"}, classes=("wave", "sit"), n_frames=20)
    tubes = [ScoredTube("a", 0, 0.9, 0, np.array([BOX] * 10)), ScoredTube("b", 0, 0.7, 5, np.array([BOX] * 10))]
    return naive_video_map(dataset, tubes, definition, threshold)[0]


def test_a_file_in_the_custom_layout_is_ground_truth_too(small):
    result = json.loads(amtnet(*small, "--json").stdout)
    assert result["accuracy"] == 50.0
    for definition in ("road", "act"):
        for threshold in (0.2, 0.5):
            figure = result["video_map"][definition][f"{threshold:g}"]
            assert figure == pytest.approx(100 * expected(definition, threshold))
            assert result["per_class"]["wave"][definition][f"{threshold:g}"] == figure
        assert result["per_class"]["sit"][definition]["0.5"] is None


def test_tables_rows_and_curves(small, tmp_path):
    table = amtnet(*small).stdout
    assert "3 tubes against 2 actions in 2 videos" in table
    assert "wave" in table
    markdown = amtnet(*small, "--markdown", "--name", "mine").stdout.splitlines()
    assert [line.split("|")[1:3] for line in markdown[2:]] == [[" mine ", " road "], [" mine ", " act "]]
    assert f"{100 * expected('act', 0.2):.1f}" in markdown[3]
    latex = amtnet(*small, "--latex", "--definition", "act", "--name", "a_b").stdout.splitlines()
    assert latex[1].startswith(r"a\_b & act & – & ")
    assert latex[1].endswith(r"50.0 \\")
    amtnet(*small, "--curves", tmp_path / "curves.png")
    assert (tmp_path / "curves.png").read_bytes().startswith(b"\x89PNG")
    assert "--curves-at 0.3" in amtnet(*small, "--curves", tmp_path / "no.png", "--curves-at", 0.3, check=False).stderr
    assert not (tmp_path / "no.png").exists()


def test_a_mistake_is_one_line_and_nothing_is_scored(small, tmp_path):
    with (tmp_path / "tubes.jsonl").open("a") as file:
        file.write('{"video": "a", "label": "wave", "score": 0.5, "first_frame": 0, "boxes": [[5, 5, 4, 9]]}\n')
    done = amtnet(*small, "--json", check=False)
    assert done.returncode == 2
    assert done.stdout == ""
    assert done.stderr.startswith("amtnet: ")
    assert "tubes.jsonl, line 4: box 0 is [5, 5, 4, 9]" in done.stderr
    assert done.stderr.count("\n") == 1


@pytest.mark.parametrize(
    ("source", "message"),
    [
        ("kinetics", "kinetics: unknown ground truth; expected jhmdb21:SPLIT"),
        ("jhmdb21", "name the split"),
        ("ucf101_24:2", "split 1 only"),
        ("absent.json", "absent.json: cannot be read"),
        ("ucf101_24", "ucf101_24: no such folder"),
    ],
)
def test_ground_truth_that_cannot_be_had_is_named(small, tmp_path, source, message):
    small[3] = source
    done = amtnet(*small, "--data-root", tmp_path, check=False)
    assert done.returncode == 2
    assert message in done.stderr


def test_check_counts_what_it_read_or_names_the_mistake(small, tmp_path):
    assert "2 classes, 0 training and 2 test videos, 2 actions, 20 boxes" in amtnet("eval", "check", small[3]).stdout
    done = amtnet("eval", "check", small[3], "--videos", check=False)
    assert "video 'a': its path is not given" in done.stderr
