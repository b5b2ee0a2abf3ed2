"""The campaign, in short: real processes, each promise looked at."""

from __future__ import annotations

import json
import os
import subprocess
import sys

import pytest
from stage import ROOT

KINDS = ("loops", "corrupt images", "size changes", "lifecycle rounds")


def soak(*words: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "amtnet_ros.cli.main", "bench", "soak", *words]
    path = os.pathsep.join([str(ROOT), *filter(None, [os.environ.get("PYTHONPATH")])])
    return subprocess.run(
        command, cwd=ROOT, env={**os.environ, "PYTHONPATH": path}, capture_output=True, text=True, timeout=240
    )


def test_a_short_campaign_keeps_every_promise() -> None:
    pytest.importorskip("onnx", reason="onnx is not installed, which writes the small model")
    given = [word for kind in KINDS for word in ("--fault", kind)]
    done = soak("--steps", "300", "--every", "10", "--seed", "3", "--json", *given)
    assert done.returncode == 0, done.stdout + done.stderr
    report = json.loads(done.stdout)
    assert report["steps"] >= 300
    assert report["broken"] == []
    assert report["tubes"]["ended"] > 5
    assert len(report["tenths"]) == 10
    tried = {kind: row["tried"] for kind, row in report["faults"].items()}
    assert set(tried) <= set(KINDS)
    assert {kind: row["survived"] for kind, row in report["faults"].items()} == tried


def test_a_kind_of_fault_that_there_is_not_is_named() -> None:
    done = soak("--fault", "earthquake")
    assert done.returncode == 2
    assert "'earthquake': no such kind; there are stalls, gaps" in done.stderr
