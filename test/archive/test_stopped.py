"""An archive that was stopped by force goes on: no tube twice, none lost."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
from recordings import rows_of, run, setup_of, write_video

from amtnet_ros.archive.worker import DELTA

COUNT = 12
AS_THE_COMMAND = {"rate": 15, "delta": DELTA, "fast_flow": True}
"""How `command` watches."""


@pytest.fixture(scope="module")
def videos(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Enough of them that there is time to kill somebody."""
    folder = tmp_path_factory.mktemp("videos")
    for seed in range(COUNT):
        write_video(folder / f"{seed:02}.mp4", 4.0, seed=seed, size=(160, 120))
    return folder


@pytest.fixture(scope="module")
def unbroken(videos: Path, model: Path, tmp_path_factory: pytest.TempPathFactory) -> list[dict[str, object]]:
    """The rows of a run that nobody stopped."""
    out = tmp_path_factory.mktemp("unbroken")
    run(setup_of(model, out, **AS_THE_COMMAND), videos)
    return rows_of(out)


def command(videos: Path, model: Path, out: Path, *more: str) -> list[str]:
    main = [sys.executable, "-m", "amtnet_ros.cli.main", "archive", str(videos), "-o", str(out), "--model", str(model)]
    return [*main, "--device", "cpu", "--precision", "fp32", "--rate", "15", *more]


def children(parent: int) -> list[int]:
    """The processes that a process has started and that run."""
    return [int(child) for child in Path(f"/proc/{parent}/task/{parent}/children").read_text().split()]


def is_worker(process: int) -> bool:
    return b"spawn_main" in Path(f"/proc/{process}/cmdline").read_bytes()


def wait_for_a_part(process: subprocess.Popen[str], out: Path) -> None:
    """Until something is done, and not everything."""
    deadline = time.monotonic() + 120
    while not list(out.glob("tubes/*.parquet")):
        assert process.poll() is None, process.communicate()
        assert time.monotonic() < deadline
        time.sleep(0.01)


@pytest.mark.parametrize("victim", ["worker", "head"])
def test_processes_that_are_killed(
    victim: str, videos: Path, model: Path, unbroken: list[dict[str, object]], tmp_path: Path
) -> None:
    out = tmp_path / "out"
    line = command(videos, model, out, "--engine", "processes", "--workers", "2")
    process = subprocess.Popen(line, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    wait_for_a_part(process, out)
    workers = [child for child in children(process.pid) if is_worker(child)]
    os.kill(workers[0] if victim == "worker" else process.pid, signal.SIGKILL)
    _, said = process.communicate(timeout=120)
    if victim == "worker":
        assert process.returncode == 2
        assert said.strip().splitlines()[-1].startswith("amtnet: a worker process died")
    else:
        assert process.returncode == -signal.SIGKILL
        deadline = time.monotonic() + 60
        while any(Path(f"/proc/{worker}").exists() for worker in workers):  # none is left behind
            assert time.monotonic() < deadline
            time.sleep(0.05)
    done = len(list(out.glob("tubes/*.parquet")))
    assert 0 < done < COUNT
    summary = run(setup_of(model, out, **AS_THE_COMMAND), videos)
    assert (summary.known, summary.recordings) == (done, COUNT - done)
    assert rows_of(out) == unbroken
    assert not list(out.rglob("*.part"))


def test_one_that_is_told_to_end_ends_at_once_with_its_workers(videos: Path, model: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    line = command(videos, model, out, "--engine", "processes", "--workers", "1")
    process = subprocess.Popen(line, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    wait_for_a_part(process, out)
    workers = [child for child in children(process.pid) if is_worker(child)]
    process.send_signal(signal.SIGTERM)
    _, said = process.communicate(timeout=60)
    assert process.returncode == 130
    assert "interrupted: what is done is kept; run it again to go on" in said
    assert "Traceback" not in said
    assert workers
    assert not any(Path(f"/proc/{worker}").exists() for worker in workers)
    assert 0 < len(list(out.glob("tubes/*.parquet"))) < COUNT
    assert not list(out.rglob("*.part"))


def test_two_do_not_write_to_one_archive_at_once(videos: Path, model: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    first = subprocess.Popen(
        command(videos, model, out, "--workers", "0"), stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True
    )
    wait_for_a_part(first, out)
    second = subprocess.run(command(videos, model, out, "--workers", "0"), capture_output=True, text=True)
    first.kill()
    first.communicate()
    assert second.returncode == 2
    assert second.stderr.strip().splitlines()[-1].endswith("another amtnet archive is at work there")
