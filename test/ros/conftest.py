"""Tests that need ROS 2: each in a domain of its own."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest


@pytest.fixture(scope="session")
def tiny_model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of a model that costs next to nothing, see `tiny.make_robot_model`."""
    from tiny import make_robot_model

    return make_robot_model(tmp_path_factory.mktemp("models") / "tiny")


@pytest.fixture
def stage(tmp_path: Path, tiny_model: Path) -> Iterator[Any]:
    """A fresh domain for one test."""
    from stage import Stage

    made = Stage(tmp_path, tiny_model)
    yield made
    made.close()
