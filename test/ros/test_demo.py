"""`amtnet demo`: three processes find tubes in a clip; what cannot work is said in one line, nothing is left behind."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from pathlib import Path

import av
import pytest
from action_clips import make_clip

from amtnet_ros.inference.card import list_models

ROOT = Path(__file__).resolve().parents[2]


def demo(folder: Path, *arguments: str, **variables: str) -> subprocess.CompletedProcess[str]:
    """Run `amtnet demo ARGUMENTS` in the folder."""
    return subprocess.run(
        [sys.executable, "-m", "amtnet_ros.cli.main", "demo", *arguments],
        cwd=folder,
        env={**os.environ, "PYTHONPATH": str(ROOT), **variables},
        capture_output=True,
        text=True,
        timeout=300,
    )


@pytest.mark.skipif("light" not in list_models(), reason="the model `light` is not in models/")
def test_tubes_of_a_real_clip_are_recorded_and_drawn(data_root: Path, tmp_path: Path) -> None:
    clip = min((data_root / "jhmdb21" / "videos" / "golf").glob("*.mp4"))
    done = demo(tmp_path, str(clip), "--model", "light")
    assert done.returncode == 0, done.stdout + done.stderr
    assert "Action tubes" in done.stdout
    assert re.search(r"^ +\d+\.\d s  #\d+ \w+ begins [01]\.\d\d$", done.stdout, re.MULTILINE)
    tubes = [json.loads(line) for line in (tmp_path / "out/demo/tubes.jsonl").read_text().splitlines()]
    assert any(tube["confirmed"] for tube in tubes)
    with av.open(str(clip)) as source, av.open(str(tmp_path / "out/demo/tubes.mp4")) as video:
        frames = sum(1 for _ in source.decode(video=0))
        assert sum(1 for _ in video.decode(video=0)) == frames
    assert f"{frames} steps of the detector, {frames} images recorded" in done.stdout


def test_a_missing_video_is_refused_before_anything_starts(tmp_path: Path) -> None:
    done = demo(tmp_path, "missing.mp4")
    assert done.returncode == 2
    assert done.stderr == "amtnet: missing.mp4: no such file or folder (a webcam is given by its number)\n"
    assert list(tmp_path.iterdir()) == []


def test_an_unknown_model_ends_it_with_the_reason(tmp_path: Path) -> None:
    make_clip(tmp_path / "clip.mp4", label=0, seed=1)
    done = demo(tmp_path, "clip.mp4", "--model", "unheard_of")
    assert done.returncode == 2
    assert done.stderr.startswith("amtnet: the detector cannot start: no model 'unheard_of'")
    assert len(done.stderr.splitlines()) == 1
    assert [path.name for path in (tmp_path / "out" / "demo").iterdir()] == ["detector.log"]


@pytest.mark.skipif("light" not in list_models(), reason="the model `light` is not in models/")
def test_finding_nothing_ends_well_and_says_so(tmp_path: Path) -> None:
    make_clip(tmp_path / "clip.mp4", label=0, seed=1, n_frames=2)  # one pair of frames confirms no tube
    done = demo(tmp_path, "clip.mp4", "--model", "light", "--view", DISPLAY="", WAYLAND_DISPLAY="")
    assert done.returncode == 0, done.stderr
    assert "View: http://127.0.0.1:" in done.stdout
    assert "No action tube was found in clip.mp4" in done.stdout
    assert (tmp_path / "out/demo/tubes.jsonl").exists()
    assert (tmp_path / "out/demo/tubes.mp4").exists()


def test_a_missing_webcam_is_refused_before_anything_starts(tmp_path: Path) -> None:
    done = demo(tmp_path, "--camera", "97")
    assert done.returncode == 2
    assert done.stderr == "amtnet: /dev/video97: there is no such webcam; `ls /dev/video*` shows those there are\n"
    assert list(tmp_path.iterdir()) == []


def test_a_clip_that_is_not_what_it_should_be_is_refused(tmp_path: Path) -> None:
    wheels = tmp_path / "wheels"
    wheels.mkdir()
    (wheels / "sports2d-0.8.34-py3-none-any.whl").write_bytes(b"not the wheel")
    cache = tmp_path / "cache"
    done = demo(tmp_path, AMTNET_CACHE=str(cache), PIP_NO_INDEX="1", PIP_FIND_LINKS=str(wheels))
    assert done.returncode == 2
    assert "the demo's clip could not be fetched" in done.stderr
    assert len(done.stderr.splitlines()) == 1
    assert list(cache.rglob("*")) == []
