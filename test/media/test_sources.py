"""What comes out of files as cameras, phones, browsers and broken disks leave them."""

from __future__ import annotations

import os
import subprocess
import sys
from fractions import Fraction
from pathlib import Path

import av
import cv2
import numpy as np
import pytest
from broken_pictures import KINDS
from clips import SIZE, damage, pattern, write_clip

from amtnet_ros.errors import UserError
from amtnet_ros.media.presentation import PresentationClock, usual_rate
from amtnet_ros.media.video import VideoWriter, open_source

SECOND = 1_000_000_000
LATIN_1 = os.fsdecode(b"caf\xe9")


def stamps(path: Path, said: list[str] | None = None) -> np.ndarray:
    """The stamps in seconds."""
    told: list[str] = [] if said is None else said
    return np.array([stamp for stamp, _ in open_source(str(path), told.append).stamped()]) / SECOND


# Times


def test_a_browsers_nominal_1000_frames_a_second_are_not_its_rate(tmp_path: Path) -> None:
    times = np.cumsum(np.random.default_rng(3).uniform(0.025, 0.042, 120))  # about 4 s
    clip = write_clip(tmp_path / "clip.webm", "libvpx", 120, times, rate=1000)
    with av.open(str(clip)) as container:
        assert container.streams.video[0].average_rate in (1000, None), "which is not true"
    np.testing.assert_allclose(stamps(clip), times - times[0], atol=0.0011)
    assert open_source(str(clip)).rate == pytest.approx(30, rel=0.05)


@pytest.mark.parametrize(("suffix", "codec"), [(".mkv", "libx264"), (".mp4", "libx264"), (".webm", "libvpx-vp9")])
def test_variable_rates_and_holes_are_kept_and_holes_are_told(tmp_path: Path, suffix: str, codec: str) -> None:
    times = np.concatenate([np.arange(20) / 30, 2 + np.arange(20) / 10, 9 + np.arange(20) / 30])
    said: list[str] = []
    np.testing.assert_allclose(stamps(write_clip(tmp_path / f"clip{suffix}", codec, 60, times), said), times, atol=2e-3)
    assert [line.split(": ", 1)[1] for line in said] == ["no frames between 0.63 and 2.00 s, and 1 more such holes"]


def test_a_clip_of_constant_rate_has_the_stamps_of_that_rate_to_the_nanosecond(data_root: Path) -> None:
    clips = [min((data_root / "jhmdb21/videos/golf").glob("*.mp4"))]
    clips += [min((data_root / "ucf101_24/videos" / name).glob("*.mp4")) for name in ("Biking", "Surfing")]
    for clip in clips:
        source = open_source(str(clip))
        told = [stamp for stamp, _ in source.stamped()]
        assert told == [round(number / source.rate * 1e9) for number in range(source.frames)]


def test_an_avi_numbers_its_frames_and_says_no_times(tmp_path: Path) -> None:
    clip = write_clip(tmp_path / "clip.avi", "mpeg4", 20, rate=25)
    np.testing.assert_allclose(stamps(clip), np.arange(20) / 25, atol=1e-9)


@pytest.mark.parametrize(
    ("times", "expected"),
    [
        ([None] * 4, [0, 100, 200, 300]),
        ([5000, 5000, 5000, 5000], [0, 100, 200, 300]),
        ([7000, 7050, 7300, 7310], [0, 50, 300, 310]),  # what grows is believed, from the first on
        ([0, 100, 200, 250, 240, 400], [0, 100, 200, 250, 350, 400]),  # one that falls back a little waits
        ([0, 100, 2000, 0, 40], [0, 100, 2000, 2100, 2140]),  # one that falls back far begins anew
        ([None, None, 900, 950], [0, 100, 200, 250]),
        ([0, 10**12, 10**12 + 50], [0, 100, 150]),  # a leap of years is a mistake
    ],
)
def test_times_are_believed_where_they_exist_and_grow(times: list[int | None], expected: list[int]) -> None:
    clock = PresentationClock(rate=10)
    told = [clock.stamp(None if time is None else Fraction(time, 1000)) for time in times]
    assert told == [each * 1_000_000 for each in expected]


def test_a_lost_frame_leaves_its_time_out_where_there_are_no_times() -> None:
    clock = PresentationClock(rate=10)
    told = [clock.stamp(None)]
    clock.skip()
    assert [*told, clock.stamp(None)] == [0, 200_000_000]


def test_the_usual_rate_is_that_of_most_steps() -> None:
    times = [Fraction(each, 100) for each in (0, 4, 8, 8, 12, 900, 904)]
    assert usual_rate(times) == pytest.approx(25)
    assert usual_rate([Fraction(1), Fraction(1)]) is None


# Which way up

EXIF = {  # orientation → the display matrix (a, b, c, d), and what it does to a picture
    1: ((1, 0, 0, 1), lambda image: image),
    2: ((-1, 0, 0, 1), np.fliplr),
    3: ((-1, 0, 0, -1), lambda image: np.rot90(image, 2)),
    4: ((1, 0, 0, -1), np.flipud),
    5: ((0, 1, 1, 0), lambda image: image.swapaxes(0, 1)),
    6: ((0, 1, -1, 0), lambda image: np.rot90(image, -1)),
    7: ((0, -1, -1, 0), lambda image: np.rot90(image, 2).swapaxes(0, 1)),
    8: ((0, -1, 1, 0), np.rot90),
}


@pytest.mark.skipif(
    av.library_versions["libavcodec"] < (60, 30), reason="before 6.1 FFmpeg does not tell which way up a film is"
)
@pytest.mark.parametrize("orientation", EXIF)
def test_turned_and_mirrored_videos_are_read_upright(tmp_path: Path, orientation: int) -> None:
    (a, b, c, d), turned = EXIF[orientation]
    image = np.full((48, 64, 3), 30, np.uint8)
    image[:16, :40], image[16:24, :8] = 220, 120  # like no turned or mirrored picture of itself
    with VideoWriter(tmp_path / "clip.mp4") as writer:
        writer.write(image, 0.0)
    data = (tmp_path / "clip.mp4").read_bytes()

    def matrix(a: int, b: int, c: int, d: int, x: int, y: int) -> bytes:
        entries = (a << 16, b << 16, 0, c << 16, d << 16, 0, x << 16, y << 16, 1 << 30)
        return b"".join(value.to_bytes(4, "big", signed=True) for value in entries)

    place = data.index(matrix(1, 0, 0, 1, 0, 0), data.index(b"tkhd"))
    shifted = matrix(a, b, c, d, 64 * (a < 0) + 48 * (c < 0), 48 * (d < 0) + 64 * (b < 0))
    (tmp_path / "turned.mp4").write_bytes(data[:place] + shifted + data[place + len(shifted) :])
    (frame,) = open_source(str(tmp_path / "turned.mp4"))
    np.testing.assert_allclose(frame.astype(int), turned(image), atol=25)


# Names


@pytest.mark.parametrize("name", [LATIN_1, "²", "ünïcode ✓", "a b'c\"d", "1e5"])
def test_any_name_will_do(tmp_path: Path, name: str) -> None:
    clip = write_clip(tmp_path / f"{name}.mp4", count=5)
    assert len(stamps(clip)) == 5
    folder = tmp_path / name
    folder.mkdir()
    for number in ("0", "²0", name):
        (folder / f"{number}.png").write_bytes(cv2.imencode(".png", pattern(0))[1].tobytes())
    assert len(stamps(folder)) == len({"0", "²0", name})
    with VideoWriter(tmp_path / f"out {name}.mp4") as writer:
        writer.write(pattern(0), 0.0)
    assert len(stamps(tmp_path / f"out {name}.mp4")) == 1


@pytest.mark.parametrize("name", ["2026-11-28T10:30:05.mp4", "concat:a.mp4", "http:x.mp4", "-i.mp4", "%03d.mp4"])
def test_a_name_that_ffmpeg_takes_for_an_address_is_that_of_a_file(
    tmp_path: Path, name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    write_clip(tmp_path / "clip.mp4", count=5).rename(tmp_path / name)
    assert len(stamps(Path(name))) == 5


@pytest.mark.parametrize("suffix", ["mkv", "mp4"])
def test_a_thumbnail_is_not_taken_for_the_film(tmp_path: Path, suffix: str) -> None:
    file = tmp_path / f"clip.{suffix}"
    if suffix == "mkv" and not hasattr(av.container.streams.StreamContainer, "best"):
        pytest.skip("this PyAV does not tell which of a Matroska file's streams is the film")
    with av.open(str(file), "w") as container:
        cover, film = container.add_stream("mjpeg", rate=1), container.add_stream("libx264", rate=30)
        (cover.width, cover.height), cover.pix_fmt = (320, 240), "yuvj420p"
        (film.width, film.height), film.pix_fmt = SIZE, "yuv420p"
        picture = av.VideoFrame.from_ndarray(np.zeros((240, 320, 3), np.uint8), format="rgb24")
        for stream, frames in ((cover, [picture.reformat(format="yuvj420p")]), (film, map(frame_of, range(20)))):
            for frame in (*frames, None):
                container.mux(stream.encode(frame))
    assert [image.shape for image in open_source(str(file))] == 20 * [(64, 96, 3)]


def frame_of(number: int) -> av.VideoFrame:
    return av.VideoFrame.from_ndarray(pattern(number), format="rgb24")


def test_numbers_in_names_count_whatever_stands_around_them(tmp_path: Path) -> None:
    names = ["01.png", "1.png", "2.png", "10.png", "a2b10.png", "a10b2.png", "x.png", "²0.png"]
    for value, name in enumerate(names):
        (tmp_path / name).write_bytes(cv2.imencode(".png", np.full((4, 4, 3), value, np.uint8))[1].tobytes())
    assert [int(image[0, 0, 0]) for image in open_source(str(tmp_path))] == list(range(len(names)))


# Damage


@pytest.mark.parametrize(
    ("name", "codec"),
    [
        ("clip.mp4", "libx264"),
        ("clip.mkv", "libx264"),
        ("clip.webm", "libvpx-vp9"),
        ("clip.mp4", "libx265"),
        ("clip.mp4", "libsvtav1"),
        ("clip.mkv", "ffv1"),
    ],
)
def test_a_video_damaged_in_the_middle_loses_what_is_damaged(tmp_path: Path, name: str, codec: str) -> None:
    if codec not in av.codecs_available:
        pytest.skip(f"this FFmpeg has no {codec}")
    whole = write_clip(tmp_path / name, codec, count=90)
    said: list[str] = []
    read = stamps(damage(whole, 0.3, 0.4), said)
    assert 45 <= len(read) < 90
    away = np.abs(read[:, None] - stamps(whole)).min(axis=1)
    assert (away < 1e-6).mean() > 0.95, "every frame keeps its own time"
    assert away.max() < 0.034, "but where the decoder gives two the same"
    assert read[-1] > 2.9, "it goes on behind the damage"
    assert said
    assert all("damaged-clip" in line and "\n" not in line for line in said)


def test_who_needs_every_frame_is_told_where_a_video_is_broken(tmp_path: Path) -> None:
    damaged = damage(write_clip(tmp_path / "clip.mp4"), 0.3, 0.4)
    with pytest.raises(UserError, match=r"damaged-clip\.mp4: the video is broken after frame \d+ \(invalid data"):
        list(open_source(str(damaged)))


def test_a_folder_with_a_few_bad_images_loses_those(tmp_path: Path) -> None:
    for number in range(20):
        (tmp_path / f"{number}.png").write_bytes(cv2.imencode(".png", pattern(number))[1].tobytes())
    (tmp_path / "3.png").write_bytes(b"")
    (tmp_path / "7.png").unlink()
    (tmp_path / "7.png").symlink_to("gone.png")
    for suffix, make in KINDS.items():
        (tmp_path / f"12{suffix}").write_bytes(make(60_000, 60_000))
    for hidden in ("._1.png", ".DS_Store", "Thumbs.db"):
        (tmp_path / hidden).write_bytes(b"\0\5\26\7")
    (tmp_path / "folder.png").mkdir()
    said: list[str] = []
    told = stamps(tmp_path, said)
    read = [number for number in range(24) if number not in (3, 7, *range(12, 17))]
    np.testing.assert_allclose(told, np.array(read) / 30, atol=1e-9)
    (line,) = said
    assert line == (
        f"{tmp_path}: 7 of 24 images cannot be read and were left out, first 3.png (cannot be decoded as an image)"
    )
    with pytest.raises(UserError, match=r"3\.png: cannot be decoded as an image"):
        list(open_source(str(tmp_path)))


def test_a_folder_of_nothing_but_bad_images_says_so(tmp_path: Path) -> None:
    for number in range(3):
        (tmp_path / f"{number}.jpg").write_bytes(b"")
    with pytest.raises(UserError, match=r"none of 3 images can be read, first 0\.jpg \(cannot be decoded"):
        stamps(tmp_path)


def test_a_thousand_in_a_row_are_enough(tmp_path: Path) -> None:
    (tmp_path / "0.png").write_bytes(cv2.imencode(".png", pattern(0))[1].tobytes())
    for number in range(1, 1200):
        (tmp_path / f"{number}.png").touch()
    said: list[str] = []
    assert list(stamps(tmp_path, said)) == [0.0]
    assert said[0].startswith(f"{tmp_path}: 1000 of 1001 images cannot be read")
    assert said[0].endswith("the last 1000 in a row; given up there")


def test_videos_that_are_left_early_are_closed_without_waiting_for_anybody(tmp_path: Path) -> None:
    clip = write_clip(tmp_path / "clip.mp4")
    program = (
        "import sys\n"
        "from amtnet_ros.media.video import open_source\n"
        "for _ in range(30):\n"
        "    next(iter(open_source(sys.argv[1])))\n"
    )
    subprocess.run([sys.executable, "-c", program, str(clip)], check=True, timeout=60)
