"""Video files, image folders and webcams in; H.264 files out."""

from __future__ import annotations

from pathlib import Path

import av
import cv2
import numpy as np
import pytest

from amtnet_ros.errors import UserError
from amtnet_ros.media.video import VideoWriter, open_source


def grey(value: int, width: int = 64, height: int = 48) -> np.ndarray:
    return np.full((height, width, 3), value, dtype=np.uint8)


def write(path: Path, count: int = 8, rate: float = 25.0, step: int = 25) -> Path:
    with VideoWriter(path, rate) as writer:
        for number in range(count):
            writer.write(grey(step * number), number / rate)
    return path


@pytest.mark.parametrize("suffix", [".mp4", ".mkv", ".mov"])
def test_what_is_written_is_read_back(tmp_path: Path, suffix: str) -> None:
    source = open_source(str(write(tmp_path / f"clip{suffix}")))
    assert source.rate == pytest.approx(25.0, rel=0.05)
    frames = list(source)
    assert [frame.shape for frame in frames] == 8 * [(48, 64, 3)]
    np.testing.assert_allclose([frame.mean() for frame in frames], 25 * np.arange(8), atol=3)
    assert len(list(source)) == 8, "it can be read again"


def test_colours_survive(tmp_path: Path) -> None:
    image = np.zeros((48, 64, 3), dtype=np.uint8)
    image[:, :32] = (220, 30, 40)
    image[:, 32:] = (20, 40, 200)
    with VideoWriter(tmp_path / "clip.mp4") as writer:
        writer.write(image, 0.0)
    (frame,) = open_source(str(tmp_path / "clip.mp4"))
    np.testing.assert_allclose(frame[24, 8].astype(int), (220, 30, 40), atol=8)
    np.testing.assert_allclose(frame[24, 56].astype(int), (20, 40, 200), atol=8)


def test_times_are_kept_and_never_run_backwards(tmp_path: Path) -> None:
    with VideoWriter(tmp_path / "clip.mp4") as writer:
        for seconds in (0.0, 0.1, 0.5, 0.2, 0.9):
            writer.write(grey(100), seconds)
    with av.open(str(tmp_path / "clip.mp4")) as container:
        times = [frame.time for frame in container.decode(video=0)]
    np.testing.assert_allclose(times, [0.0, 0.1, 0.5, 0.5, 0.9], atol=0.002)
    assert times == sorted(set(times))


def test_odd_sizes_and_changing_sizes_are_written(tmp_path: Path) -> None:
    with VideoWriter(tmp_path / "clip.mp4") as writer:
        writer.write(grey(50, 63, 47), 0.0)
        writer.write(grey(200, 320, 240), 0.1)
    frames = list(open_source(str(tmp_path / "clip.mp4")))
    assert [frame.shape for frame in frames] == 2 * [(48, 64, 3)]


def test_an_interrupted_video_leaves_nothing(tmp_path: Path) -> None:
    def crash() -> None:
        with VideoWriter(tmp_path / "clip.mp4") as writer:
            writer.write(grey(50), 0.0)
            raise RuntimeError

    with pytest.raises(RuntimeError):
        crash()
    assert list(tmp_path.iterdir()) == []


def test_a_video_without_images_is_no_file(tmp_path: Path) -> None:
    with VideoWriter(tmp_path / "clip.mp4"):
        pass
    assert list(tmp_path.iterdir()) == []


def test_a_folder_is_read_in_natural_order(tmp_path: Path) -> None:
    for number in (1, 2, 10):
        cv2.imwrite(str(tmp_path / f"img{number}.png"), grey(number * 20))
    (tmp_path / "notes.txt").write_text("no image")
    source = open_source(str(tmp_path))
    assert source.frames == 3
    assert [int(frame[0, 0, 0]) for frame in source] == [20, 40, 200]


@pytest.mark.parametrize(
    ("name", "content", "words"),
    [
        ("missing.mp4", None, "no such file or folder"),
        ("text.mp4", b"this is no video", "cannot be read as a video"),
        ("empty.mp4", b"", "cannot be read as a video"),
    ],
)
def test_what_is_no_video_is_named_in_one_line(tmp_path: Path, name: str, content: bytes | None, words: str) -> None:
    if content is not None:
        (tmp_path / name).write_bytes(content)
    with pytest.raises(UserError) as caught:
        open_source(str(tmp_path / name))
    assert words in str(caught.value)
    assert name in str(caught.value)
    assert "\n" not in str(caught.value)


def test_a_video_cut_short_is_read_as_far_as_it_goes_and_then_named(tmp_path: Path) -> None:
    data = write(tmp_path / "clip.mkv", count=60, step=4).read_bytes()
    (tmp_path / "cut.mkv").write_bytes(data[: len(data) // 2])
    assert 0 < len(list(open_source(str(tmp_path / "cut.mkv")))) < 60


def test_folders_without_images_and_webcams_that_are_not_there_are_named(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="holds no images"):
        open_source(str(tmp_path))
    with pytest.raises(UserError, match="/dev/video97: there is no such webcam"):
        open_source("97")
    (tmp_path / "1.png").write_bytes(b"broken")
    with pytest.raises(UserError, match="cannot be decoded as an image"):
        list(open_source(str(tmp_path)))


def test_an_unknown_kind_of_video_cannot_be_written(tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"clip\.webm.*\.mp4"):
        VideoWriter(tmp_path / "clip.webm")
