"""Which key is which action's."""

from __future__ import annotations

import pytest

from amtnet_ros.errors import UserError
from amtnet_ros.recording.keys import bind


def test_each_action_has_a_letter_of_its_name_a_digit_or_the_key_that_it_was_given() -> None:
    assert bind(["wave", "walk", "none"]) == {"w": "wave", "a": "walk", "n": "none"}
    assert bind(["wave", "clap=w"]) == {"w": "clap", "a": "wave"}
    assert bind(["q", "qq"]) == {"1": "q", "2": "qq"}  # q quits


@pytest.mark.parametrize(
    ("actions", "words"),
    [
        (["a/b"], "'a/b': no name for an action"),
        ([".."], "no name for an action"),
        ([""], "no name for an action"),
        (["wave", "wave"], "'wave': is given twice"),
        (["wave=x", "wave=y"], "'wave': is given twice"),
        (["wave=x", "clap=x"], "clap=x: the key x is wave's already"),
        (["wave=q"], "'q' cannot be a key"),
        (["wave="], "'' cannot be a key"),
        (["wave=ab"], "'ab' cannot be a key"),
        ([f"{letter}" * (i + 1) for letter in "q" for i in range(10)], "no key is left"),
    ],
)
def test_what_cannot_be_bound_is_named(actions: list[str], words: str) -> None:
    with pytest.raises(UserError, match=words):
        bind(actions)
