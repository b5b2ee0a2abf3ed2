"""`colcon build` makes what `ros2 run` and `ros2 launch` look for, and pip a wheel of what needs no ROS."""

import os
import shutil
import subprocess
import sys
import zipfile
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


def content(root):
    """All files of a folder, by their paths in it."""
    return {path.relative_to(root) for path in root.rglob("*") if path.is_file() and "__pycache__" not in path.parts}


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
    assert content(install / "share" / "amtnet_ros" / folder) == content(ROOT / folder)


def test_headers_for_cpp_are_generated(install):
    assert list(install.glob("include/amtnet_ros/**/action_tube_array.hpp"))


def test_the_wheel_holds_the_whole_package_and_finds_its_models(tmp_path):
    pytest.importorskip("setuptools", minversion="70.1", reason="setuptools is too old to make wheels by itself")
    source, wheel = tmp_path / "source", tmp_path / "wheel"  # a copy: the build leaves folders behind
    shutil.copytree(ROOT / "amtnet_ros", source / "amtnet_ros", ignore=shutil.ignore_patterns("__pycache__"))
    for name in ("setup.py", "pyproject.toml", "LICENSE", "models"):
        (source / name).symlink_to(ROOT / name)
    command = [sys.executable, "-m", "pip", "wheel", "--no-deps", "--no-build-isolation", "--wheel-dir", tmp_path, "."]
    done = subprocess.run(command, cwd=source, env=ENVIRONMENT, capture_output=True, text=True, timeout=300)
    assert done.returncode == 0, done.stdout + done.stderr
    zipfile.ZipFile(next(tmp_path.glob("amtnet_ros-*.whl"))).extractall(wheel)
    models = {Path("models") / path for path in content(ROOT / "models")}
    assert content(wheel / "amtnet_ros") == content(ROOT / "amtnet_ros") | models

    program = f"""
import os
os.environ.pop("AMENT_PREFIX_PATH", None)
import sys
sys.path.insert(0, {str(wheel)!r})
import numpy as np
from amtnet_ros.inference.card import find_model
from amtnet_ros.pipeline import Pipeline
pipeline = Pipeline.from_model("light_rgb", "cpu")
pipeline.push(0, np.zeros((120, 160, 3), np.uint8))
print(find_model("light_rgb"))
"""
    done = subprocess.run([sys.executable, "-c", program], cwd=tmp_path, capture_output=True, text=True, timeout=120)
    assert done.stdout.strip() == str(wheel / "amtnet_ros" / "models" / "light_rgb"), done.stderr
