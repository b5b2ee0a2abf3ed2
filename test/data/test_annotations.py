"""What holds for annotated videos of any source."""

import pytest

from amtnet_ros.data.annotations import spread


@pytest.mark.parametrize(
    ("count", "expected"),
    [(None, "abcdefgh"), (20, "abcdefgh"), (4, "aceg"), (3, "acf"), (1, "a")],
)
def test_some_names_are_taken_evenly_from_the_list(count, expected):
    assert spread(tuple("abcdefgh"), count) == tuple(expected)
