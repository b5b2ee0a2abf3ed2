"""Searches, against a plain walk over everything that was said."""

from __future__ import annotations

import json
from collections import defaultdict
from datetime import datetime, time, timedelta, timezone
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
from click.testing import CliRunner
from recordings import SECOND, run, setup_of, write_video

from amtnet_ros.archive.index import indexed, write_index
from amtnet_ros.archive.query import Wanted, labels_meant, parse_between, parse_people
from amtnet_ros.archive.recording import Recording
from amtnet_ros.archive.search import Archive
from amtnet_ros.archive.store import TUBES, Store, connect
from amtnet_ros.archive.tables import recording_table
from amtnet_ros.archive.tube import ArchivedTube, Said
from amtnet_ros.cli.find import find
from amtnet_ros.errors import UserError

NOON = round(datetime(2026, 3, 1, 12, tzinfo=timezone.utc).timestamp()) * SECOND
NAMES = ("waving hand", "clapping", "shaking hands")


def random_tube(rng: np.random.Generator) -> ArchivedTube:
    first, length = int(rng.integers(0, 20)), int(rng.integers(1, 12))
    stamps = first * SECOND + np.arange(length * 5) * (SECOND // 5)
    height = float(rng.uniform(10, 100))
    boxes = np.tile(np.array([0, 0, 30, height], np.float32), (len(stamps), 1))
    said = [Said(s, name, round(float(rng.uniform()), 4)) for s in range(first, first + length) for name in NAMES]
    kept = tuple(each for each in said if rng.uniform() < 0.8)
    actions = tuple(Said(s, "wave", round(float(rng.uniform()), 4)) for s in range(first, first + length))
    none = np.zeros(len(stamps), np.bool_)
    return ArchivedTube(0, 0, (100, 100), True, stamps, boxes, np.ones(len(stamps), np.float32), none, actions, kept)


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An archive of 20 recordings, half of which know their time; the last 5 are not in the index yet."""
    folder, rng = tmp_path_factory.mktemp("archive"), np.random.default_rng(0)
    store = Store(str(folder))
    store.write_about({"actions": ["wave"]})
    for number in range(20):
        clock = NOON + number * 3600 * SECOND if number % 2 else None
        recording = Recording(f"{number:032}", "video", f"/videos/{number}.mp4", clock=clock)
        tubes = [random_tube(rng) for _ in range(int(rng.integers(0, 4)))]
        store.write_table(recording_table(tubes, recording, "card"), TUBES, f"{recording.key}.parquet")
        if number == 14:
            write_index(store)
    with connect(store.place) as database:
        assert len(indexed(store, database)) == 15
    return folder


def walk(place: Path, labels: tuple[str, ...], wanted: Wanted) -> list[tuple[Any, ...]]:
    """Score, file, tube, start and stop of every moment, by plain loops."""
    found = []
    store = Store(str(place))
    for key in store.names(TUBES):
        for row in store.read_table(TUBES, f"{key}.parquet").to_pylist():
            scores: dict[int, float] = defaultdict(float)
            for said in row["actions"] + row["names"]:
                if said["label"] in labels:
                    scores[said["second"]] += said["score"]
            about = {each["second"]: each for each in row["seconds"]}
            good = [s for s in sorted(scores) if is_wanted(s, scores[s], about[s], row, wanted)]
            runs = [[s for s in good if s - good.index(s) == base] for base in {s - i for i, s in enumerate(good)}]
            for run_of in runs:
                if len(run_of) >= wanted.seconds:
                    start, stop = max(run_of[0] * SECOND, row["begin"]), min((run_of[-1] + 1) * SECOND, row["end"])
                    score = float(np.mean([scores[s] for s in run_of]))
                    found.append((score, row["file"], row["tube"], start, stop))
    return sorted(found, key=lambda each: (-each[0], each[1]))


def is_wanted(second: int, score: float, about: dict[str, Any], row: dict[str, Any], wanted: Wanted) -> bool:
    if score < wanted.score or not wanted.people[0] <= about["people"] <= (wanted.people[1] or 99):
        return False
    if about["size"] < wanted.size:
        return False
    if wanted.between is None:
        return True
    if row["time"] is None:
        return False
    now = (row["time"] + timedelta(seconds=second - row["begin"] / SECOND)).time()
    first, last = wanted.between
    return first <= now < last if first <= last else now >= first or now < last


@pytest.mark.parametrize(
    "wanted",
    [
        Wanted(score=0.5),
        Wanted(score=0.3, seconds=3),
        Wanted(score=0.3, people=(2, None)),
        Wanted(score=0.3, people=(1, 1)),
        Wanted(score=0.3, size=0.5),
        Wanted(score=0.3, between=(time(14), time(18))),
        Wanted(score=0.3, between=(time(22), time(6, 30))),
    ],
    ids=["score", "length", "in company", "alone", "size", "afternoon", "night"],
)
@pytest.mark.parametrize("action", ["wave", "waving hand", "greet: [waving hand, shaking hands]"])
def test_a_search_finds_what_a_walk_over_all_rows_finds(place: Path, action: str, wanted: Wanted) -> None:
    labels = {"wave": ("wave",), "waving hand": ("waving hand",)}.get(action, ("waving hand", "shaking hands"))
    expected = walk(place, labels, wanted)
    rows = Archive(str(place)).find(action, wanted, limit=1000).to_pylist()
    assert expected
    assert [row["rank"] for row in rows] == list(range(1, len(expected) + 1))
    for row, (score, *where) in zip(rows, expected, strict=True):
        assert row["score"] == pytest.approx(score, abs=1e-4)
        assert [row["file"], row["tube"], row["start"], row["stop"]] == where
    assert Archive(str(place)).find(action, wanted, limit=3).to_pylist() == rows[:3]


def test_the_index_changes_no_answer(place: Path, tmp_path: Path) -> None:
    import shutil

    plain = tmp_path / "plain"
    shutil.copytree(place, plain)
    (plain / "index.parquet").unlink()
    wanted = Wanted(score=0.4)
    assert Archive(str(plain)).find("clapping", wanted) == Archive(str(place)).find("clapping", wanted)


def test_what_an_action_is_called() -> None:
    assert labels_meant("Shoot Bow", ["shoot_bow"]) == ("shoot_bow",)
    assert labels_meant("other", ["wave"]) == ("other",)
    assert labels_meant("hi: waving hand, clapping", ["wave"]) == ("waving hand", "clapping")
    with pytest.raises(UserError, match=r"no action is called 'wavin'.*actions of the model: wave"):
        labels_meant("wavin", ["wave", "run"])


def test_filters_as_a_user_writes_them() -> None:
    assert parse_between("8-18") == (time(8), time(18))
    assert parse_between("22:30 - 6:05") == (time(22, 30), time(6, 5))
    assert [parse_people(text) for text in ("2", "2-", "2-4")] == [(2, 2), (2, None), (2, 4)]
    for parse, text in ((parse_between, "8"), (parse_between, "8-18:75"), (parse_people, "many")):
        with pytest.raises(UserError, match=text):
            parse(text)


def test_what_was_found_can_be_looked_at_and_used_elsewhere(tmp_path: Path, model: Path) -> None:
    from test_bags import StoragePlugin, at_15, write_bag
    from test_lerobot import write_v3

    write_video(tmp_path / "in/a.mp4", 3.0, size=(160, 120))
    write_bag(tmp_path / "in/bag", StoragePlugin.MCAP, ["/camera"], at_15(3, start=7 * SECOND))
    write_v3(tmp_path / "in/set")
    out = tmp_path / "out"
    run(setup_of(model, out, rate=15), tmp_path / "in")
    arguments = ["bright", str(out), "--clips", tmp_path / "clips", "--contact-sheet", tmp_path / "sheet.jpg"]
    arguments += ["--mcap", tmp_path / "bags.json", "--lerobot", tmp_path / "episodes.json", "--json"]
    done = CliRunner().invoke(find, list(map(str, arguments)))
    assert done.exit_code == 0, done.output
    found = [json.loads(line) for line in done.stdout.splitlines()]
    assert len(found) == 4

    assert json.loads((tmp_path / "episodes.json").read_text()) == {str(tmp_path / "in/set"): [0, 1]}
    (bag,) = json.loads((tmp_path / "bags.json").read_text())
    assert (bag["file"], bag["topic"]) == (str(tmp_path / "in/bag"), "/camera")
    assert bag["end_nsecs"] - bag["start_nsecs"] == pytest.approx(3 * SECOND, abs=SECOND / 10)
    assert bag["start_nsecs"] > 1_700_000_000 * SECOND  # the bag's clock, not the camera's

    clips = sorted((tmp_path / "clips").iterdir())
    assert len(clips) == 4
    capture = cv2.VideoCapture(str(next(clip for clip in clips if "_a_" in clip.name)))
    good, image = capture.read()
    assert good
    plate = image[image.shape[0] // 4 - 12 : image.shape[0] // 4 + 2, image.shape[1] // 4 : image.shape[1] // 2]
    assert np.ptp(plate.astype(int)) > 100  # the tube's colour and letters on bright blocks
    sheet = cv2.imread(str(tmp_path / "sheet.jpg"))
    assert sheet.shape == (2 * 202, 2 * 726, 3)


def test_what_cannot_be_is_said_in_one_line(place: Path, tmp_path: Path) -> None:
    with pytest.raises(UserError, match="no archive"):
        Archive(str(tmp_path)).find("wave")
    with pytest.raises(UserError, match="no moment that was found is of a bag"):
        CliRunner().invoke(find, ["wave", str(place), "--mcap", str(tmp_path / "x")], catch_exceptions=False)
    with pytest.raises(UserError, match=r"\.mp4: no such file"):
        CliRunner().invoke(find, ["wave", str(place), "--clips", str(tmp_path / "x")], catch_exceptions=False)
