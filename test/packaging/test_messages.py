"""The messages: documented, as in the contracts; the vision_msgs stand-in is the real package on the wire."""

import json
import re
from pathlib import Path

import pytest

from amtnet_ros.contracts import TubeState

ROOT = Path(__file__).resolve().parents[2]
MESSAGES = sorted((ROOT / "msg").glob("*.msg"))

# REP 2016 hashes of vision_msgs 4.1.1, as the official packages publish them.
OFFICIAL = {"Detection2DArray": "RIHS01_214274120007f4a683866481336b70310268cfa107aebe9d594a6acf75bda968"}


@pytest.mark.parametrize("path", MESSAGES, ids=lambda path: path.stem)
def test_every_field_and_constant_has_a_comment_above_it(path):
    above = ""
    for line in path.read_text().splitlines():
        if line and not line.startswith("#"):
            assert above.startswith("#"), f"{path.name}: {line}"
        above = line


def test_the_constants_are_the_states_of_the_contract():
    definitions = re.findall(r"^uint8 ([A-Z]+)=(\d+)$", (ROOT / "msg" / "ActionTube.msg").read_text(), re.MULTILINE)
    assert {name: int(value) for name, value in definitions} == {state.name: state.value for state in TubeState}


def test_the_built_constants_are_the_states_of_the_contract():
    action_tube = pytest.importorskip(
        "amtnet_ros.msg", reason="the messages are not built: ./check builds them"
    ).ActionTube
    assert {state.name: getattr(action_tube, state.name) for state in TubeState} == {
        state.name: state for state in TubeState
    }


@pytest.mark.parametrize("name", OFFICIAL)
def test_vision_msgs_are_the_official_types_on_the_wire(name):
    ament_index = pytest.importorskip("ament_index_python", reason="ROS 2 is not installed: ./check installs it")
    share = Path(ament_index.get_package_share_directory("vision_msgs"))
    description = json.loads((share / "msg" / f"{name}.json").read_text())
    hashes = {entry["type_name"]: entry["hash_string"] for entry in description["type_hashes"]}
    assert hashes[f"vision_msgs/msg/{name}"] == OFFICIAL[name]
