"""One detector, several cameras: each has its own topics, tubes and health, and none is held up by another."""

from __future__ import annotations

import itertools
import json
import math
import signal
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
from diagnostic_msgs.msg import DiagnosticArray, DiagnosticStatus
from lifecycle_msgs.msg import Transition
from lifecycle_msgs.srv import ChangeState
from sensor_msgs.msg import Image
from stage import Process, Stage, ends, set_together, stamps_of, wait_until
from std_msgs.msg import Header
from std_srvs.srv import SetBool, Trigger

from amtnet_ros.client import Action, ActionClient
from amtnet_ros.errors import UserError
from amtnet_ros.msg import ActionTubeArray
from amtnet_ros.ros.conversions import image_from_rgb
from amtnet_ros.ros.messages import time_message
from amtnet_ros.ros.qos import RESULTS
from amtnet_ros.settings import TABLE

NAMES = ("front", "rear")
CAMERAS = f"cameras:={json.dumps(NAMES)}"
STEP = 66_666_667
SIZES = {"front": (64, 48), "rear": (80, 60)}
ACTIONS = {"front": "bright", "rear": "dark"}


def start(stage: Stage, *arguments: str) -> Process:
    """A detector with both cameras, on /front/image_raw and /rear/image_raw."""
    remaps = [word for name in NAMES for word in ("-r", f"{name}/image:=/{name}/image_raw")]
    given = ("-p", CAMERAS, "-p", f"model:={stage.model}", "-p", "autostart:=true", *remaps, *arguments)
    return stage.run("detector_node", "--ros-args", *given)


def listen(stage: Stage) -> dict[str, list[ActionTubeArray]]:
    """What comes of each camera."""
    heard: dict[str, list[ActionTubeArray]] = {name: [] for name in NAMES}
    for name, messages in heard.items():
        stage.node.create_subscription(ActionTubeArray, f"{name}/action_tubes", messages.append, RESULTS)
    return heard


def watch_health(stage: Stage) -> dict[str, DiagnosticStatus]:
    """The newest status by its name."""
    health: dict[str, DiagnosticStatus] = {}

    def note(message: DiagnosticArray) -> None:
        health.update({status.name: status for status in message.status})

    stage.node.create_subscription(DiagnosticArray, "/diagnostics", note, 10)
    return health


def clip(folder: Path, name: str) -> Path:
    """A folder of images: those of the front camera are bright, those of the rear camera dark."""
    made = folder / name
    made.mkdir()
    width, height = SIZES[name]
    level = {"front": 250, "rear": 0}[name]
    for number in range(24):
        cv2.imwrite(str(made / f"{number}.png"), np.full((height, width, 3), level + number % 5, dtype=np.uint8))
    return made


def play(stage: Stage, folder: Path, name: str, rate: int) -> Process:
    """A player as that camera, for ever."""
    topic = ("--topic", f"/{name}/image_raw", "--frame-id", f"{name}_eye")
    return stage.run("player", str(clip(folder, name)), *topic, "--rate", str(rate), "--loop", "--wait", "60")


def seen(messages: list[ActionTubeArray]) -> int:
    return sum(bool(message.tubes) for message in messages)


def sessions(messages: list[ActionTubeArray]) -> set[bytes]:
    return {bytes(np.asarray(message.session.uuid)) for message in messages}


def test_each_camera_has_its_own_tubes_and_a_dead_one_stalls_nobody(stage: Stage, tmp_path: Path) -> None:
    heard, health = listen(stage), watch_health(stage)
    detector = start(stage, "-p", "image_timeout:=1.5")
    players = {name: play(stage, tmp_path, name, rate) for name, rate in (("front", 20), ("rear", 7))}
    wait_until(lambda: all(seen(messages) >= 8 for messages in heard.values()), "both see something")
    for name, messages in heard.items():
        assert {message.header.frame_id for message in messages} == {f"{name}_eye"}
        assert {(message.image_width, message.image_height) for message in messages} == {SIZES[name]}
        assert {tube.class_name for message in messages for tube in message.tubes} == {ACTIONS[name]}
        assert stamps_of(messages) == sorted(set(stamps_of(messages)))
        assert len(sessions(messages)) == 1
    assert not sessions(heard["front"]) & sessions(heard["rear"])
    titles = {name: f"detector: action tubes of {name}" for name in NAMES}
    wait_until(lambda: set(health) == set(titles.values()), "there is a status for each camera")

    assert players["front"].end(signal.SIGKILL) == -signal.SIGKILL
    wait_until(lambda: "/front/image_raw" in health[titles["front"]].message, "the dead camera is named")
    assert health[titles["front"]].level == DiagnosticStatus.WARN
    before = len(heard["rear"])
    wait_until(lambda: len(heard["rear"]) >= before + 5, "the other goes on")
    assert (health[titles["rear"]].level, health[titles["rear"]].message) == (DiagnosticStatus.OK, "looking")
    assert len(sessions(heard["rear"])) == 1
    assert detector.end(signal.SIGTERM) == 0
    assert "Traceback" not in detector.output
    wait_until(lambda: all(ends(messages) for messages in heard.values()), "the last tubes of both end")


class Cameras:
    """Plays both cameras by hand, in step with the answers."""

    def __init__(self, stage: Stage, heard: dict[str, list[ActionTubeArray]]) -> None:
        self._heard = heard
        self._publishers = {name: stage.node.create_publisher(Image, f"/{name}/image_raw", 10) for name in NAMES}
        self._stamp = time.time_ns()

    def await_subscriptions(self, count: int) -> None:
        for name, publisher in self._publishers.items():
            wait_until(lambda p=publisher: p.get_subscription_count() == count, f"{count} listen to {name}")

    def show(self, pictures: dict[str, np.ndarray], answers: list[list[ActionTubeArray]] | None = None) -> None:
        """A picture on each; then wait until each list has the answer."""
        self._stamp += STEP
        for name, picture in pictures.items():
            header = Header(stamp=time_message(self._stamp), frame_id=f"{name}_eye")
            self._publishers[name].publish(image_from_rgb(picture, header))
        for messages in answers if answers is not None else self._heard.values():
            wait_until(lambda m=messages: m and stamps_of(m)[-1] == self._stamp, "the image is answered")


def pictures() -> Iterator[dict[str, np.ndarray]]:
    """Bright for the front, dark for the rear; later the light before the front goes out."""
    for number in itertools.count():
        levels = {"front": 255 - 7 * (number % 9), "rear": 5 * (number % 7)}
        if number > 10:
            levels["front"] = 20
        yield {name: np.full((*SIZES[name][::-1], 3), level, dtype=np.uint8) for name, level in levels.items()}


def content(message: ActionTubeArray) -> dict[str, Any]:
    """All that it says but the session."""
    return {name: getattr(message, name) for name in message.get_fields_and_field_types() if name != "session"}


def test_every_topic_of_a_camera_begins_with_its_name(stage: Stage, tmp_path: Path) -> None:
    drawn: list[Image] = []
    stage.node.create_subscription(Image, "/detector/rear/debug_image", drawn.append, 1)
    start(stage, "-p", "depth.source:=image")
    results = ("action_tubes", "action_detections", "action_detections_3d", "action_labels")
    for name in NAMES:
        offered = [f"/{name}/{topic}" for topic in results]
        offered += [f"/detector/{name}/{topic}" for topic in ("debug_image", "markers", "latency")]
        for topic in offered:
            wait_until(lambda topic=topic: stage.node.count_publishers(topic), f"{topic} is published")
        for topic in ("image_raw", "camera_info", "depth_image"):
            wait_until(lambda t=f"/{name}/{topic}": stage.node.count_subscribers(t), f"/{name}/{topic} is listened to")
    assert not any(stage.node.count_publishers(f"/{topic}") for topic in results)
    play(stage, tmp_path, "rear", rate=10)
    wait_until(lambda: drawn, "the debug image is drawn")
    assert (drawn[0].width, drawn[0].height) == SIZES["rear"]
    assert drawn[0].header.frame_id == "rear_eye"


def test_a_camera_among_several_has_the_tubes_that_it_would_have_alone(stage: Stage) -> None:
    heard = listen(stage)
    cameras = Cameras(stage, heard)
    start(stage)
    alone = {name: list[ActionTubeArray]() for name in NAMES}
    for name, messages in alone.items():
        given = ("-p", f"model:={stage.model}", "-p", "autostart:=true", "-r", f"__ns:=/only_{name}")
        stage.run("detector_node", "--ros-args", *given, "-r", f"image:=/{name}/image_raw")
        stage.node.create_subscription(ActionTubeArray, f"/only_{name}/action_tubes", messages.append, RESULTS)
    cameras.await_subscriptions(2)
    for service in ("/detector/reset", "/only_front/detector/reset", "/only_rear/detector/reset"):
        stage.call(Trigger, service, Trigger.Request())  # by now they know our subscriptions
    for _, shown in zip(range(40), pictures(), strict=False):
        cameras.show(shown, [*heard.values(), *alone.values()])
    for name in NAMES:
        assert seen(alone[name]) > 10
        assert list(map(content, heard[name])) == list(map(content, alone[name]))
    names = {tube.class_name for message in heard["front"] for tube in message.tubes}
    assert names == {"bright", "dark"}, "both lights were seen"


def test_what_the_node_is_told_holds_for_all_cameras(stage: Stage) -> None:
    heard = listen(stage)
    cameras = Cameras(stage, heard)
    detector = start(stage)

    def look() -> None:
        cameras.await_subscriptions(1)
        before = {name: seen(messages) for name, messages in heard.items()}
        for shown in pictures():
            cameras.show(shown)
            if all(seen(messages) > before[name] for name, messages in heard.items()):
                return

    cameras.await_subscriptions(1)
    stage.call(Trigger, "/detector/reset", Trigger.Request())
    look()
    answer = stage.call(Trigger, "/detector/reset", Trigger.Request())
    assert answer.success
    look()
    for name, messages in heard.items():
        assert f"{name} " in answer.message
        assert len(sessions([message for message in messages if message.tubes])) == 2

    assert set_together(stage, score_threshold=1.0).successful
    for _, shown in zip(range(8), pictures(), strict=False):
        cameras.show(shown)
    assert not any(message.tubes for messages in heard.values() for message in messages[-2:])
    assert not set_together(stage, classes=["levitate"]).successful
    assert set_together(stage, score_threshold=0.05).successful

    assert stage.call(SetBool, "/detector/set_enabled", SetBool.Request(data=False)).success
    cameras.await_subscriptions(0)
    assert stage.call(SetBool, "/detector/set_enabled", SetBool.Request(data=True)).success
    look()

    for transition in (
        Transition.TRANSITION_DEACTIVATE,
        Transition.TRANSITION_CLEANUP,
        Transition.TRANSITION_CONFIGURE,
        Transition.TRANSITION_ACTIVATE,
    ):
        request = ChangeState.Request(transition=Transition(id=transition))
        assert stage.call(ChangeState, "/detector/change_state", request).success
        if transition == Transition.TRANSITION_DEACTIVATE:
            cameras.await_subscriptions(0)
    look()
    assert detector.end() == 0
    assert "Traceback" not in detector.output


def test_client_recorder_and_player_work_with_one_of_several_cameras(stage: Stage, tmp_path: Path) -> None:
    started: list[Action] = []
    # Played in step with the detector, stamps fall behind the clock where the machine is slow.
    client = ActionClient(stage.node, on_start=started.append, topic="front/action_tubes", max_age=math.inf)
    file = tmp_path / "tubes.jsonl"
    detector = start(stage)
    recorder = stage.run(
        "recorder",
        *("--tubes", str(file), "--video", str(tmp_path / "tubes.mp4"), "--image", "/front/image_raw"),
        *("--ros-args", "-r", "action_tubes:=front/action_tubes"),
    )
    detector.wait_for("Looking at /rear/image_raw")
    stage.be_heard()
    player = stage.run(
        "player",
        *(str(clip(tmp_path, "front")), "--topic", "/front/image_raw", "--frame-id", "front_eye", "--rate", "15"),
        *("--lockstep", "--subscribers", "2", "--wait", "60"),
        *("--ros-args", "-r", "detector/latency:=detector/front/latency"),
    )
    assert player.wait() == 0, player.output + detector.output
    assert "without a word" not in player.output
    assert detector.end() == 0
    assert recorder.end() == 0, recorder.output
    assert "24 steps of the detector, 24 images recorded" in recorder.output, recorder.output + detector.output
    (line,) = [json.loads(line) for line in file.read_text().splitlines()]
    assert (line["class_name"], line["frame_id"], line["ended"]) == ("bright", "front_eye", True)
    assert [action.name for action in started] == ["bright"]
    client.close()


@pytest.mark.parametrize(
    ("names", "words"),
    [
        (["front", "front"], "'front' is there twice"),
        (["front", ""], "'' cannot be part of a topic's name"),
        (["front camera"], "'front camera' cannot be part of a topic's name"),
        (["/front"], "'/front' cannot be part"),
        (["2nd"], "'2nd' cannot be part"),
        (["~"], "'~' cannot be part"),
        ("front", "'front' is not a list of strings"),
    ],
)
def test_names_that_cannot_be_are_refused_in_one_line(names: Any, words: str) -> None:
    with pytest.raises(UserError) as caught:
        TABLE["cameras"].checked(names, "parameter")
    assert str(caught.value).startswith("parameter cameras: ")
    assert words in str(caught.value)
    assert "\n" not in str(caught.value)


def test_a_detector_with_a_bad_name_says_so_and_is_not_configured(stage: Stage) -> None:
    health = watch_health(stage)
    detector = stage.run("detector_node", "--ros-args", "-p", "autostart:=true", "-p", 'cameras:=["front", "front"]')
    detector.wait_for("Cannot be configured: parameter cameras: 'front' is there twice")
    wait_until(lambda: any("is there twice" in status.message for status in health.values()), "diagnostics say so")
    assert detector.end() == 0
