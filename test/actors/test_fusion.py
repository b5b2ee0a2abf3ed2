"""One answer from two."""

from __future__ import annotations

import numpy as np
import pytest

from amtnet_ros.actors.fusion import Fusion, Rule
from amtnet_ros.actors.memory import Answer
from amtnet_ros.actors.names import kinetics_names, parse_actions

ACTIONS = ("clap", "sit", "wave")
ANSWERS = ("nobody", "clap", "sit", "wave", "other")  # the graph may have an order of its own


def test_the_whole_picture_has_its_share_and_does_not_say_whether_a_box_is_wrong() -> None:
    fusion = Fusion(ACTIONS, ANSWERS, Rule(0, 1, 0, whole=0.25))
    person, whole = answer({}, clap=0.2, other=0.6, nobody=0.2), answer({}, clap=0.5, nobody=0.5)
    scores, nobody = fusion.join(np.zeros(3, np.float32), person, whole)
    by_label = dict(zip(fusion.labels, scores.tolist(), strict=True))
    assert nobody == pytest.approx(0.2, abs=1e-3)
    assert by_label["clap"] == pytest.approx(0.75 * 0.2 + 0.25 * 0.8, abs=1e-3)
    assert by_label["other"] == pytest.approx(0.75 * 0.6, abs=1e-3)
    alone = fusion.join(np.zeros(3, np.float32), person)
    assert alone.scores[fusion.labels.index("clap")] == pytest.approx(0.2, abs=1e-3)


def answer(names: dict[str, float], **answers: float) -> Answer:
    """Probabilities by name; what is left of the 600 goes to 'abseiling'."""
    by_name = np.zeros(600, np.float32)
    for name, value in names.items():
        by_name[kinetics_names().index(name)] = value
    by_name[0] = 1 - by_name.sum()
    return Answer(np.array([answers.get(name, 0) for name in ANSWERS], np.float32), by_name)


def test_weights_mix_what_three_say() -> None:
    fusion = Fusion(ACTIONS, ANSWERS, Rule(0.3, 0.5, 0.2))
    said = answer({"clapping": 0.4, "applauding": 0.2, "waving hand": 0.1}, clap=0.7, other=0.2, nobody=0.1)
    joined = fusion.join(np.array([0.1, 0.0, 0.3], np.float32), said)
    expected = [
        0.3 * 0.25 + 0.5 * 0.7 + 0.2 * 0.6,
        0.0,
        0.3 * 0.75 + 0.2 * 0.1,
        0.5 * 0.2 + 0.2 * 0.3,
    ]
    np.testing.assert_allclose(joined.scores, expected, atol=1e-5)
    assert joined.nobody == pytest.approx(0.05, abs=1e-5)
    assert fusion.labels == (*ACTIONS, "other")


def test_temperature_and_other_change_how_sure_one_is() -> None:
    said = answer({}, clap=0.8, other=0.2)
    light = np.array([1, 0, 0], np.float32)
    plain = Fusion(ACTIONS, ANSWERS, Rule(0, 1, 0)).join(light, said).scores
    milder = Fusion(ACTIONS, ANSWERS, Rule(0, 1, 0, temperature=2.0)).join(light, said).scores
    careful = Fusion(ACTIONS, ANSWERS, Rule(0, 1, 0, other=np.log(4))).join(light, said).scores
    assert milder[0] / milder[3] == pytest.approx(np.sqrt(plain[0] / plain[3]), rel=1e-4)
    assert careful[0] == pytest.approx(careful[3], rel=1e-4)


def test_a_named_action_takes_its_share_of_other() -> None:
    fusion = Fusion(ACTIONS, ANSWERS, Rule(0.2, 0.6, 0.2), parse_actions(["reading book"]))
    said = answer({"reading book": 0.6, "reading newspaper": 0.2}, other=0.9, clap=0.1)
    scores, nobody = fusion.join(np.array([1, 0, 0], np.float32), said)
    assert fusion.labels == (*ACTIONS, "other", "reading book")
    rest = 0.6 * 0.9 + 0.2 * 1.0
    assert scores[4] == pytest.approx(rest * 0.6, abs=1e-3)
    assert scores[3] == pytest.approx(rest * 0.4, abs=1e-3)
    assert scores.sum() + nobody == pytest.approx(1, abs=1e-5)


def test_a_group_of_all_names_of_an_action_takes_its_place() -> None:
    fusion = Fusion(ACTIONS, ANSWERS, Rule(0.2, 0.6, 0.2), parse_actions(["greet: waving hand, shaking hands"]))
    said = answer({"waving hand": 0.5, "shaking hands": 0.1}, wave=0.9, other=0.1)
    scores, _ = fusion.join(np.array([0, 0, 1], np.float32), said)
    assert scores.argmax() == 4
    assert scores[2] == pytest.approx(0, abs=1e-6)


def test_a_name_among_several_of_an_action_takes_as_much_as_it_is_likelier() -> None:
    fusion = Fusion(ACTIONS, ANSWERS, Rule(0, 1, 0), parse_actions(["applauding"]))
    scores, _ = fusion.join(np.zeros(3, np.float32), answer({"applauding": 0.3, "clapping": 0.1}, clap=0.8, other=0.2))
    np.testing.assert_allclose(scores[[0, 4]], [0.2, 0.6], atol=1e-4)


def test_a_network_that_sees_no_action_at_all_says_nothing() -> None:
    scores, _ = Fusion(ACTIONS, ANSWERS, Rule(1, 0, 0)).join(np.zeros(3, np.float32), answer({}, other=1))
    np.testing.assert_allclose(scores[:3], 1 / 3, atol=1e-4)


def test_alone_the_two_stream_network_says_what_it_always_did() -> None:
    fusion = Fusion(ACTIONS, ANSWERS, Rule(0.3, 0.5, 0.2), parse_actions(["yoga"]))
    np.testing.assert_array_equal(
        fusion.widened(np.array([0.2, 0.1, 0.05], np.float32)), np.array([0.2, 0.1, 0.05, 0, 0], np.float32)
    )


def test_of_actions_that_only_the_stream_was_taught_its_answer_stands_and_the_rest_is_shared_out() -> None:
    rule = Rule(0.4, 0.4, 0.2)
    fusion = Fusion(("clap", "salute"), ("clap", "salute", "other", "nobody"), rule, seen_in_pairs=("clap", "sit"))
    said = Answer(np.array([0.3, 0.6, 0.1, 0.0], np.float32), answer({"clapping": 0.5}).names)
    joined = fusion.join(np.array([0.1, 0.3], np.float32), said)
    clap = 0.4 * (0.4 * 0.25) + 0.4 * 0.3 + 0.2 * (0.4 * 0.5)
    other = 0.4 * (0.4 * 0.75) + 0.4 * 0.1 + 0.2 * (0.4 * 0.5)
    np.testing.assert_allclose(joined.scores, [clap, 0.6, other], atol=1e-5)


def test_what_the_two_stream_network_knows_and_the_model_does_not_is_other() -> None:
    fusion = Fusion(
        ("salute", "sit"), ("salute", "sit", "other", "nobody"), Rule(0, 1, 0), seen_in_pairs=("clap", "sit")
    )
    assert [fusion.labels[fusion.label_of(seen)] for seen in (0, 1)] == ["other", "sit"]
    np.testing.assert_allclose(fusion.widened(np.array([0.7, 0.2], np.float32)), [0, 0.2, 0])


def test_the_score_of_each_name_is_the_one_it_has_where_it_alone_is_asked_for() -> None:
    rng = np.random.default_rng(3)
    actions, answers = ("wave", "run", "golf"), ("golf", "other", "wave", "nobody", "run")
    rule = Rule(w_light=0.3, w_taught=0.5, w_names=0.2, temperature=1.3, other=0.4)
    said = Answer(
        rng.dirichlet(np.ones(len(answers))).astype(np.float32), rng.dirichlet(np.ones(600)).astype(np.float32)
    )
    light = rng.dirichlet(np.ones(len(actions))).astype(np.float32)
    none_asked = Fusion(actions, answers, rule)
    scores = none_asked.of_each_name(none_asked.join(light, said), said)
    for text in ("waving hand", "golf driving", "yoga", "jogging"):
        (named,) = parse_actions([text])
        asked = Fusion(actions, answers, rule, [named])
        assert scores[named.names[0]] == pytest.approx(asked.join(light, said).scores[-1], rel=1e-5)
