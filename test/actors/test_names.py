"""Actions asked for by name."""

from __future__ import annotations

import pytest
from click.testing import CliRunner

from amtnet_ros.actors.names import (
    find_name,
    kinetics_names,
    names_of_actions,
    nearest_names,
    parse_actions,
    search_names,
)
from amtnet_ros.cli.commands import amtnet
from amtnet_ros.errors import UserError


def complaint(*texts: str, known: tuple[str, ...] = ()) -> str:
    with pytest.raises(UserError) as caught:
        parse_actions(texts, known)
    assert "\n" not in str(caught.value)
    return str(caught.value)


def test_there_are_six_hundred_names_in_order() -> None:
    names = kinetics_names()
    assert (len(names), len(set(names))) == (600, 600)
    assert (names[0], names[-1]) == ("abseiling", "zumba")


def test_names_mean_actions_of_ours() -> None:
    table = names_of_actions()
    assert len(table) == 21
    assert [kinetics_names()[i] for i in table["wave"]] == ["waving hand"]
    assert [action for action, names in table.items() if not names] == ["climb_stairs", "sit", "stand"]
    every = [i for names in table.values() for i in names]
    assert len(every) == len(set(every)), "a name means one action"


def test_a_name_is_an_action_and_a_label_groups_some() -> None:
    alone, group = parse_actions(["Reading Book", "greet: [waving hand, shaking hands]"])
    assert (alone.label, [kinetics_names()[i] for i in alone.names]) == ("Reading Book", ["reading book"])
    assert (group.label, [kinetics_names()[i] for i in group.names]) == ("greet", ["waving hand", "shaking hands"])
    assert parse_actions(["greet:waving hand,shaking hands"]) == (group,)


@pytest.mark.parametrize(
    ("wrong", "near"),
    [("wavin hand", "waving hand"), ("reading a book", "reading book"), ("clap", "clapping"), ("jugling", "juggling")],
)
def test_a_wrong_name_is_refused_with_the_nearest(wrong: str, near: str) -> None:
    message = complaint(wrong)
    assert f"'{wrong}'" in message
    assert any(near in name for name in nearest_names(wrong))
    assert near in message


def test_a_name_like_nothing_is_refused_all_the_same() -> None:
    assert "nothing is called alike" in complaint("xqzqw")


@pytest.mark.parametrize(
    ("texts", "says"),
    [
        ((" ",), "write a name"),
        (("greet:",), "write a name"),
        (("greet: waving hand,",), "write a name"),
        ((": waving hand",), "write a name"),
        (("wave: waving hand",), "a label 'wave' already"),
        (("other: waving hand",), "a label 'other' already"),
        (("a: clapping", "a: waving hand"), "a label 'a' already"),
        (("clapping", "cheer: applauding, clapping"), "'clapping' is given twice"),
    ],
)
def test_labels_and_groups_that_cannot_be(texts: tuple[str, ...], says: str) -> None:
    assert says in complaint(*texts, known=("wave",))


def test_names_are_found_by_a_word_whatever_its_case() -> None:
    assert search_names("Waving") == ["waving hand"]
    assert kinetics_names()[find_name("WAVING_hand")] == "waving hand"


def test_the_command_lists_and_searches() -> None:
    everything = CliRunner().invoke(amtnet, ["actions"])
    assert everything.output.splitlines() == list(kinetics_names())
    some = CliRunner().invoke(amtnet, ["actions", "violin"])
    assert some.output.splitlines() == ["playing violin"]
    none = CliRunner().invoke(amtnet, ["actions", "violn"])
    assert isinstance(none.exception, UserError)
    assert "playing violin" in str(none.exception)
