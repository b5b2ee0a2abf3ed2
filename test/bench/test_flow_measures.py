"""The measures, and that the bench command gives them."""

import json

import numpy as np
import pytest
from click.testing import CliRunner
from flow_scenes import pair

from amtnet_ros.bench.flow import bench_flow
from amtnet_ros.bench.synthetic_flow import end_point_error, photometric_error


def test_end_point_error():
    flow, truth = np.zeros((2, 2, 2), np.float32), np.zeros((2, 2, 2), np.float32)
    flow[0, 0] = (3, 4)
    assert end_point_error(flow, truth) == pytest.approx(5 / 4)
    assert end_point_error(flow, truth, np.array([[False, True], [True, True]])) == 0


def test_true_flow_has_no_photometric_error():
    previous, current = (image[..., 0] for image in pair(3, -2))
    assert photometric_error(previous, current, np.full((240, 320, 2), (3, -2), np.float32)) == 0
    assert photometric_error(previous, current, np.zeros((240, 320, 2), np.float32)) > 5


def test_bench_reports_speed_accuracy_and_what_it_ran_on(tmp_path):
    arguments = ["--engine", "dis:fast", "--engine", "dis:ultrafast", "--pairs", "1", "--seconds", "0.05", "--json"]
    run = CliRunner().invoke(bench_flow, [*arguments, "--data-root", str(tmp_path)], catch_exceptions=False)
    result = json.loads(run.stdout)
    assert result["textures"] == "random"
    assert [(row["engine"], row["cores"], row["pairs_at_once"]) for row in result["speed"]][:3] == [
        ("dis:fast", 1, 1),
        ("dis:fast", "all", 1),
        ("dis:fast", "all", 8),
    ]
    assert all(0 < row["best_ms"] <= row["median_ms"] for row in result["speed"])
    alone = CliRunner().invoke(bench_flow, [*arguments, "--part", "speed"], catch_exceptions=False)
    assert "accuracy" not in json.loads(alone.stdout)
    # Random textures move by 2 to 3 pixels on average.
    assert 0 < result["accuracy"]["dis:fast"]["end_point_error"]["all"] < 1.5
