"""Tubes get what their persons do."""

from __future__ import annotations

import numpy as np
import pytest
from numpy_engines import SameEngine

from amtnet_ros.actors.actors import Actors
from amtnet_ros.actors.fusion import Fusion, Rule
from amtnet_ros.actors.names import parse_actions
from amtnet_ros.actors.stage import ActorStage
from amtnet_ros.contracts import Frame, Tube, TubeState, TubeUpdate

SECOND = 1_000_000_000
ACTIONS = ("clap", "wave")
ANSWERS = (*ACTIONS, "other", "nobody")
BOX = (20.0, 20.0, 60.0, 80.0)
RULE = Rule(0.3, 0.7, 0)


def stage_of(rule: Rule = RULE, named: tuple[str, ...] = (), **says: float) -> tuple[ActorStage, SameEngine]:
    """A stage of a stream that says this of everybody."""
    engine = SameEngine(ANSWERS, **says)
    return ActorStage(Actors(engine), Fusion(ACTIONS, ANSWERS, rule, parse_actions(named))), engine


def step(
    stage: ActorStage, tenths: int, scores: list[float], state: TubeState = TubeState.ACTIVE, seen: bool = True
) -> Tube:
    """The stage's next update, so many tenths of a second after the start; returns its only tube."""
    stamp = tenths * SECOND // 10
    boxes = np.array([BOX] * seen, np.float32).reshape(-1, 4)
    label = int(np.argmax(scores))
    stamps, own = np.full(len(boxes), stamp), np.full(len(boxes), scores[label], np.float32)
    tube = Tube(
        id=7,
        state=state,
        label=label,
        score=scores[label],
        class_scores=np.array(scores, np.float32),
        start_stamp=0,
        last_stamp=stamp if seen else stamp - SECOND // 10,
        frames=stamps,
        stamps=stamps,
        boxes=boxes,
        scores=own,
        interpolated=np.zeros(len(boxes), np.bool_),
    )
    frame = Frame(tenths, stamp, np.zeros((120, 160, 3), np.uint8))
    (found,) = stage(frame, TubeUpdate(tenths, stamp, (160, 120), 4, (tube,))).tubes
    return found


def test_a_tube_is_called_what_both_say_together() -> None:
    stage, _ = stage_of(wave=0.8, other=0.2)
    step(stage, 0, [0.3, 0.1])
    found = step(stage, 1, [0.3, 0.1])
    np.testing.assert_allclose(found.class_scores, [0.3 * 0.75, 0.3 * 0.25 + 0.7 * 0.8, 0.7 * 0.2], atol=1e-5)
    assert (stage.labels[found.label], found.state) == ("wave", TubeState.ACTIVE)
    assert found.score == found.class_scores[1]


def test_until_the_stream_has_spoken_a_tube_is_tentative() -> None:
    found = step(stage_of(wave=1)[0], 0, [0.4, 0.1])
    assert (found.label, found.score, found.state) == (0, 0.4, TubeState.TENTATIVE)
    np.testing.assert_array_equal(found.class_scores, np.array([0.4, 0.1, 0], np.float32))


def test_who_does_something_else_is_other() -> None:
    stage, _ = stage_of(other=1)
    step(stage, 0, [0.3, 0.1])
    found = step(stage, 1, [0.3, 0.1])
    assert (stage.labels[found.label], found.state) == ("other", TubeState.ACTIVE)


def test_where_nobody_is_nothing_is_claimed() -> None:
    stage, _ = stage_of(nobody=0.9, other=0.1)
    step(stage, 0, [0.3, 0.1])
    found = step(stage, 1, [0.3, 0.1])
    assert found.state == TubeState.TENTATIVE
    assert found.class_scores.sum() == pytest.approx(1 - 0.7 * 0.9, abs=1e-3)
    assert step(stage, 2, [0.3, 0.1], TubeState.ENDED, seen=False).state == TubeState.ENDED


def test_a_tube_that_is_missed_is_looked_at_where_it_was_and_ends_as_what_it_was_last_called() -> None:
    stage, engine = stage_of(wave=1)
    step(stage, 0, [0.3, 0.1])
    step(stage, 1, [0.3, 0.1])
    assert step(stage, 2, [0.3, 0.1], TubeState.COASTING, seen=False).label == 1
    assert len(engine.pictures) == 3
    ended = step(stage, 3, [0.3, 0.1], TubeState.ENDED, seen=False)
    assert (ended.label, len(ended.class_scores), len(engine.pictures)) == (1, 3, 3)
    assert stage._known == {}


def test_of_a_slow_camera_the_two_stream_network_claims_only_what_it_is_sure_of() -> None:
    stage, _ = stage_of(wave=1)
    for tenths in range(0, 40, 4):  # 2.5 pictures a second
        found = step(stage, tenths, [0.6, 0.1])
    assert (stage.labels[found.label], found.state) == ("other", TubeState.ACTIVE)
    np.testing.assert_allclose(found.class_scores, [0.6 / 1.4, 0.1 / 1.4, 0.8 / 1.4], rtol=1e-6)
    assert found.score == pytest.approx(0.8 / 1.4)
    found = step(stage, 44, [0.77, 0.1])
    assert (stage.labels[found.label], found.score) == ("clap", pytest.approx(0.55))


def test_named_actions_are_labels_like_any_other() -> None:
    stage, _ = stage_of(Rule(0.1, 0.7, 0.2), named=("climb: abseiling",), other=1)
    step(stage, 0, [0.3, 0.1])
    found = step(stage, 1, [0.3, 0.1])
    assert stage.labels == (*ACTIONS, "other", "climb")
    assert stage.labels[found.label] == "climb"


def test_after_a_reset_a_tube_of_the_same_id_is_somebody_else() -> None:
    stage, _ = stage_of(wave=1)
    step(stage, 0, [0.3, 0.1])
    assert step(stage, 1, [0.3, 0.1]).label == 1
    stage.reset()
    assert step(stage, 0, [0.3, 0.1]).label == 0


def test_what_speaks_for_unwanted_labels_speaks_for_other() -> None:
    stage, _ = stage_of(wave=0.8, other=0.2)
    stage.wanted = frozenset({0})
    step(stage, 0, [0.3, 0.1])
    found = step(stage, 1, [0.3, 0.1])
    np.testing.assert_allclose(found.class_scores, [0.3 * 0.75, 0, 0.3 * 0.25 + 0.7], atol=1e-5)
    assert stage.labels[found.label] == "other"


def test_a_label_changes_only_to_one_that_leads_by_the_margin() -> None:
    stage, _ = stage_of(wave=0.5, clap=0.5)
    stage.label_margin = 0.1
    step(stage, 0, [0.3, 0.1])
    assert step(stage, 1, [0.4, 0.1]).label == 0
    assert step(stage, 2, [0.2, 0.3]).label == 0, "0.3 * (0.6 - 0.4) = 0.06 ahead"
    assert step(stage, 3, [0.1, 0.9]).label == 1
    stage.label_margin = 0.0
    assert step(stage, 4, [0.31, 0.3]).label == 0


def test_a_tube_is_confirmed_by_the_score_of_both_and_stays_confirmed() -> None:
    stage, _ = stage_of(wave=0.5, other=0.5)
    stage.confirm_score = 0.5
    step(stage, 0, [0.1, 0.3])
    low = step(stage, 1, [0.3, 0.1])  # 0.3 * 0.25 + 0.7 * 0.5
    assert (low.state, low.label) == (TubeState.TENTATIVE, 1)
    high = step(stage, 2, [0.1, 0.4])
    assert high.state == TubeState.ACTIVE
    assert high.score > 0.5
    assert step(stage, 3, [0.3, 0.1]).state == TubeState.ACTIVE
