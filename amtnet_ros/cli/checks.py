"""What can be wrong with an installation, check by check, each with its remedy."""

from __future__ import annotations

import importlib
import importlib.util
import os
import sysconfig
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from importlib import metadata
from pathlib import Path

from amtnet_ros.libraries import INSTALL

ONNXRUNTIME = ("onnxruntime", "onnxruntime-gpu")


@dataclass(frozen=True)
class Finding:
    """What a check found. wrong: it keeps something from working; remedy: what to do about it, or ""."""

    subject: str
    says: str
    wrong: bool = False
    remedy: str = ""


def libraries() -> Iterator[Finding]:
    """NumPy, OpenCV and ONNX Runtime, which all need; and those that only some commands do."""
    yield _needed("numpy", "sudo apt install python3-numpy")
    yield _needed("cv2", "sudo apt install python3-opencv" if not _numpy_is_2() else _older_numpy())
    yield _needed("onnxruntime", f"{_pip()} onnxruntime" + (' "numpy<2"' if not _numpy_is_2() else ""))
    yield from _two_runtimes()
    for module, remedy in INSTALL.items():
        there = importlib.util.find_spec(module) is not None
        yield Finding(
            module, "there" if there else "not installed; some commands need it", remedy="" if there else remedy
        )
    if importlib.util.find_spec("scipy"):
        yield from _broken("scipy", _older_numpy())


def ros() -> Iterator[Finding]:
    """The ROS packages, the messages of this one, cv_bridge, and the middleware's settings."""
    source = "source /opt/ros/DISTRIBUTION/setup.bash (without ROS: ./demo)"
    if importlib.util.find_spec("rclpy") is None:
        yield Finding("rclpy", "not found; the nodes need it, `amtnet run` does not", remedy=source)
        return
    try:
        importlib.import_module("rclpy")
    except Exception as error:
        yield Finding("rclpy", _line(error), wrong=True, remedy=f"{source}; its Python must be this one")
        return
    yield Finding("rclpy", f"there; distribution {os.environ.get('ROS_DISTRO') or 'not named by ROS_DISTRO'}")
    built = "colcon build --packages-select amtnet_ros, then source install/setup.bash"
    for module, remedy in (
        ("amtnet_ros.msg", built),
        ("vision_msgs.msg", "rosdep install --from-paths src --ignore-src -y -r"),
        ("visualization_msgs.msg", "rosdep install --from-paths src --ignore-src -y -r"),
        ("diagnostic_msgs.msg", "rosdep install --from-paths src --ignore-src -y -r"),
    ):
        yield from _broken(module, remedy) or [Finding(module, "there")]
    yield _cv_bridge()
    yield _middleware()


def _needed(module: str, remedy: str) -> Finding:
    for found in _broken(module, remedy):
        return found
    return Finding(module, str(getattr(importlib.import_module(module), "__version__", "there")))


def _broken(module: str, remedy: str) -> list[Finding]:
    """A finding if the module cannot be imported; libraries built against another NumPy fail in several ways."""
    try:
        importlib.import_module(module)
    except Exception as error:
        return [Finding(module, _line(error), wrong=True, remedy=remedy)]
    return []


def _two_runtimes() -> list[Finding]:
    there = {name for name in ONNXRUNTIME if _version(name)}
    if there != set(ONNXRUNTIME):
        return []
    remedy = f"pip uninstall {' '.join(ONNXRUNTIME)}, then {_pip()} the one you want"
    return [Finding("onnxruntime", "two builds are installed over each other", wrong=True, remedy=remedy)]


def _version(distribution: str) -> str:
    try:
        return metadata.version(distribution)
    except metadata.PackageNotFoundError:
        return ""


def _numpy_is_2() -> bool:
    return _version("numpy").startswith("2.")


def _older_numpy() -> str:
    return f'{_pip()} "numpy<2": apt\'s libraries of Ubuntu 22.04 and 24.04 are built against NumPy 1'


def _pip() -> str:
    """How to call pip here: where the system's Python is marked as managed by apt (PEP 668), it must be told to."""
    marker = Path(sysconfig.get_path("stdlib"), "EXTERNALLY-MANAGED")
    return "PIP_BREAK_SYSTEM_PACKAGES=1 pip install" if marker.is_file() else "pip install"


def _cv_bridge() -> Finding:
    from amtnet_ros.ros.conversions import has_cv_bridge

    if has_cv_bridge():
        return Finding("cv_bridge", "works")
    return Finding("cv_bridge", "none that works with this NumPy and OpenCV; the detector's own converter is used")


def _middleware() -> Finding:
    """Whether Fast DDS is told not to lose images."""
    from rclpy.utilities import get_rmw_implementation_identifier

    from amtnet_ros.ros import fastdds

    middleware = get_rmw_implementation_identifier()
    if advice := fastdds.advice(middleware):
        profile = "$(ros2 pkg prefix amtnet_ros)/share/amtnet_ros/config/fastdds.xml"
        return Finding(middleware, advice, wrong=True, remedy=f"export {fastdds.variable()}={profile}")
    for name in fastdds.VARIABLES:
        path = os.environ.get(name)
        if "fastrtps" in middleware and path and not Path(path).is_file():
            return Finding(middleware, f"{name} names {path}, which is no file", wrong=True, remedy=f"unset {name}")
    return Finding(middleware, "its settings lose no images" if "fastrtps" in middleware else "used; not tried here")


def _line(error: Exception) -> str:
    """The last line of what an error says; NumPy's are whole pages."""
    lines = str(error).strip().splitlines() or [type(error).__name__]
    return f"does not work: {lines[-1].strip()}"


CHECKS: dict[str, Callable[[], Iterator[Finding]]] = {"Libraries": libraries, "ROS 2": ros}
