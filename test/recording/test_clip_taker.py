"""Clips hold the images from before the key to after it; files are whole, told of, and never one another's."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from amtnet_ros.errors import UserError
from amtnet_ros.media.video import open_source
from amtnet_ros.recording.session import MOST_WAITING, ClipTaker
from amtnet_ros.recording.tape import Tape

KEYS = {"w": "wave", "n": "none"}


class Scene:
    """A camera of ten images a second, whose brightness tells the time, from second 100 on."""

    def __init__(self, folder: Path) -> None:
        self.folder, self.said, self.now = folder, list[str](), 100.0
        self.tape = Tape(4.0)
        self.taker = ClipTaker(folder, KEYS, self.tape, (1.0, 2.0), self.said.append)

    def film(self, until: float) -> None:
        while self.now < until - 1e-6:
            level = round((self.now - 100) * 20)
            self.tape.add(np.full((48, 64, 3), level, np.uint8), self.now)
            self.taker.tick(self.now)
            self.now = round(self.now + 0.1, 1)


@pytest.fixture
def scene(tmp_path: Path) -> Scene:
    return Scene(tmp_path / "clips")


def times(file: Path) -> list[float]:
    """The seconds that a clip's images tell."""
    return [round(100 + float(image.mean()) / 20, 1) for image in open_source(str(file))]


def test_a_clip_reaches_from_before_the_key_to_after_it(scene: Scene) -> None:
    scene.film(103)
    scene.taker.press("w", 103.0)
    scene.film(105)
    assert not list(scene.folder.rglob("*.mp4"))
    scene.film(106)
    scene.taker.close(keep=False)
    (file,) = (scene.folder / "wave").iterdir()
    np.testing.assert_allclose(times(file), np.arange(102, 105.05, 0.1), atol=0.11)
    assert len(times(file)) == 31
    assert open_source(str(file)).rate == pytest.approx(10, rel=0.01)
    assert scene.said == ["wave …", f"{file}: 3.0 s, 31 images; wave: 1 taken"]


def test_two_clips_may_overlap_and_of_one_second_have_two_names(scene: Scene) -> None:
    scene.film(102)
    for key in ("w", "n", "w"):
        scene.taker.press(key, scene.now)
    scene.film(105)
    scene.taker.close(keep=False)
    assert scene.taker.taken == {"wave": 2, "none": 1}
    assert sorted(len(list((scene.folder / action).iterdir())) for action in KEYS.values()) == [1, 2]


def test_a_clip_that_is_not_over_is_kept_only_where_the_camera_has_ended(scene: Scene, tmp_path: Path) -> None:
    scene.film(102)
    scene.taker.press("w", scene.now)
    scene.film(103)
    scene.taker.close(keep=False)
    assert not scene.folder.exists()
    assert scene.said[-1] == "wave: not kept, it was not over yet"
    other = Scene(tmp_path / "other")
    other.film(102)
    other.taker.press("w", other.now)
    other.film(103)
    other.taker.close(keep=True)
    assert "1.9 s, 20 images, shorter than asked for; wave: 1 taken" in other.said[-1]


def test_keys_that_can_take_nothing_say_so(scene: Scene) -> None:
    scene.taker.press("w", scene.now)
    scene.film(102)
    scene.taker.press("x", scene.now)
    for _ in range(MOST_WAITING + 1):
        scene.taker.press("w", scene.now)
    scene.taker.close(keep=False)
    assert scene.said[0] == "wave: not taken, no image has come yet"
    assert scene.said[1] == "'x' is no key of an action: w wave   n none"
    assert scene.said[2 : 2 + MOST_WAITING] == ["wave …"] * MOST_WAITING
    assert "4 clips are still being taken or written" in scene.said[2 + MOST_WAITING]


def test_what_cannot_be_written_is_the_sessions_failure_and_leaves_nothing(scene: Scene) -> None:
    scene.folder.mkdir()
    (scene.folder / "wave").write_text("a file where a folder should be")
    scene.film(102)
    scene.taker.press("w", scene.now)
    scene.film(105)
    scene.taker.close(keep=False)
    assert isinstance(scene.taker.failure, UserError)
    assert str(scene.folder / "wave") in str(scene.taker.failure)
    assert [path.name for path in scene.folder.iterdir()] == ["wave"]


def test_a_full_disk_leaves_no_half_file(tmp_path: Path) -> None:
    program = f"""
import numpy as np
import resource
from pathlib import Path
from amtnet_ros.errors import UserError
from amtnet_ros.recording.tape import Tape, write_clip

tape = Tape(60.0)
for i in range(30):
    tape.add(np.random.default_rng(i).integers(0, 256, (96, 128, 3), dtype=np.uint8), i / 10)
resource.setrlimit(resource.RLIMIT_FSIZE, (4096, 4096))
try:
    write_clip(Path({str(tmp_path / "clip.mp4")!r}), tape.cut(0, 60))
except UserError as error:
    print(error)
"""
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, timeout=120)
    assert f"{tmp_path / 'clip.mp4'}: cannot be written (" in done.stdout, done.stderr
    assert list(tmp_path.iterdir()) == []
