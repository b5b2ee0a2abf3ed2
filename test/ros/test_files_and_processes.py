"""Files as the player, the recorder and the demo meet them; how the executables begin, and how they end."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
import time
from pathlib import Path

import cv2
import numpy as np
import pytest
from broken_pictures import KINDS
from clips import camera_in_a_pipe, pattern, write_clip
from sensor_msgs.msg import CompressedImage, Image
from stage import Stage, ends, wait_until
from std_msgs.msg import Header

from amtnet_ros.errors import UserError
from amtnet_ros.ros.messages import nanoseconds, time_message
from amtnet_ros.ros.process import ros

ROOT = Path(__file__).resolve().parents[2]
LATIN_1 = os.fsdecode(b"caf\xe9")


def test_a_video_is_played_at_its_own_times(stage: Stage, tmp_path: Path) -> None:
    times = [0.0, 0.04, 0.08, 0.5, 0.52, 1.8, 1.84]
    clip = write_clip(tmp_path / f"{LATIN_1}.webm", "libvpx", len(times), times, rate=1000)
    heard: list[Image] = []
    stage.node.create_subscription(Image, "/eye", heard.append, 30)
    player = stage.run("player", str(clip), "--topic", "/eye", "--stamps", "source", "--wait", "40")
    begun = time.monotonic()
    assert player.wait() == 0, player.output
    assert time.monotonic() - begun > times[-1]
    wait_until(lambda: len(heard) == len(times), "all images arrive")
    np.testing.assert_allclose([nanoseconds(image.header.stamp) / 1e9 for image in heard], times, atol=1e-6)
    assert "no frames between 0.52 and 1.80 s" in player.output


def test_a_player_whose_camera_is_silent_ends_when_it_is_told_to(stage: Stage, tmp_path: Path) -> None:
    heard: list[Image] = []
    stage.node.create_subscription(Image, "/eye", heard.append, 30)
    with camera_in_a_pipe(tmp_path / "camera.ts") as silent:
        player = stage.run("player", str(tmp_path / "camera.ts"), "--topic", "/eye", "--wait", "40")
        wait_until(lambda: len(heard) > 3, "images come")
        silent.set()
        time.sleep(0.5)
        assert player.end(signal.SIGTERM, timeout=20) == 0, player.output
    assert "Traceback" not in player.output


def test_an_absurd_picture_costs_the_recorder_that_picture(stage: Stage, tmp_path: Path) -> None:
    tubes, video = tmp_path / f"{LATIN_1}.jsonl", tmp_path / f"{LATIN_1}.mp4"
    pictures = stage.node.create_publisher(CompressedImage, "/camera/image_raw/compressed", 30)
    recorder = stage.run("recorder", "--tubes", str(tubes), "--video", str(video), "--compressed")
    wait_until(pictures.get_subscription_count, "the recorder subscribes")
    good = cv2.imencode(".png", pattern(0))[1].tobytes()
    broken = [make(60_000, 60_000) for make in KINDS.values()]
    for data in [good, *broken, good, good]:
        header = Header(stamp=time_message(time.time_ns()))
        pictures.publish(CompressedImage(header=header, format="png", data=data))
        time.sleep(0.05)
    recorder.wait_for("cannot be decoded")
    time.sleep(0.5)
    assert recorder.end(signal.SIGHUP) == 0, recorder.output
    assert "3 images recorded" in recorder.output
    assert "Traceback" not in recorder.output
    assert tubes.exists()
    assert video.exists()


def test_absurd_pictures_cost_the_detector_those_pictures_and_no_tube(stage: Stage) -> None:
    pictures = stage.node.create_publisher(CompressedImage, "/image/compressed", 30)
    parameters = {"autostart": "true", "model": str(stage.model), "image_transport": "compressed"}
    assignments = [word for name, value in parameters.items() for word in ("-p", f"{name}:={value}")]
    detector = stage.run("detector_node", "--ros-args", *assignments)
    detector.wait_for("Looking at")
    wait_until(pictures.get_subscription_count, "the detector subscribes")
    stage.be_heard()
    good = cv2.imencode(".png", np.full((48, 64, 3), 250, np.uint8))[1].tobytes()
    broken = [make(60_000, 60_000) for make in KINDS.values()]
    stamp = time.time_ns()

    def show(data: bytes) -> None:
        nonlocal stamp
        stamp += 33_333_333
        answers = len(stage.tubes)
        pictures.publish(CompressedImage(header=Header(stamp=time_message(stamp)), format="png", data=data))
        if data is good:
            wait_until(lambda: len(stage.tubes) > answers, "it is looked at")
        else:
            time.sleep(0.1)  # or the next one takes its place before it is looked at

    for data in [good] * 5 + [each for one in broken for each in (one, good)] + [good] * 5:
        show(data)
    assert len({bytes(np.asarray(message.session.uuid)) for message in stage.tubes}) == 1
    assert {tube.id for message in stage.tubes for tube in message.tubes} == {1}
    assert not ends(stage.tubes)
    assert "cannot be decoded" in detector.output
    assert "Traceback" not in detector.output


def test_the_recorders_two_files_are_two(stage: Stage, tmp_path: Path) -> None:
    recorder = stage.run("recorder", "--tubes", str(tmp_path / "a.mp4"), "--video", str(tmp_path / "a.mp4"))
    assert recorder.wait() == 2
    assert re.fullmatch(r"recorder: .*a\.mp4: would overwrite .*a\.mp4, which is the same file.*\n", recorder.output)


def run(*arguments: str, cwd: Path, **variables: str | None) -> subprocess.CompletedProcess[str]:
    """Run Python with these arguments; a variable that is None is taken out of the environment."""
    path = os.pathsep.join([str(ROOT), *filter(None, [os.environ.get("PYTHONPATH")])])
    environment = {**os.environ, "PYTHONPATH": path, **variables}
    return subprocess.run(
        [sys.executable, *arguments],
        cwd=cwd,
        env={name: value for name, value in environment.items() if value is not None},
        capture_output=True,
        text=True,
        timeout=120,
    )


@pytest.mark.parametrize(
    ("variables", "words"),
    [
        ({"HOME": None}, "neither HOME nor ROS_LOG_DIR is set; set ROS_LOG_DIR to a folder that can be written"),
        ({"HOME": "/proc/nowhere"}, "/proc/nowhere/.ros/log (by HOME) cannot be made or written"),
        ({"ROS_LOG_DIR": "/proc/nowhere"}, "/proc/nowhere (by ROS_LOG_DIR) cannot be made or written"),
    ],
)
def test_a_log_that_cannot_be_written_is_said_for_what_it_is(
    tmp_path: Path, variables: dict[str, str | None], words: str
) -> None:
    clear = {"ROS_LOG_DIR": None, "ROS_HOME": None}
    done = run("-m", "amtnet_ros.ros.detector_node", cwd=tmp_path, **{**clear, **variables})
    assert done.returncode == 2
    *of_ros, line = done.stderr.splitlines()  # Jazzy's rcutils has something to say of itself, too
    assert line.startswith(f"detector: ROS cannot write its log: {words}")
    assert "Traceback" not in "".join(of_ros)


@pytest.mark.parametrize("domain", ["500", "-1", "robot", "1.5"])
def test_a_domain_that_there_is_not_is_said_for_what_it_is(domain: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ROS_DOMAIN_ID", domain)
    with pytest.raises(UserError, match=f"ROS_DOMAIN_ID is '{domain}'; set it to a number from 0 to 232"), ros([]):
        pass


def test_the_demo_says_why_the_detector_cannot_start(tmp_path: Path) -> None:
    write_clip(tmp_path / "clip.mp4", count=5)
    none = {"HOME": None, "ROS_LOG_DIR": None, "ROS_HOME": None}
    done = run("-m", "amtnet_ros.cli.main", "demo", "clip.mp4", cwd=tmp_path, **none)
    assert done.returncode == 2
    assert done.stderr.startswith("amtnet: the detector cannot start: ROS cannot write its log: neither HOME nor")
    assert len(done.stderr.splitlines()) == 1


def test_the_demo_does_not_remove_its_own_input(tmp_path: Path) -> None:
    (tmp_path / "out" / "demo").mkdir(parents=True)
    clip = write_clip(tmp_path / "out" / "demo" / "tubes.mp4", count=5)
    before = clip.read_bytes()
    done = run("-m", "amtnet_ros.cli.main", "demo", str(clip), cwd=tmp_path)
    assert done.returncode == 2
    assert "would overwrite" in done.stderr
    assert clip.read_bytes() == before


def test_a_models_name_that_ros_cannot_have_is_said_before_anything_starts(tmp_path: Path) -> None:
    write_clip(tmp_path / "clip.mp4", count=5)
    done = run("-m", "amtnet_ros.cli.main", "demo", "clip.mp4", "--model", LATIN_1, cwd=tmp_path)
    assert done.returncode == 2
    assert done.stderr == "amtnet: caf?: the model's name is not UTF-8, as ROS parameters must be\n"
    assert not (tmp_path / "out").exists()


def executable(folder: Path, name: str, module: str) -> Path:
    """One of the executables, as CMakeLists.txt writes them."""
    text = (ROOT / "CMakeLists.txt").read_text(encoding="utf-8")
    content = text.split('CONTENT "', 1)[1].split('\n")', 1)[0].replace('\\"', '"')
    script = folder / name
    script.write_text(content.replace("@Python3_EXECUTABLE@", sys.executable).replace("@module@", module) + "\n")
    script.chmod(0o755)
    return script


@pytest.mark.parametrize("after", [0.0, 0.3])
@pytest.mark.parametrize(
    ("name", "module", "arguments"),
    [
        ("detector", "ros.detector_node", []),
        ("player", "ros.player", ["clip.mp4", "--wait", "60"]),
        ("recorder", "ros.recorder", ["--tubes", "t.jsonl"]),
    ],
)
def test_ctrl_c_at_the_start_of_an_executable_ends_it_quietly(
    tmp_path: Path, name: str, module: str, arguments: list[str], after: float
) -> None:
    """after: seconds since its first lines were run. Until then Python itself answers Ctrl-C, as it likes."""
    write_clip(tmp_path / "clip.mp4", count=5)
    (tmp_path / "early").mkdir()
    (tmp_path / "early" / "sitecustomize.py").write_text("open('begun', 'w').close()")  # is run by those lines
    path = os.pathsep.join([str(tmp_path / "early"), str(ROOT), *filter(None, [os.environ.get("PYTHONPATH")])])
    process = subprocess.Popen(
        [executable(tmp_path, name, module), *arguments],
        cwd=tmp_path,
        env={**os.environ, "PYTHONPATH": path, "ROS_DOMAIN_ID": "101"},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    wait_until((tmp_path / "begun").exists, "it has begun")
    time.sleep(after)
    process.send_signal(signal.SIGINT)
    said, errors = process.communicate(timeout=60)
    assert process.returncode in (130, 0)
    assert "Traceback" not in said + errors
    if process.returncode:
        assert (said, errors) == ("", "")


def test_the_command_and_its_table_suit_any_terminal(tmp_path: Path) -> None:
    done = run("-m", "amtnet_ros.cli.main", "models", cwd=tmp_path, PYTHONIOENCODING="ascii", LC_ALL="C")
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout.isascii()
    assert "actions" in done.stdout
