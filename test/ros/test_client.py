"""The client for behaviours: whole tubes, callbacks at start and end, filters, joining late; and the examples."""

from __future__ import annotations

import math
import time
from collections.abc import Callable
from typing import Any
from uuid import UUID, uuid4

import numpy as np
import pytest
from geometry_msgs.msg import Twist
from rclpy.node import Node
from rclpy.parameter import Parameter
from rosgraph_msgs.msg import Clock as ClockMessage
from stage import Process, Stage, wait_until
from std_msgs.msg import Header
from vision_msgs.msg import LabelInfo

from amtnet_ros.client import Action, ActionAssembler, ActionClient, Filter
from amtnet_ros.contracts import Tube, TubeState, TubeUpdate
from amtnet_ros.msg import ActionTubeArray
from amtnet_ros.ros.actions import Sessions
from amtnet_ros.ros.messages import label_info, time_message, tube_array
from amtnet_ros.ros.qos import LATCHED, RESULTS

SECOND = 10**9
NAMES = ("walk", "wave", "other")
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

    def __init__(self, stage: Stage, timeout: float = math.inf, max_age: float = math.inf, **wanted: Any) -> None:
        self.events: list[tuple[str, int]] = []
        self.actions: list[Action] = []
        self.people: list[Action] = []
        self.session = uuid4()
        self.client = ActionClient(
            stage.node,
            on_start=lambda action: self.note("start", action),
            on_end=lambda action: self.note("end", action),
            on_update=lambda action: self.actions.append(action),
            on_person=lambda action: self.people.append(action),
            wanted=Filter(**wanted),
            timeout=timeout,
            max_age=max_age,
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
        ({"names": ["other"]}, [4]),
        ({"names": ["wave"]}, [2]),
        ({"score": 0.6}, [3]),
        ({"seconds": 1.5}, [1]),
        ({"names": ["walk"], "score": 0.6}, [3]),
        ({"names": []}, []),
    ],
)
def test_only_what_passes_the_filter_is_heard(stage: Stage, wanted: dict[str, Any], expected: list[int]) -> None:
    heard = Heard(stage, **wanted)
    heard.feed(
        update(3, tube(1, A, [1, 2, 3]), tube(2, A, [2], label=1), tube(3, A, [2], score=0.7), tube(4, A, [2], label=2))
    )
    assert heard.events == [("start", number) for number in expected]


def test_an_action_that_no_longer_passes_ends_and_may_start_again(stage: Stage) -> None:
    heard = Heard(stage, names=["wave"])
    heard.feed(update(1, tube(1, A, [1], label=1)), update(2, tube(1, A, [2], label=0)))
    heard.feed(update(3, tube(1, A, [3], label=1)))
    assert heard.events == [("start", 1), ("end", 1), ("start", 1)]
    over = next(action for action in heard.actions if action.reason)
    assert (over.name, over.reason) == ("wave", "changed"), "what is over is what began"
    assert [box.stamp // SECOND for box in heard.client.actions[0].boxes] == [1, 2, 3]


def test_a_lost_end_and_a_new_session_end_what_was(stage: Stage) -> None:
    heard = Heard(stage)
    heard.feed(update(1, tube(1, A, [1]), tube(2, A, [1])), update(2, tube(2, A, [2])))
    assert heard.events[-1] == ("end", 1)
    assert next(action for action in heard.actions if action.reason).reason == "lost"
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
    sessions, names = Sessions(timeout=5.0), {0: "walk"}
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
    assert [(action.session, action.state, action.reason) for action in ended] == [(UUID(int=1), E, "silence")]
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


def test_somebody_who_does_none_of_the_actions_is_a_person_and_no_action(stage: Stage) -> None:
    heard = Heard(stage)
    heard.feed(update(1, tube(1, A, [1], label=2), tube(2, A, [1]), tube(3, T, [1])))
    assert heard.events == [("start", 2)]
    assert [(person.id, person.name, person.has_action) for person in heard.people] == [
        (1, "other", False),
        (2, "walk", True),
    ]
    assert [person.id for person in heard.client.people] == [1, 2]
    heard.feed(update(2, tube(1, A, [2], label=2), tube(2, A, [2], label=2)))
    assert heard.events[-1] == ("end", 2), "who no longer acts is still there"
    assert [person.id for person in heard.client.people] == [1, 2]
    heard.feed(update(3, tube(1, E, [], label=2), tube(2, C, [], label=2)))
    assert [person.id for person in heard.client.people] == [2]


def test_silence_ends_every_action_and_the_next_message_begins_them_again(stage: Stage) -> None:
    heard = Heard(stage, timeout=0.3)
    assert not heard.client.hears
    heard.feed(update(1, tube(1, A, [1]), tube(2, A, [1], label=1)))
    assert heard.client.hears
    wait_until(lambda: len(heard.events) == 4, "both are over")
    assert heard.events[2:] == [("end", 1), ("end", 2)]
    assert [action.reason for action in heard.actions[-2:]] == ["silence", "silence"]
    assert (heard.client.actions, heard.client.people, heard.client.hears) == ([], [], False)
    heard.feed(update(2, tube(1, A, [2])))
    assert ("start", 1) in heard.events[4:]


def seconds_now() -> float:
    return time.time_ns() / SECOND


def test_a_message_that_is_old_on_arrival_starts_nothing_and_ends_what_goes_on(
    stage: Stage, capfd: pytest.CaptureFixture[str]
) -> None:
    heard = Heard(stage, max_age=30.0)
    now = seconds_now()
    heard.feed(update(now, tube(1, A, [now])))
    assert heard.events == [("start", 1)]
    heard.feed(update(now - 31, tube(1, A, [now]), tube(2, A, [now])))
    assert heard.events == [("start", 1), ("end", 1)]
    assert heard.actions[-1].reason == "old"
    assert not heard.client.hears
    assert "more than max_age (30 s)" in capfd.readouterr().err


def test_the_farewell_of_a_detector_without_images_is_no_sign_of_life(
    stage: Stage, capfd: pytest.CaptureFixture[str]
) -> None:
    heard = Heard(stage, max_age=30.0)
    now = seconds_now()
    heard.feed(update(now - 31, tube(1, E, [])))
    assert not heard.client.hears
    heard.feed(update(now, tube(1, A, [now])), update(now - 31, tube(1, E, [])))
    assert heard.events == [("start", 1), ("end", 1)]
    assert heard.actions[-1].reason == "ended"
    assert "max_age" not in capfd.readouterr().err


def test_in_simulated_time_the_age_is_that_of_the_simulation(stage: Stage) -> None:
    stage.node.set_parameters([Parameter("use_sim_time", value=True)])
    clock = stage.node.create_publisher(ClockMessage, "/clock", 1)

    def show(seconds: float) -> None:
        def shown() -> bool:
            clock.publish(ClockMessage(clock=time_message(round(seconds * SECOND))))
            return stage.node.get_clock().now().nanoseconds == round(seconds * SECOND)

        wait_until(shown, "the clock says so")

    show(100.0)
    heard = Heard(stage, max_age=1.0)
    heard.feed(update(99.5, tube(1, A, [99.5])))
    assert heard.events == [("start", 1)]
    show(101.0)
    wait_until(lambda: len(heard.events) == 2, "it is over when the simulation has gone on")
    assert (heard.events[-1], heard.actions[-1].reason) == (("end", 1), "old")


def test_a_name_that_the_detector_does_not_know_is_said_with_those_it_knows(
    stage: Stage, capfd: pytest.CaptureFixture[str]
) -> None:
    labels = stage.node.create_publisher(LabelInfo, "front/action_labels", LATCHED)
    labels.publish(label_info(NAMES, 0.0, Header()))
    ActionClient(stage.node, wanted=Filter(names=["wave", "wav"]), topic="front/action_tubes")
    said = wait_until(lambda: (text := capfd.readouterr().err) and "knows no" in text and text, "it is said")
    assert "the detector knows no action 'wav'; it knows: walk, wave, other" in said
    ActionClient(stage.node, wanted=Filter(names=["wave"]), topic="front/action_tubes")
    labels.publish(label_info(NAMES, 0.0, Header()))
    time.sleep(0.5)
    assert "knows no" not in capfd.readouterr().err


def test_a_topic_without_publisher_is_named_once_with_the_others_there_are(
    stage: Stage, capfd: pytest.CaptureFixture[str]
) -> None:
    stage.node.create_publisher(ActionTubeArray, "elsewhere/action_tubes", RESULTS)
    client = ActionClient(stage.node, topic="nowhere/action_tubes")
    said = wait_until(lambda: (text := capfd.readouterr().err) and "nobody" in text and text, "it is said")
    assert "nobody publishes /nowhere/action_tubes" in said
    assert "Tubes are published on /elsewhere/action_tubes" in said
    time.sleep(2.5)
    assert "nobody" not in capfd.readouterr().err
    client.close()


def run_example(stage: Stage, name: str, *arguments: str) -> Process:
    process = Process(f"examples.{name}", ["--ros-args", *arguments], stage.folder / f"{name}.log", stage.domain)
    stage.processes.append(process)
    return process


def speaker(stage: Stage, label: int, number: int) -> Callable[[], None]:
    """What says, whenever it is called, that somebody acts now: box 20..120 of 640 wide, 20..400 of 480 high."""
    publisher = stage.node.create_publisher(ActionTubeArray, "action_tubes", RESULTS)
    # The stage itself listens too.
    wait_until(lambda: publisher.get_subscription_count() == 2, "the example listens")
    session, start = uuid4(), seconds_now()

    def speak() -> None:
        now = seconds_now()
        seen = tube(number, A, [now], label=label)._replace(
            start_stamp=round(start * SECOND), boxes=np.array([[20, 20, 120, 400]], dtype=np.float32)
        )
        step = update(now, seen)
        publisher.publish(tube_array(step, Header(stamp=time_message(step.stamp), frame_id="eye"), session, NAMES))

    return speak


def test_example_stop_when_someone_waves(stage: Stage) -> None:
    commands: list[Twist] = []
    stage.node.create_subscription(Twist, "cmd_vel", commands.append, 10)
    drive = stage.node.create_publisher(Twist, "cmd_vel_in", 1)
    example = run_example(stage, "stop_when_someone_waves")
    wait_until(drive.get_subscription_count, "the example listens")
    wait_until(lambda: commands and commands[-1] == Twist(), "it stands while nothing is heard of a detector")
    forward = Twist()
    forward.linear.x = 0.5

    def commanded(speed: float, speak: Callable[[], None]) -> bool:
        speak()
        drive.publish(forward)
        return bool(commands) and commands[-1].linear.x == speed

    walker, waver = speaker(stage, 0, 1), speaker(stage, 1, 2)
    wait_until(lambda: commanded(0.5, walker), "commands pass while nobody waves")
    wait_until(lambda: waver() or "Stop: #2 wave" in example.output, "it sees who waves")
    wait_until(lambda: commanded(0.0, waver), "commands are held back while somebody waves")


def test_example_follow_walker(stage: Stage) -> None:
    commands: list[Twist] = []
    stage.node.create_subscription(Twist, "cmd_vel", commands.append, 10)
    example = run_example(stage, "follow_walker")
    wait_until(lambda: commands and commands[-1] == Twist(), "nobody walks: it stands")
    speak = speaker(stage, 0, 3)
    wait_until(lambda: speak() or commands[-1].angular.z > 0, "the walker is at the left: it turns left")
    assert "Following #3" in example.output
    # The box's middle lies at 70 / 320 - 1; it is 380 of 480 high, more than 0.6: it backs off.
    turning = next(command for command in commands if command.angular.z > 0)
    assert turning.angular.z == pytest.approx(-1.5 * (70 / 320 - 1), abs=1e-4)
    assert turning.linear.x == pytest.approx(0.8 * (0.6 - 380 / 480), abs=1e-4)


def test_remaps_that_cross_are_applied_once(stage: Stage) -> None:
    """The labels are those beside the tubes that are listened to, and who publishes is looked for there."""
    topics = ("action_tubes", "action_labels")
    rules = [f"/{a}/{topic}:=/{b}/{topic}" for topic in topics for a, b in (("front", "back"), ("back", "front"))]
    words = [word for rule in rules for word in ("-r", rule)]
    node = Node("behaviour", context=stage.context, cli_args=["--ros-args", *words])
    try:
        client = ActionClient(node, topic="/front/action_tubes")
        assert client._subscription.topic_name == "/back/action_tubes"
        assert client._labels.topic_name == "/back/action_labels"
        stage.node.create_publisher(ActionTubeArray, "/back/action_tubes", RESULTS)
        asked = client._doubts._subscribed
        wait_until(lambda: node.get_publishers_info_by_topic(asked), "it finds who publishes what it listens to")
    finally:
        node.destroy_node()


def test_labels_are_beside_tubes_that_are_remapped_alone(stage: Stage) -> None:
    node = Node("behaviour", context=stage.context, cli_args=["--ros-args", "-r", "action_tubes:=/front/action_tubes"])
    try:
        assert ActionClient(node)._labels.topic_name == "/front/action_labels"
    finally:
        node.destroy_node()
