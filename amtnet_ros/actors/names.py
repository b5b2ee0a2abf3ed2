"""Actions by name: the 600 classes of Kinetics that the actor stream knows without having been taught here."""

from __future__ import annotations

import difflib
from collections.abc import Iterable, Sequence
from functools import cache
from pathlib import Path
from typing import NamedTuple

from amtnet_ros.contracts import NOBODY, OTHER
from amtnet_ros.errors import UserError
from amtnet_ros.files import read_json

FOLDER = Path(__file__).parent


class NamedAction(NamedTuple):
    """An action asked for by names. label: what it is called; names: the indices of Kinetics' classes that mean it."""

    label: str
    names: tuple[int, ...]


@cache
def kinetics_names() -> tuple[str, ...]:
    """The 600 names in the order of the network's outputs."""
    lines = (FOLDER / "kinetics600.txt").read_text(encoding="utf-8").splitlines()
    return tuple(line for line in lines if line and not line.startswith("#"))


@cache
def names_of_actions() -> dict[str, tuple[int, ...]]:
    """J-HMDB's actions → the indices of the names that mean the same; none for three of them. A judgement."""
    table = read_json(FOLDER / "kinetics_to_actions.json")
    index = {name: i for i, name in enumerate(kinetics_names())}
    return {action: tuple(index[name] for name in names) for action, names in table.items()}


def search_names(word: str) -> list[str]:
    """The names that hold a word, or any part of one, in whatever case; alphabetically."""
    return [name for name in kinetics_names() if word.strip().lower() in name.lower()]


def find_name(name: str) -> int:
    """The index of a name, in whatever case. Raises UserError with the nearest ones where there is none."""
    wanted = " ".join(name.replace("_", " ").lower().split())
    index = {known.lower(): i for i, known in enumerate(kinetics_names())}
    if wanted in index:
        return index[wanted]
    near = nearest_names(wanted)
    hint = f"the nearest: {', '.join(near)}" if near else "nothing is called alike"
    raise UserError(f"no action is called '{name}'; {hint}; `amtnet actions WORD` searches")


def nearest_names(wanted: str) -> list[str]:
    """Some names that are spelt alike, or hold the word, the nearest first."""
    lowered = {name.lower(): name for name in kinetics_names()}
    near = difflib.get_close_matches(wanted.lower(), lowered, n=3, cutoff=0.6)
    words = {word: name for name in kinetics_names() for word in name.lower().split()}
    alike = difflib.get_close_matches(wanted.lower(), words, n=2, cutoff=0.75)
    found = [lowered[name] for name in near] + search_names(wanted)[:5] + [words[word] for word in alike]
    return list(dict.fromkeys(found))[:5]


def parse_actions(texts: Iterable[str], known: Sequence[str] = ()) -> tuple[NamedAction, ...]:
    """Actions as a user writes them: a name, `waving hand`; or a label of one's own with some,
    `greet: [waving hand, shaking hands]`, with or without the brackets.

    known: the labels that the model has already. Raises UserError for a name that there is not, one that is given
    twice, and a label that is empty, taken, or given twice.
    """
    actions: list[NamedAction] = []
    for text in texts:
        label, colon, rest = text.partition(":")
        label = label.strip()
        parts = (
            [part.strip() for part in rest.strip().removeprefix("[").removesuffix("]").split(",")] if colon else [label]
        )
        if not label or not all(parts):
            raise UserError(f"action '{text}': write a name, or a label and names: `greet: waving hand, shaking hands`")
        if label in (OTHER, NOBODY, *known) or label in (action.label for action in actions):
            raise UserError(
                f"action '{text}': there is a label '{label}' already; give it one of its own, `my_{label}: …`"
            )
        actions.append(NamedAction(label, tuple(map(find_name, parts))))
    names = [name for action in actions for name in action.names]
    twice = next((name for name in names if names.count(name) > 1), None)
    if twice is not None:
        raise UserError(f"actions: '{kinetics_names()[twice]}' is given twice; each name can mean one action")
    return tuple(actions)
