"""The graphs that the tests of the nodes run on are those that tiny.py writes."""

from __future__ import annotations

from pathlib import Path

import pytest
from tiny import ROBOT_GRAPHS

from amtnet_ros.bench.brightness_model import write_brightness_graphs


def test_the_graphs_that_are_kept_are_those_that_are_written(tmp_path: Path) -> None:
    pytest.importorskip("onnx", reason="onnx is not installed, which writes the graphs")
    write_brightness_graphs(tmp_path)
    assert {path.name: path.read_bytes() for path in tmp_path.iterdir()} == {
        path.name: path.read_bytes() for path in ROBOT_GRAPHS.iterdir()
    }
