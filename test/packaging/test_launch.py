"""The launch files: they compile, and where the launch system is installed they describe what they should."""

import importlib.util
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
FILES = sorted((ROOT / "launch").glob("*.launch.py"))


def has_launch_ros():
    """Whether the launch system is installed, and not only a folder of the name `launch` in the working directory."""
    return importlib.util.find_spec("launch_ros") is not None


needs_launch = pytest.mark.skipif(
    not has_launch_ros(), reason="launch_ros is on no package index; a robot has it from apt"
)


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.name)
def test_compiles(path):
    compile(path.read_text(), str(path), "exec")


@needs_launch
@pytest.mark.parametrize("path", FILES, ids=lambda path: path.name)
def test_every_argument_is_documented(path):
    from launch.launch_description_sources import get_launch_description_from_python_launch_file

    arguments = get_launch_description_from_python_launch_file(str(path)).get_launch_arguments()
    assert arguments
    assert all(argument.description and argument.default_value is not None for argument in arguments)


@needs_launch
def test_the_detector_launch_file_describes_a_detector_and_rviz():
    from launch.launch_description_sources import get_launch_description_from_python_launch_file
    from launch_ros.actions import Node

    from launch import LaunchContext

    description = get_launch_description_from_python_launch_file(str(ROOT / "launch" / "detector.launch.py"))
    context = LaunchContext()
    context.launch_configurations.update(namespace="front", image="/front/image_raw", model="edge", rviz="true")
    nodes = [node for entity in description.entities for node in entity.visit(context) or [] if isinstance(node, Node)]
    detector, rviz = nodes
    assert (detector.node_package, detector.node_executable) == ("amtnet_ros", "detector")
    assert (rviz.node_package, rviz.node_executable) == ("amtnet_ros", "rviz")
    assert rviz.condition.evaluate(context)
