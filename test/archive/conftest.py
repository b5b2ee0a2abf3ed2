"""What tests of the archive share."""

from __future__ import annotations

from pathlib import Path

import pytest
from tiny import make_robot_model


@pytest.fixture(scope="session")
def model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The robot's model: it sees `bright` in the middle of a bright picture, and its score follows from brightness."""
    return make_robot_model(tmp_path_factory.mktemp("model") / "tiny")
