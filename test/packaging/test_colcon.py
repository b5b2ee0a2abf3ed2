"""`colcon build` makes what `ros2 run` and `ros2 launch` look for."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]

# The build's tools are beside this Python, or where a sourced ROS 2 put them.
SEARCH = f"{Path(sys.prefix, 'bin')}{os.pathsep}{os.environ['PATH']}"
ENVIRONMENT = {"AMENT_PREFIX_PATH": sys.prefix, **os.environ, "PATH": SEARCH}
ENVIRONMENT.pop("PYTHONPATH", None)


@pytest.fixture(scope="module")
def install(tmp_path_factory):
    """The install space of a workspace that holds this package."""
    if not shutil.which("colcon", path=SEARCH):
        pytest.skip("colcon is not installed: ./check installs it")
    space = tmp_path_factory.mktemp("workspace")
    done = subprocess.run(
        ["colcon", "build", "--base-paths", ROOT, "--cmake-args", "-DBUILD_TESTING=OFF"],
        cwd=space,
        env=ENVIRONMENT,
        capture_output=True,
        text=True,
        timeout=900,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return space / "install" / "amtnet_ros"


def in_workspace(install, command):
    """Run a command in a shell that has sourced the workspace."""
    script = f"source {install.parent}/setup.bash && exec {command}"
    return subprocess.run(
        ["bash", "-c", script], cwd=install, env=ENVIRONMENT, capture_output=True, text=True, timeout=120
    )


def test_executables_are_where_ros2_run_looks(install):
    folder = install / "lib" / "amtnet_ros"
    assert {path.name for path in folder.iterdir()} == {"amtnet", "detector", "player", "recorder", "rviz", "viewer"}
    assert all(os.access(path, os.X_OK) for path in folder.iterdir())


def test_the_player_runs_from_the_install_space(install):
    done = in_workspace(install, f"{install}/lib/amtnet_ros/player --help")
    assert done.returncode == 0, done.stderr
    assert "SOURCE" in done.stdout


def test_the_command_amtnet_runs_from_the_install_space(install):
    done = in_workspace(install, f"{install}/lib/amtnet_ros/amtnet --version")
    assert done.stdout == "amtnet, version 0.1.0\n", done.stderr


def test_the_code_and_the_generated_messages_are_one_package(install):
    program = "from amtnet_ros import __version__, contracts, msg; print(__version__, contracts.__file__, msg.__file__)"
    done = in_workspace(install, f'{sys.executable} -c "{program}"')
    assert done.returncode == 0, done.stderr
    version, *files = done.stdout.split()
    assert version == "0.1.0"
    assert all(Path(file).is_relative_to(install) for file in files)


@pytest.mark.parametrize("folder", ["config", "launch", "models"])
def test_share_holds_all_that_the_repository_has(install, folder):
    def content(root):
        return {
            path.relative_to(root) for path in root.rglob("*") if path.is_file() and "__pycache__" not in path.parts
        }

    assert content(install / "share" / "amtnet_ros" / folder) == content(ROOT / folder)


def test_headers_for_cpp_are_generated(install):
    assert list(install.glob("include/amtnet_ros/**/action_tube_array.hpp"))
