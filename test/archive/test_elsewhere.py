"""Sources and results on S3: a server of this machine that behaves like it."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from recordings import rows_of, run, setup_of, write_video

from amtnet_ros.archive.query import Wanted
from amtnet_ros.archive.search import Archive

server = pytest.importorskip("moto.server", reason="moto is not installed: ./check installs it")


@pytest.fixture
def bucket(monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    """The URL of an empty bucket."""
    import s3fs

    for name, value in (("AWS_ACCESS_KEY_ID", "any"), ("AWS_SECRET_ACCESS_KEY", "any"), ("AWS_REGION", "us-east-1")):
        monkeypatch.setenv(name, value)
    running = server.ThreadedMotoServer(port=0)
    running.start()
    host, port = running.get_host_and_port()
    monkeypatch.setenv("AWS_ENDPOINT_URL", f"http://{host}:{port}")
    s3fs.S3FileSystem.clear_instance_cache()
    s3fs.S3FileSystem().mkdir("robots")
    yield "s3://robots"
    s3fs.S3FileSystem.clear_instance_cache()
    running.stop()


def test_an_archive_on_s3_of_videos_on_s3_is_the_same(bucket: str, tmp_path: Path, model: Path) -> None:
    import s3fs

    videos = tmp_path / "videos"
    write_video(videos / "a.mp4", seed=1)
    write_video(videos / "deep/b.mp4", seed=2)
    s3fs.S3FileSystem().put(str(videos), f"{bucket}/in", recursive=True)
    s3fs.S3FileSystem().pipe(f"{bucket}/in/broken.mp4", b"nothing")
    run(setup_of(model, tmp_path / "out"), videos)
    summary = run(setup_of(model, f"{bucket}/out"), f"{bucket}/in")
    assert (summary.recordings, len(summary.failures)) == (2, 1)

    local, remote = rows_of(tmp_path / "out"), rows_of(f"{bucket}/out")
    assert [row["file"] for row in remote] == [f"{bucket}/in/a.mp4", f"{bucket}/in/deep/b.mp4"]
    for one, other in zip(local, remote, strict=True):
        assert {**one, "file": ""} == {**other, "file": ""}
    assert run(setup_of(model, f"{bucket}/out"), f"{bucket}/in").known == 2
    found = Archive(f"{bucket}/out").find("bright", Wanted(score=0.1))
    assert sorted(found["file"].to_pylist()) == [row["file"] for row in remote]
