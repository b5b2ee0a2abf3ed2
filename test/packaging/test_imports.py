"""What runs on a robot imports what every robot has; the rest is imported where it is used, or its lack explained."""

from __future__ import annotations

import subprocess
import sys
from importlib.util import find_spec

import pytest

from amtnet_ros.libraries import INSTALL

BLOCK = f"""
import sys
for name in {sorted(INSTALL)!r}:
    sys.modules[name] = None  # importing it now raises ModuleNotFoundError
"""


def run(program: str) -> str:
    done = subprocess.run([sys.executable, "-c", BLOCK + program], capture_output=True, text=True, timeout=300)
    assert done.returncode == 0, done.stderr
    return done.stdout.strip()


def amtnet(first: str, *arguments: str) -> subprocess.CompletedProcess[str]:
    """The command amtnet without the libraries; first: what to do before."""
    program = f"{BLOCK}\n{first}\nsys.argv[1:] = {list(arguments)!r}\nfrom amtnet_ros.cli.main import main\nmain()"
    return subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, timeout=300)


@pytest.mark.skipif(find_spec("rclpy") is None, reason="rclpy is not installed: ./check installs it")
def test_the_detector_imports_no_library_but_numpy_opencv_and_onnxruntime() -> None:
    assert run("del sys.modules['yaml']  # rclpy's own\nimport amtnet_ros.ros.detector_node, amtnet_ros.client") == ""


@pytest.mark.skipif(find_spec("rclpy") is None, reason="rclpy is not installed: ./check installs it")
@pytest.mark.parametrize("executable", ["viewer", "player", "recorder", "rviz"])
def test_the_other_executables_import_no_library_but_numpy_opencv_and_click(executable: str) -> None:
    if find_spec("click") is None:
        pytest.skip("click is not installed, which their options are written with")
    allowed = "for name in ('yaml', 'click'): del sys.modules[name]"  # the one is rclpy's own
    assert run(f"{allowed}\nsys.modules['onnxruntime'] = None\nimport amtnet_ros.ros.{executable}") == ""


@pytest.mark.parametrize("command", ["run", "doctor", "models", "actions", "record"])
def test_a_robots_commands_import_nothing_that_its_apt_has_not(command: str) -> None:
    if find_spec("click") is None or find_spec("rich") is None:
        pytest.skip("click and rich are not installed, which these commands are written with")
    done = amtnet("for name in ('av', 'click', 'rich', 'yaml'): sys.modules.pop(name)", command, "--help")
    assert done.returncode == 0, done.stderr
    assert done.stdout.startswith(f"Usage: amtnet {command} ")


def test_a_bundled_model_finds_tubes_without_them() -> None:
    program = """
import numpy as np
from amtnet_ros.pipeline import Pipeline
pipeline = Pipeline.from_model("light_rgb", "cpu")
picture = np.zeros((120, 160, 3), np.uint8)
print([len(pipeline.push(i * 33_333_333, picture)) for i in range(3)], len(pipeline.finish()))
"""
    assert run(program) == "[1, 1, 1] 1"


@pytest.mark.parametrize(
    ("use", "says"),
    [
        ("from amtnet_ros.media.video import open_source; open_source('setup.py')", "sudo apt install python3-av"),
        ("from amtnet_ros.media.tube_lines import table_of; table_of([], 0)", "sudo apt install python3-rich"),
        (
            "import numpy as np; from amtnet_ros.tubes.matching import _optimal\n"
            "    _optimal(np.zeros(1, int), np.zeros(1, int), np.ones(1), (1, 1))",
            "link.assignment: optimal needs the Python package scipy",
        ),
    ],
    ids=["videos", "tables", "optimal assignment"],
)
def test_what_is_missing_is_named_with_the_remedy(use: str, says: str) -> None:
    program = f"""
from amtnet_ros.errors import UserError
try:
    {use}
except UserError as error:
    print(error)
"""
    assert says in run(program)


@pytest.mark.parametrize("command", ["run", "eval", "demo"])
def test_a_command_whose_library_is_missing_says_so(command: str) -> None:
    if find_spec("click") is None:
        pytest.skip("click is not installed, which the command amtnet is written with")
    done = amtnet("del sys.modules['click']", command, "--help")
    assert done.returncode == 2
    assert done.stderr.startswith(f"amtnet: amtnet {command} needs the Python package ")
    assert done.stderr.count("\n") == 1


@pytest.mark.parametrize("command", ["annotate", "teach", "tubes"])
def test_the_pydantic_of_a_robots_apt_is_too_old_and_named(command: str) -> None:
    if find_spec("click") is None:
        pytest.skip("click is not installed, which the command amtnet is written with")
    old = "import types\nsys.modules['pydantic'] = types.ModuleType('pydantic')  # has none of the names of pydantic 2"
    done = amtnet(f"for name in ('click', 'rich', 'av'): sys.modules.pop(name)\n{old}", command, "--help")
    assert done.returncode == 2
    lack = "needs the Python package pydantic, too old here: pip install 'pydantic>=2'\n"
    assert done.stderr == f"amtnet: amtnet {command} {lack}"


def test_a_missing_click_is_named_by_the_command_itself() -> None:
    done = amtnet("")
    assert done.returncode == 2
    assert "python3-click" in done.stderr
    assert done.stderr.count("\n") == 1
