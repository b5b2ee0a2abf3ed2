"""The example security policy against what the nodes really use: a name that is missing would be denied on a robot."""

from __future__ import annotations

import time
from typing import Any
from xml.etree import ElementTree

import pytest
from stage import PATIENCE, ROOT, Process, Stage, wait_until

POLICY = ROOT / "config" / "sros2" / "policy.xml"
ONLY_WHEN_ASKED_FOR = {"/camera/image_raw/compressed", "/depth_image", "/points", "/clock"}
ONLY_WHEN_ASKED_FOR |= {"/detector/annotations"}  # for that, foxglove_msgs has to be installed


def allowed(node: str) -> dict[str, set[str]]:
    """Full names that the policy allows the node, by what it may do with them."""
    (profile,) = [each for each in ElementTree.parse(POLICY).iter("profile") if each.get("node") == node]
    names: dict[str, set[str]] = {"publish": set(), "subscribe": set(), "reply": set()}
    for group in profile:
        for right in group.attrib:
            names[right] |= {(name.text or "").replace("~", f"/{node}") for name in group}
    return {right: {name if name.startswith("/") else f"/{name}" for name in every} for right, every in names.items()}


def used(stage: Stage, node: str) -> dict[str, set[str]]:
    """Full names that the node uses, as every other node can see."""

    def names(answer: list[tuple[str, Any]]) -> set[str]:
        return {name for name, _ in answer}

    return {
        "publish": names(stage.used_by(node, stage.node.get_publisher_names_and_types_by_node)),
        "subscribe": names(stage.used_by(node, stage.node.get_subscriber_names_and_types_by_node)),
        "reply": names(stage.used_by(node, stage.node.get_service_names_and_types_by_node)),
    }


def start_detector(stage: Stage) -> Process:
    arguments = ("-r", "image:=/camera/image_raw", "-p", f"model:={stage.model}", "-p", "autostart:=true")
    return stage.run("detector_node", "--ros-args", *arguments, "--enclave", "/amtnet/detector")


def start_gate(stage: Stage) -> Process:
    process = Process("examples.stop_when_someone_waves", [], stage.folder / "gate.log", stage.domain)
    stage.processes.append(process)
    return process


@pytest.mark.parametrize(("node", "start"), [("detector", start_detector), ("wave_gate", start_gate)])
def test_the_policy_allows_what_a_node_uses_and_nothing_else(stage: Stage, node: str, start: Any) -> None:
    process = start(stage)
    wait_until(lambda: node in stage.node.get_node_names(), "the node is there")
    policy = allowed(node)
    deadline = time.monotonic() + PATIENCE
    while time.monotonic() < deadline:
        unused = {right: policy[right] - ONLY_WHEN_ASKED_FOR - names for right, names in used(stage, node).items()}
        if not any(unused.values()):
            break
        time.sleep(0.1)
    assert not any(unused.values()), f"allowed, but not used: {unused}\n{process.output}"
    for right, names in used(stage, node).items():
        assert names <= policy[right], "used, but not allowed"
