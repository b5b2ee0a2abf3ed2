"""RViz opens in the frame that the images are in."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from stage import ROOT, Stage, walker


def test_rviz_is_opened_in_the_frame_of_the_first_image(
    stage: Stage, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "bin").mkdir()
    program = tmp_path / "bin" / "rviz2"
    program.write_text('#!/bin/sh\necho "opened with: $*"\n')
    program.chmod(0o755)
    monkeypatch.setenv("PATH", f"{program.parent}{os.pathsep}{os.environ['PATH']}")
    display = ROOT / "config" / "detector.rviz"
    remap = ["--ros-args", "-r", "/detector/markers:=/markers"]
    rviz = stage.run("rviz", "--display-config", str(display), *remap)
    stage.detector()
    stage.film(walker(), until=lambda: rviz.popen.poll() is not None, frame_id="head_camera_optical")
    assert rviz.popen.returncode == 0
    assert f"opened with: --display-config {display} --fixed-frame head_camera_optical {' '.join(remap)}" in rviz.output


def test_a_machine_without_rviz_says_how_to_get_it(stage: Stage, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", "/nowhere")
    rviz = stage.run("rviz", "--display-config", str(ROOT / "config" / "detector.rviz"))
    assert rviz.wait() == 2
    assert rviz.output == "rviz: there is no rviz2: sudo apt install ros-$ROS_DISTRO-rviz2\n"
