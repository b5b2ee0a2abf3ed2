"""The same on Ray, which starts here by itself, and gives the task of a worker that was killed to a new one."""

from __future__ import annotations

import os
import signal
from pathlib import Path

import pytest
from recordings import Quiet, rows_of, run, setup_of, write_video

pytest.importorskip("ray", reason="ray is not installed: ./check installs it")


def test_a_worker_that_is_killed_costs_nothing(tmp_path: Path, model: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("RAY_raylet_start_wait_time_s", "300")  # on a machine with much to do half a minute is short
    import ray

    from amtnet_ros.archive.archiving import archive
    from amtnet_ros.archive.engines import OnRay
    from amtnet_ros.archive.sources import find_sources

    videos = tmp_path / "videos"
    for seed in range(3):
        write_video(videos / f"{seed}.mp4", 1.0, seed=seed)
    run(setup_of(model, tmp_path / "unbroken", rate=10), videos)
    setup = setup_of(model, tmp_path / "out", rate=10)
    killed: list[int] = []

    class Killing(OnRay):
        """Kills a worker after its first answer."""

        def run(self, method, tasks):  # type: ignore[no-untyped-def]
            for answer in super().run(method, tasks):
                if method == "watch" and not killed:
                    killed.append(next(iter(workers())))
                    os.kill(killed[0], signal.SIGKILL)
                yield answer

    def workers() -> set[int]:
        """Ray names its processes after what they do."""
        found = set()
        for folder in Path("/proc").iterdir():
            if folder.name.isdigit() and b"ray::Worker" in (folder / "cmdline").read_bytes():
                found.add(int(folder.name))
        return found

    summary = archive(find_sources([str(videos)]), setup, lambda: Killing(setup, 1, None, 0), 300.0, Quiet())
    assert killed
    assert (summary.recordings, summary.failures) == (3, [])
    assert len(rows_of(tmp_path / "out")) == 3
    assert rows_of(tmp_path / "out") == rows_of(tmp_path / "unbroken")
    assert not ray.is_initialized()
