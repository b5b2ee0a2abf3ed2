"""Lifecycle, driven by services from another process, as a lifecycle manager does it."""

from __future__ import annotations

import re
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from importlib.util import find_spec
from typing import Any

import pytest
from diagnostic_msgs.msg import DiagnosticArray, DiagnosticStatus
from lifecycle_msgs.msg import State, Transition
from lifecycle_msgs.srv import ChangeState, GetState
from rclpy.duration import Duration
from rclpy.executors import SingleThreadedExecutor
from rclpy.node import Node
from stage import PATIENCE, Process, Stage, ends, set_together, wait_until, walker


def change(stage: Stage, transition: int) -> bool:
    request = ChangeState.Request(transition=Transition(id=transition))
    return bool(stage.call(ChangeState, "/detector/change_state", request).success)


def state(stage: Stage) -> int:
    return int(stage.call(GetState, "/detector/get_state", GetState.Request()).current_state.id)


def start_unconfigured(stage: Stage, *assignments: str) -> Process:
    given = (f"model:={stage.model}", *assignments)
    return stage.run("detector_node", "--ros-args", *[part for text in given for part in ("-p", text)])


def test_every_transition_does_what_it_says(stage: Stage) -> None:
    detector = start_unconfigured(stage)
    assert state(stage) == State.PRIMARY_STATE_UNCONFIGURED
    assert change(stage, Transition.TRANSITION_CONFIGURE)
    assert state(stage) == State.PRIMARY_STATE_INACTIVE
    assert "Model" in detector.output
    assert stage.images.get_subscription_count() == 0

    assert change(stage, Transition.TRANSITION_ACTIVATE)
    wait_until(stage.images.get_subscription_count, "active, it subscribes")
    stage.film(walker(), until=lambda: any(message.tubes for message in stage.tubes))

    assert change(stage, Transition.TRANSITION_DEACTIVATE)
    wait_until(lambda: stage.images.get_subscription_count() == 0, "inactive, it unsubscribes")
    wait_until(lambda: ends(stage.tubes), "inactive, its tubes end")

    assert change(stage, Transition.TRANSITION_ACTIVATE)
    wait_until(stage.images.get_subscription_count, "active again, it subscribes")
    before = len(stage.tubes)
    stage.film(walker(), until=lambda: len(stage.tubes) > before)

    assert change(stage, Transition.TRANSITION_DEACTIVATE)
    assert change(stage, Transition.TRANSITION_CLEANUP)
    assert state(stage) == State.PRIMARY_STATE_UNCONFIGURED
    wait_until(lambda: stage.node.count_publishers("action_tubes") == 0, "cleaned up, it publishes no tubes")
    assert change(stage, Transition.TRANSITION_CONFIGURE)
    assert change(stage, Transition.TRANSITION_INACTIVE_SHUTDOWN)
    assert state(stage) == State.PRIMARY_STATE_FINALIZED
    assert detector.end() == 0
    assert "Traceback" not in detector.output


def test_a_transition_that_does_not_exist_is_refused_and_changes_nothing(stage: Stage) -> None:
    detector = start_unconfigured(stage)
    assert not change(stage, Transition.TRANSITION_ACTIVATE)
    assert state(stage) == State.PRIMARY_STATE_UNCONFIGURED
    assert detector.popen.poll() is None
    assert detector.end() == 0


def test_a_manager_may_configure_what_started_itself(stage: Stage) -> None:
    detector = stage.detector()
    assert not change(stage, Transition.TRANSITION_CONFIGURE)
    assert state(stage) == State.PRIMARY_STATE_ACTIVE
    stage.film(walker(), until=lambda: any(message.tubes for message in stage.tubes))
    assert detector.end() == 0


def test_a_detector_that_nobody_starts_says_so_in_the_log_and_warns(stage: Stage) -> None:
    warnings: list[str] = []

    def note(message: DiagnosticArray) -> None:
        warnings.extend(status.message for status in message.status if status.level == DiagnosticStatus.WARN)

    stage.node.create_subscription(DiagnosticArray, "/diagnostics", note, 10)
    detector = start_unconfigured(stage)
    detector.wait_for("ros2 lifecycle set /detector configure")
    wait_until(lambda: warnings, "it warns")
    assert re.fullmatch(r"not configured for \d+ s, sees nothing: ros2 lifecycle set /detector configure", warnings[0])
    assert change(stage, Transition.TRANSITION_CONFIGURE)
    wait_until(lambda: warnings[-1].startswith("inactive for"), "inactive, it warns too")
    assert change(stage, Transition.TRANSITION_ACTIVATE)
    wait_until(stage.images.get_subscription_count, "active, it subscribes")
    before = len(warnings)
    time.sleep(2.5)
    assert not [words for words in warnings[before:] if "sees nothing" in words][1:], "one may have been on its way"


@pytest.mark.skipif(find_spec("bondpy") is not None, reason="bondpy is installed")
def test_a_bond_without_bondpy_costs_a_warning_with_the_remedy(stage: Stage) -> None:
    detector = stage.detector(bond=True)
    warnings = [line for line in detector.output.splitlines() if "bond" in line]
    assert len(warnings) == 1
    assert "sudo apt install ros-$ROS_DISTRO-bondpy" in warnings[0]
    assert state(stage) == State.PRIMARY_STATE_ACTIVE


@contextmanager
def managers_end(stage: Stage) -> Iterator[Any]:
    """The manager's end of a bond, once it is formed: a node, and a thread of its own that serves it."""
    import bondpy.bondpy as bondpy

    node, executor = Node("manager", context=stage.context), SingleThreadedExecutor(context=stage.context)
    executor.add_node(node)
    thread = threading.Thread(target=executor.spin, daemon=True)
    bond = bondpy.Bond(node, "bond", "detector")
    bond.heartbeat_timeout, bond.heartbeat_period = 4.0, 0.1
    bond.start()
    thread.start()
    try:
        assert bond.wait_until_formed(Duration(seconds=PATIENCE))
        assert not bond.is_broken()
        yield bond
    finally:
        executor.shutdown()
        thread.join(PATIENCE)
        bond.shutdown()
        node.destroy_node()


def test_a_manager_hears_by_the_bond_that_the_detector_ends_well_or_dies(stage: Stage) -> None:
    pytest.importorskip("bondpy.bondpy", reason="bondpy is on no package index; a robot has it from apt")
    detector = stage.detector(bond=True)
    with managers_end(stage) as bond:
        assert change(stage, Transition.TRANSITION_DEACTIVATE)
        wait_until(bond.is_broken, "it is broken at once")
    assert change(stage, Transition.TRANSITION_ACTIVATE)
    with managers_end(stage) as bond:
        time.sleep(1.0)  # bondpy counts the silence from the second sign of life on
        detector.popen.kill()
        wait_until(bond.is_broken, "it is broken by silence")
    assert detector.output.count("Bond with the lifecycle manager formed") == 2
    assert "manager is gone" not in detector.output


def test_autostart_activates(stage: Stage) -> None:
    stage.detector()
    assert state(stage) == State.PRIMARY_STATE_ACTIVE


def test_what_cannot_work_is_refused_with_the_reason_and_can_be_mended(stage: Stage) -> None:
    detector = start_unconfigured(
        stage, "autostart:=true", "score_threshold:=1.5", "delta:=many", "image_transport:=theora"
    )
    for words, name, value in (
        ("parameter image_transport: 'theora' is not one of raw, compressed", "image_transport", "raw"),
        ("parameter delta: 'many' is not a whole number", "delta", 0),
        ("parameter score_threshold: 1.5 is not within 0 to 1", "score_threshold", 0.5),
    ):
        detector.wait_for(f"Cannot be configured: {words}")
        assert state(stage) == State.PRIMARY_STATE_UNCONFIGURED
        assert set_together(stage, **{name: value}).successful
        change(stage, Transition.TRANSITION_CONFIGURE)
    assert state(stage) == State.PRIMARY_STATE_INACTIVE
    assert change(stage, Transition.TRANSITION_CLEANUP)

    for words, name, value, good in (
        ("not a model folder", "model", str(stage.folder), str(stage.model)),
        ("the model knows no class 'levitate'", "classes", ["bright", "levitate"], [""]),
        ("require_gpu is set, but the network would run on the CPU", "device", "cpu", "auto"),
    ):
        assert set_together(stage, require_gpu=name == "device", **{name: value}).successful
        assert not change(stage, Transition.TRANSITION_CONFIGURE)
        assert words in detector.wait_for(words)
        assert state(stage) == State.PRIMARY_STATE_UNCONFIGURED
        assert set_together(stage, require_gpu=False, **{name: good}).successful
    assert change(stage, Transition.TRANSITION_CONFIGURE)
    assert detector.end() == 0
    assert "Traceback" not in detector.output
