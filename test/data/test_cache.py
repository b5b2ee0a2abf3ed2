"""The cache of frames and flow: right, whole whatever happens, and never stale."""

import itertools
import os
import signal
import subprocess
import sys
import time
from dataclasses import replace

import action_clips as clips
import numpy as np
import pytest

from amtnet_ros.data.cache import VideoCache
from amtnet_ros.data.custom import read_custom
from amtnet_ros.errors import UserError
from amtnet_ros.flow.contract import to_working_size
from amtnet_ros.flow.dis import DisFlow
from amtnet_ros.flow.encoding import encode_flow
from amtnet_ros.media.video import open_source

ENGINE = "dis:ultrafast"


@pytest.fixture(scope="module")
def videos(tmp_path_factory):
    dataset = read_custom(clips.make_actions(tmp_path_factory.mktemp("clips"), per_class=1))
    return list(dataset.videos.values())


def files(folder):
    return sorted(path for path in folder.rglob("*") if path.is_file())


def test_frames_and_flow_are_those_of_the_video(videos, tmp_path):
    cache = VideoCache(tmp_path, ENGINE)
    cache.fill(videos[:1])
    images = [to_working_size(image, (320, 240)) for image in open_source(str(videos[0].path))]
    assert np.array_equal(cache.frames(videos[0]), images)
    dis = DisFlow("ultrafast")
    flows = [encode_flow(dis(a, b)) for a, b in itertools.pairwise(images)]
    assert np.array_equal(cache.flows(videos[0]), [*flows, flows[-1]])


def test_nothing_is_computed_twice(videos, tmp_path):
    VideoCache(tmp_path, ENGINE).fill(videos[:1])
    before = [(path, path.stat().st_mtime_ns) for path in files(tmp_path)]
    VideoCache(tmp_path, ENGINE).fill(videos[:1])
    assert [(path, path.stat().st_mtime_ns) for path in files(tmp_path)] == before


def test_a_process_killed_while_it_fills_leaves_only_whole_arrays(videos, tmp_path):
    """Killed for good, at several moments; then the rest is computed and everything is right."""
    script = (
        "import sys; from pathlib import Path; from amtnet_ros.data.cache import VideoCache;"
        "from amtnet_ros.data.custom import read_custom;"
        "v = list(read_custom(Path(sys.argv[1])).videos.values());"
        f"c = VideoCache(Path(sys.argv[2]), {ENGINE!r}); print('ready', flush=True); c.fill(v)"
    )
    annotations = videos[0].path.parent / "actions.json"
    ends = []
    for partial_bytes in (1, 1_500_000):
        command = [sys.executable, "-c", script, str(annotations), str(tmp_path)]
        with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL) as process:
            process.stdout.readline()
            while not any(p.stat().st_size >= partial_bytes for p in _partials(tmp_path)) and process.poll() is None:
                time.sleep(0.0005)
            process.send_signal(signal.SIGKILL)
        ends.append(process.returncode)
        whole = [path for path in files(tmp_path) if path.suffix == ".npy"]
        assert all(np.load(path, mmap_mode="r").shape == (12, 240, 320, 3) for path in whole)
    assert -signal.SIGKILL in ends, "no process was killed at work, so nothing was tested"
    cache = VideoCache(tmp_path, ENGINE)
    cache.fill(videos)
    fresh = VideoCache(tmp_path / "fresh", ENGINE)
    fresh.fill(videos)
    for video in videos:
        assert np.array_equal(cache.frames(video), fresh.frames(video))
        assert np.array_equal(cache.flows(video), fresh.flows(video))


def _partials(folder):
    found = []
    for path in folder.rglob("*.part"):
        try:
            path.stat()
        except FileNotFoundError:
            continue
        found.append(path)
    return found


def test_what_killed_processes_left_behind_is_removed_once_it_is_old(videos, tmp_path):
    (tmp_path / "frames").mkdir()
    old, new = tmp_path / "frames" / ".a.npy.1.part", tmp_path / "frames" / ".b.npy.2.part"
    for path in (old, new):
        path.touch()
    os.utime(old, (time.time() - 7200,) * 2)
    VideoCache(tmp_path, ENGINE).fill(videos[:1])
    assert (old.exists(), new.exists()) == (False, True)


def test_a_video_that_was_replaced_is_computed_anew(tmp_path):
    path = tmp_path / "clip.mp4"
    clips.make_clip(path, 0, seed=1)
    video = replace(_video(tmp_path), path=path)
    cache = VideoCache(tmp_path / "cache", ENGINE)
    cache.fill([video])
    first = np.array(cache.frames(video))
    clips.make_clip(path, 1, seed=2)
    with pytest.raises(UserError, match="must be filled with video"):
        cache.frames(video)
    cache.fill([video])
    assert not np.array_equal(cache.frames(video), first)


def _video(tmp_path):
    return next(iter(read_custom(clips.make_actions(tmp_path, per_class=1)).videos.values()))


def test_names_that_look_alike_as_files_are_kept_apart(videos, tmp_path):
    one, other = replace(videos[0], name="a/b"), replace(videos[1], name="a_b")
    cache = VideoCache(tmp_path, ENGINE)
    cache.fill([one, other])
    assert not np.array_equal(cache.frames(one), cache.frames(other))


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"n_frames": 13}, r"go_left_0\.mp4: has 12 frames, annotated as 13"),
        ({"n_frames": 11}, r"go_left_0\.mp4: has 12 frames, annotated as 11"),
        ({"n_frames": 1}, "has 1 frames; flow needs 2 or more"),
        ({"n_frames": 10**10}, r"need 4608000\.0 GB, and .* GB are free; choose another folder"),
        ({"path": None}, "has annotations only"),
    ],
)
def test_what_cannot_be_cached_is_named_and_leaves_nothing(videos, tmp_path, change, message):
    with pytest.raises(UserError, match=message):
        VideoCache(tmp_path, ENGINE).fill([replace(videos[0], **change)])
    assert files(tmp_path) == []


def test_files_that_are_missing_broken_or_in_the_way_are_named(videos, tmp_path):
    broken = tmp_path / "broken.mp4"
    broken.write_bytes(b"no video")
    with pytest.raises(UserError, match=r"broken\.mp4: cannot be read as a video"):
        VideoCache(tmp_path / "cache", ENGINE).fill([replace(videos[0], path=broken)])
    with pytest.raises(UserError, match=r"gone\.mp4: cannot be opened"):
        VideoCache(tmp_path / "cache", ENGINE).fill([replace(videos[0], path=tmp_path / "gone.mp4")])
    with pytest.raises(UserError, match=r"broken\.mp4: cannot be used as a cache"):
        VideoCache(broken, ENGINE).fill(videos[:1])
    cache = VideoCache(tmp_path / "cache", ENGINE)
    cache.fill(videos[:1])
    (damaged,) = (tmp_path / "cache" / "frames").iterdir()
    damaged.write_bytes(b"short")
    with pytest.raises(UserError, match=r"damaged .* delete it"):
        cache.frames(videos[0])
