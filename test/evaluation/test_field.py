"""The field score: what counts, by hand-made tubes; the command, on a model that knows bright from dark."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
from click.testing import CliRunner
from tiny import make_robot_model

from amtnet_ros.cli.eval import evaluate
from amtnet_ros.contracts import Tube, TubeState, TubeUpdate
from amtnet_ros.errors import UserError
from amtnet_ros.evaluation.field import (
    ActiveTube,
    FieldClip,
    _ActiveTime,
    judged,
    read_field,
    reliability_of,
    summarise,
)

LABELS = ("walk", "wave", "other")
A, C = TubeState.ACTIVE, TubeState.COASTING
SECOND = 10**9


def tube(number: int, state: TubeState, label: int, score: float = 0.5) -> Tube:
    none = np.zeros(0, np.int64)
    boxes, scores = np.zeros((0, 4), np.float32), np.zeros(3, np.float32)
    return Tube(number, state, label, score, scores, 0, 0, none, none, boxes, scores[:0], np.zeros(0, np.bool_))


def active_time(*steps: tuple[float, list[Tube]], least_score: float = 0.0) -> dict[int, ActiveTube]:
    return watched_for(*steps, least_score=least_score).tubes


def watched_for(*steps: tuple[float, list[Tube]], least_score: float = 0.0) -> _ActiveTime:
    seen = _ActiveTime(LABELS, least_score)
    seen.add(TubeUpdate(0, round(stamp * SECOND), (64, 48), 1, tuple(tubes)) for stamp, tubes in steps)
    return seen


def clip(*expected: str, kind: Any = "action") -> FieldClip:
    return FieldClip("clip", Path("clip.mp4"), expected, kind, "mine")


def test_only_active_time_under_an_action_counts_each_for_the_time_since_the_step_before() -> None:
    tubes = active_time(
        (0.0, [tube(1, A, 0, 0.2)]),  # the first step has no time before it
        (0.5, [tube(1, A, 0, 0.4)]),
        (0.75, [tube(1, C, 0)]),
        (1.0, [tube(1, A, 1, 0.8), tube(2, A, 2)]),  # 2 is `other`
        (1.0, [tube(3, TubeState.ENDED, 0)]),
    )
    assert list(tubes) == [1]
    assert tubes[1].ranked == {"walk": 0.5, "wave": 0.25}
    assert (tubes[1].start, tubes[1].end, tubes[1].seconds) == (0.0, 1.0, 0.75)
    assert tubes[1].score == pytest.approx((0.5 * 0.4 + 0.25 * 0.8) / 0.75)
    assert active_time((0, []), (1, [tube(1, A, 0, 0.3)]), least_score=0.31) == {}


def test_persons_without_an_action_are_counted_by_themselves() -> None:
    seen = watched_for(
        (0.0, [tube(1, A, 2)]), (0.5, [tube(1, A, 2), tube(3, A, 2)]), (0.75, [tube(1, A, 1), tube(3, C, 2)])
    )
    assert (seen.others, seen.tubes[1].labels) == (1.0, {"wave": 0.25})


def test_claims_are_right_for_the_seconds_that_they_name_what_is_expected() -> None:
    first = active_time((0.0, [tube(1, A, 0)]), (1.0, [tube(1, A, 0, 0.85)]), (1.5, [tube(1, A, 1, 0.85)]))
    second = active_time((0.0, [tube(1, A, 0)]), (0.5, [tube(1, A, 0, 0.35)]))
    watched = [judged(clip("walk"), 2.0, first.values()), judged(clip(kind="none"), 2.0, second.values())]
    found = reliability_of(watched)
    np.testing.assert_allclose(found.said, [0.35, 0.85])
    np.testing.assert_allclose(found.right, [0, 1.0 / 1.5])
    np.testing.assert_allclose(found.moments, [0.5, 1.5])


@pytest.mark.parametrize(
    ("labels", "expected", "named", "said"),
    [
        ({"walk": 3.0, "wave": 2.9}, ["walk"], True, "walk"),
        ({"walk": 3.0, "wave": 3.0}, ["walk"], False, "wave"),  # half of the time is not most of it
        ({"walk": 1.0, "wave": 1.0, "run": 1.5}, ["walk", "wave"], True, "walk"),
        ({"walk": 0.49}, ["walk"], False, None),  # shorter than half a second
        ({"wave": 9.0}, ["walk"], False, "wave"),
    ],
)
def test_a_clip_is_named_by_most_of_its_longest_tube(
    labels: dict[str, float], expected: list[str], named: bool, said: str | None
) -> None:
    longest = ActiveTube(7, 0.0, 10.0, sum(labels.values()), 0.5, labels)
    shorter = ActiveTube(3, 0.0, 10.0, 0.1, 0.9, {"walk": 0.1})
    found = judged(clip(*expected), 10.0, [shorter, longest])
    assert (found.named, found.said) == (named, said)
    assert found.tubes == (longest, shorter)


def test_in_a_short_clip_a_quarter_of_it_is_enough_and_without_a_tube_nothing_is_named() -> None:
    assert judged(clip("walk"), 1.0, [ActiveTube(1, 0.0, 1.0, 0.26, 0.5, {"walk": 0.26})]).named is True
    assert judged(clip("walk"), 1.0, []).named is False
    assert judged(clip(kind="none"), 1.0, []).named is None


def test_rates_are_over_the_length_of_the_clips() -> None:
    walk = ActiveTube(1, 0.0, 3.0, 3.0, 0.5, {"walk": 3.0})
    watched = [judged(clip(kind="nobody"), 20.0, [walk]), replace(judged(clip(kind="nobody"), 10.0, []), others=6.0)]
    summary = summarise([*watched, judged(clip("walk"), 4.0, [walk]), judged(clip("wave"), 4.0, [walk])])
    nobody = summary["false"]["nobody"]
    assert (nobody["clips"], nobody["tubes_a_minute"], nobody["tube_seconds_a_second"]) == (2, 2.0, 0.1)
    assert nobody["others_a_second"] == 0.2
    assert summary["false"]["none"]["tubes_a_minute"] is None
    assert (summary["named"]["named"], summary["named"]["share"], summary["named"]["wrong"]) == (1, 0.5, {"walk": 1})
    assert {key: part["share"] for key, part in summary["by_expected"].items()} == {"walk": 1.0, "wave": 0.0}


GOOD = {"file": "bright", "expected": [], "people": 0}


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (None, "cannot be read"),
        ("{", "not JSON"),
        ({}, "'clips' must name at least one clip"),
        ({"clips": {"a": {**GOOD, "file": None}}}, "clip 'a': 'file' is missing"),
        ({"clips": {"a": {**GOOD, "file": "gone.mp4"}}}, "gone.mp4 does not exist"),
        ({"clips": {"a": {**GOOD, "expected": "walk"}}}, "'expected' must be a list of labels"),
        ({"clips": {"a": {**GOOD, "people": "many"}}}, "'people' must be how many are in view"),
        ({"clips": {"a": {**GOOD, "expected": ["walk"]}}}, "walk with nobody in view"),
    ],
)
def test_a_list_of_clips_that_is_wrong_is_refused_with_the_clip(tmp_path: Path, content: Any, message: str) -> None:
    (tmp_path / "bright").mkdir()
    if content is not None:
        text = content if isinstance(content, str) else json.dumps(content)
        (tmp_path / "clips.json").write_text(text)
    with pytest.raises(UserError, match=r"clips\.json") as error:
        read_field(tmp_path)
    assert message in str(error.value)


@pytest.fixture
def field(tmp_path: Path) -> Path:
    """Six tenths of a second of brightness, three times: as the action it is, as one of none, and as nobody."""
    folder = tmp_path / "field"
    for name in ("clips/a", "clips/b", "clips/c"):
        (folder / name).mkdir(parents=True)
        for number in range(18):
            cv2.imwrite(str(folder / name / f"{number}.png"), np.full((48, 64, 3), 250, np.uint8))
    entries = {
        "a": {"file": "clips/a", "expected": ["bright"], "people": 1, "set": "kitchen"},
        "b": {"file": "clips/b", "expected": [], "people": "several"},
        "c": {"file": "clips/c", "expected": [], "people": 0, "synthetic": True},
    }
    (folder / "clips.json").write_text(json.dumps({"clips": entries}))
    return folder


def test_the_command_counts_what_the_detector_says(field: Path, tmp_path: Path) -> None:
    model, out = make_robot_model(tmp_path / "model"), tmp_path / "out.json"
    arguments = ["field", str(field), "--model", str(model), "--device", "cpu", "--out", str(out)]
    arguments += ["--link-confirm-after", "2", "--link-confirm-time", "0"]
    done = CliRunner().invoke(evaluate, arguments, catch_exceptions=False)
    assert done.exit_code == 0
    assert "NAMED 1 of 1, 100.0%" in done.output
    written = json.loads(out.read_text())
    assert [entry["kind"] for entry in written["clips"].values()] == ["action", "none", "nobody_pan"]
    # The second pair confirms the tube, in the third image; from the step before on it is ACTIVE, 16 thirtieths.
    assert [entry["tubes"][0]["seconds"] for entry in written["clips"].values()] == [
        pytest.approx(16 / 30, abs=2e-3)
    ] * 3
    assert written["summary"]["false"]["none"]["tubes_a_minute"] == pytest.approx(60 / 0.6)
    assert written["settings"]["model"] == str(model)


def test_a_label_that_the_model_does_not_have_is_refused(field: Path, tmp_path: Path) -> None:
    content = (field / "clips.json").read_text().replace('"bright"', '"brigth"')
    (field / "clips.json").write_text(content)
    model = make_robot_model(tmp_path / "model")
    with pytest.raises(UserError, match="clip 'a' expects 'brigth'; the model knows: bright, dark"):
        CliRunner().invoke(
            evaluate, ["field", str(field), "--model", str(model), "--device", "cpu"], catch_exceptions=False
        )
