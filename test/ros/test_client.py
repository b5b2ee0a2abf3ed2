"""The client for behaviours: whole tubes, callbacks at start and end, filters, joining late; and the examples."""

from __future__ import annotations

from typing import Any
from uuid import UUID, uuid4

import numpy as np
import pytest
from geometry_msgs.msg import Twist
from stage import Process, Stage, wait_until
from std_msgs.msg import Header

from amtnet_ros.client import Action, ActionAssembler, ActionClient, Filter
from amtnet_ros.contracts import Tube, TubeState, TubeUpdate
from amtnet_ros.msg import ActionTubeArray
from amtnet_ros.ros.client import Sessions
from amtnet_ros.ros.messages import time_message, tube_array
from amtnet_ros.ros.qos import RESULTS

SECOND = 10**9
NAMES = ("walk", "wave")
T, A, C, E = TubeState.TENTATIVE, TubeState.ACTIVE, TubeState.COASTING, TubeState.ENDED


def tube(
    number: int, state: TubeState, stamps: list[float], score: float = 0.5, label: int = 0, last: float = 0
) -> Tube:
    count = len(stamps)
    nanos = np.array([round(stamp * SECOND) for stamp in stamps], dtype=np.int64)
    return Tube(
        id=number,
        state=state,
        label=label,
        score=score,
        class_scores=np.array([score, 0.1], dtype=np.float32),
        start_stamp=SECOND,
        last_stamp=int(nanos[-1]) if count else round(last * SECOND),
        frames=np.full(count, -1, dtype=np.int64),
        stamps=nanos,
        boxes=np.array([[10 * stamp, 20, 10 * stamp + 100, 400] for stamp in stamps], dtype=np.float32).reshape(-1, 4),
        scores=np.full(count, score, dtype=np.float32),
        interpolated=np.zeros(count, dtype=np.bool_),
    )


def update(stamp: float, *tubes: Tube) -> TubeUpdate:
    return TubeUpdate(frame=-1, stamp=round(stamp * SECOND), image_size=(640, 480), delta=1, tubes=tubes)


class Heard:
    """Feeds a client, in this process, through the messages, and notes its callbacks."""

    def __init__(self, stage: Stage, **wanted: Any) -> None:
        self.events: list[tuple[str, int]] = []
        self.actions: list[Action] = []
        self.session = uuid4()
        self.client = ActionClient(
            stage.node,
            on_start=lambda action: self.note("start", action),
            on_end=lambda action: self.note("end", action),
            on_update=lambda action: self.actions.append(action),
            wanted=Filter(**wanted),
        )

    def note(self, what: str, action: Action) -> None:
        self.events.append((what, action.id))
        self.actions.append(action)

    def feed(self, *updates: TubeUpdate) -> None:
        for each in updates:
            header = Header(stamp=time_message(each.stamp), frame_id="eye")
            self.client._on_tubes(tube_array(each, header, self.session, NAMES))


def test_an_action_starts_once_and_ends_once(stage: Stage) -> None:
    heard = Heard(stage)
    heard.feed(update(1, tube(4, T, [1])))
    assert heard.events == [], "not confirmed yet"
    heard.feed(update(2, tube(4, A, [2])), update(3, tube(4, C, [], last=2)), update(4, tube(4, A, [3, 4])))
    assert heard.events == [("start", 4)]
    heard.feed(update(5, tube(4, E, [], last=4)))
    assert heard.events == [("start", 4), ("end", 4)]
    action = heard.actions[-1]
    assert (action.name, action.frame_id, action.state, action.seconds) == ("walk", "eye", E, 3.0)
    assert [box.stamp for box in action.boxes] == [SECOND, 2 * SECOND, 3 * SECOND, 4 * SECOND]
    assert action.complete
    np.testing.assert_array_equal(action.box, [40, 20, 140, 400])
    assert heard.client.actions == []


@pytest.mark.parametrize(
    ("wanted", "expected"),
    [
        ({}, [1, 2, 3]),
        ({"names": ["wave"]}, [2]),
        ({"score": 0.6}, [3]),
        ({"seconds": 1.5}, [1]),
        ({"names": ["walk"], "score": 0.6}, [3]),
        ({"names": []}, []),
    ],
)
def test_only_what_passes_the_filter_is_heard(stage: Stage, wanted: dict[str, Any], expected: list[int]) -> None:
    heard = Heard(stage, **wanted)
    heard.feed(update(3, tube(1, A, [1, 2, 3]), tube(2, A, [2], label=1), tube(3, A, [2], score=0.7)))
    assert heard.events == [("start", number) for number in expected]


def test_an_action_that_no_longer_passes_ends_and_may_start_again(stage: Stage) -> None:
    heard = Heard(stage, names=["wave"])
    heard.feed(update(1, tube(1, A, [1], label=1)), update(2, tube(1, A, [2], label=0)))
    heard.feed(update(3, tube(1, A, [3], label=1)))
    assert heard.events == [("start", 1), ("end", 1), ("start", 1)]
    assert [box.stamp // SECOND for box in heard.client.actions[0].boxes] == [1, 2, 3]


def test_a_lost_end_and_a_new_session_end_what_was(stage: Stage) -> None:
    heard = Heard(stage)
    heard.feed(update(1, tube(1, A, [1]), tube(2, A, [1])), update(2, tube(2, A, [2])))
    assert heard.events[-1] == ("end", 1)
    heard.session = uuid4()
    heard.feed(update(3, tube(2, A, [3])))
    assert heard.events[-2:] == [("end", 2), ("start", 2)]
    assert [box.stamp // SECOND for box in heard.client.actions[0].boxes] == [3]


def test_two_detectors_on_one_topic_are_followed_side_by_side_with_one_warning(
    stage: Stage, capfd: pytest.CaptureFixture[str]
) -> None:
    heard = Heard(stage)
    sessions = [uuid4(), uuid4()]
    for stamp in range(1, 30):
        for session in sessions:
            heard.session = session
            heard.feed(update(stamp, tube(1, A, [stamp])))
    # The first session ends when the second appears, and begins again when it turns out to live on.
    assert heard.events == [("start", 1), ("end", 1), ("start", 1), ("start", 1)]
    assert [action.session for action in heard.client.actions] == sessions[::-1]
    assert capfd.readouterr().err.count("several detectors publish on /action_tubes") == 1
    heard.session = sessions[0]
    heard.feed(update(30, tube(1, E, [])))
    assert heard.events[4:] == [("end", 1)]
    assert [action.session for action in heard.client.actions] == sessions[1:]


def test_a_detector_that_sees_nobody_ends_no_action_of_another(stage: Stage) -> None:
    heard = Heard(stage)
    sessions = [uuid4(), uuid4()]
    for stamp in range(1, 10):
        for session, tubes in zip(sessions, ([], [tube(1, A, [stamp])]), strict=True):
            heard.session = session
            heard.feed(update(stamp, *tubes))
    assert heard.events == [("start", 1)]


def test_one_of_several_sessions_that_falls_silent_is_over() -> None:
    sessions, names = Sessions(), {0: "walk"}
    now = 0.0
    for stamp in range(1, 6):
        for session in (UUID(int=1), UUID(int=2)):
            now += 0.1
            sessions.add(update(stamp, tube(1, A, [stamp])), session, names, "eye", now)
    assert sessions.several
    ended = []
    while not ended:
        now += 0.1
        _, ended = sessions.add(update(now, tube(1, A, [now])), UUID(int=2), names, "eye", now)
    assert [(action.session, action.state) for action in ended] == [(UUID(int=1), E)]
    assert 5.0 < now - 0.9 < 5.2


def test_a_tube_joined_late_is_marked_as_incomplete() -> None:
    assembler = ActionAssembler()
    (action,), _ = assembler.add(update(5, tube(1, A, [5])), UUID(int=1), {0: "walk"}, "eye")
    assert not action.complete
    (action,), _ = assembler.add(update(6, tube(1, A, [6])), UUID(int=1), {0: "walk"}, "eye")
    assert not action.complete
    assert action.seconds == 5.0, "when it began is known all the same"


def test_memory_is_bounded() -> None:
    assembler = ActionAssembler(history=10)
    for stamp in range(1, 100):
        (action,), _ = assembler.add(update(stamp, tube(1, A, [stamp])), UUID(int=1), {0: "walk"}, "eye")
    assert [box.stamp // SECOND for box in action.boxes] == list(range(90, 100))


def run_example(stage: Stage, name: str, *arguments: str) -> Process:
    process = Process(f"examples.{name}", ["--ros-args", *arguments], stage.folder / f"{name}.log", stage.domain)
    stage.processes.append(process)
    return process


def publish(stage: Stage, *updates: TubeUpdate) -> None:
    publisher = stage.node.create_publisher(ActionTubeArray, "action_tubes", RESULTS)
    # The stage itself listens too.
    wait_until(lambda: publisher.get_subscription_count() == 2, "the example listens")
    session = uuid4()
    for each in updates:
        publisher.publish(tube_array(each, Header(stamp=time_message(each.stamp), frame_id="eye"), session, NAMES))


def test_example_stop_when_someone_waves(stage: Stage) -> None:
    commands: list[Twist] = []
    stage.node.create_subscription(Twist, "cmd_vel", commands.append, 10)
    drive = stage.node.create_publisher(Twist, "cmd_vel_in", 1)
    example = run_example(stage, "stop_when_someone_waves")
    wait_until(drive.get_subscription_count, "the example listens")
    wait_until(lambda: stage.node.count_publishers("cmd_vel"), "the example commands")
    forward = Twist()
    forward.linear.x = 0.5

    def driven() -> bool:
        drive.publish(forward)
        return bool(commands) and commands[-1].linear.x == 0.5

    def stopped() -> bool:
        drive.publish(forward)
        return commands[-1].linear.x == 0.0

    wait_until(driven, "commands pass while nobody waves")
    publish(stage, update(1, tube(1, A, [1], label=1)), update(2, tube(1, A, [2], label=1)))
    example.wait_for("Stop: #1 wave")
    wait_until(stopped, "commands are held back while somebody waves")


def test_example_follow_walker(stage: Stage) -> None:
    commands: list[Twist] = []
    stage.node.create_subscription(Twist, "cmd_vel", commands.append, 10)
    example = run_example(stage, "follow_walker")
    wait_until(lambda: commands and commands[-1] == Twist(), "nobody walks: it stands")
    publish(stage, update(1, tube(3, A, [1])), update(2, tube(3, A, [1.5, 2])))
    example.wait_for("Following #3")
    wait_until(lambda: commands[-1].angular.z > 0, "the walker is at the left: it turns left")
    # Box 20..120 of 640 wide: its middle lies at 70 / 320 - 1; 380 of 480 high, more than 0.6: it backs off.
    assert commands[-1].angular.z == pytest.approx(-1.5 * (70 / 320 - 1), abs=1e-4)
    assert commands[-1].linear.x == pytest.approx(0.8 * (0.6 - 380 / 480), abs=1e-4)
