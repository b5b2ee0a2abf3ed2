"""What can be wrong with an installation, check by check, each with its remedy."""

from __future__ import annotations

import importlib
import importlib.util
import os
import shutil
import sysconfig
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import dataclass
from importlib import metadata
from pathlib import Path

from amtnet_ros.libraries import INSTALL

ONNXRUNTIME = ("onnxruntime", "onnxruntime-gpu")
TRIED = ("humble", "jazzy", "kilted")
"""Distributions with whose versions the tests were run: dev/matrix."""

ON_ROBOTS = {
    "av": "`amtnet run`, player and recorder need it for videos",
    "click": "`amtnet`, player, recorder and viewer need it",
    "rich": "`amtnet run` and recorder need it",
    "scipy": "link.assignment: optimal needs it",
}
"""What the executables use beyond what the detector needs, and for what."""

MESSAGES = (
    *("vision_msgs.msg", "visualization_msgs.msg", "diagnostic_msgs.msg", "geometry_msgs.msg", "lifecycle_msgs.msg"),
    *("rcl_interfaces.msg", "sensor_msgs.msg", "std_msgs.msg", "std_srvs.srv", "unique_identifier_msgs.msg"),
)
ROS_EXTRAS = {
    "launch_ros": ("`ros2 launch` needs it", "launch-ros"),
    "bondpy": ("the parameter bond needs it", "bondpy"),
    "foxglove_msgs": ("~/annotations need it", "foxglove-msgs"),
}
"""ROS packages that some robots do without: who needs them, and how apt calls them."""

FFMPEG_6_1 = (60, 30)
"""Its libavcodec."""

SEGMENTS = 64
"""MiB of shared memory that the camera's and the detector's segments take, by config/fastdds.xml."""


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
    for module, use in ON_ROBOTS.items():
        if importlib.util.find_spec(module) is None:
            yield Finding(module, f"not installed; {use}", remedy=INSTALL[module])
            continue
        remedy = _older_numpy() if _numpy_is_2() else INSTALL[module]
        yield from _broken(module, remedy) or [Finding(module, _version(module) or "there")]
    yield from _old_ffmpeg()
    if (pydantic := _version("pydantic")).startswith("1."):
        yield Finding("pydantic", f"{pydantic}; training and reviewing clips need 2", remedy=INSTALL["pydantic"])
    others = {name: importlib.util.find_spec(name) is not None for name in INSTALL if name not in ON_ROBOTS}
    for there, title in ((True, "also there"), (False, "not there")):
        if names := [name for name, found in others.items() if found == there]:
            yield Finding(title, f"{', '.join(names)}; single commands need them, and say so")


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
    yield Finding("rclpy", f"there; {_distribution()}")
    built = "colcon build --packages-select amtnet_ros, then source install/setup.bash"
    yield from _broken("amtnet_ros.msg", built) or [Finding("amtnet_ros.msg", "there")]
    yield from _messages()
    for package, (use, in_apt) in ROS_EXTRAS.items():
        there = importlib.util.find_spec(package) is not None
        remedy = "" if there else f"sudo apt install ros-$ROS_DISTRO-{in_apt}"
        yield Finding(package, "there" if there else f"not installed; {use}", remedy=remedy)
    if not shutil.which("rviz2"):
        yield Finding("rviz2", "not installed; rviz:=true needs it", remedy="sudo apt install ros-$ROS_DISTRO-rviz2")
    yield _cv_bridge()
    yield _middleware()
    yield from _shared_memory()


def _distribution() -> str:
    name = os.environ.get("ROS_DISTRO")
    if not name:
        return "distribution not named by ROS_DISTRO"
    return f"distribution {name}" + ("" if name in TRIED else f", with which it was not tried ({', '.join(TRIED)})")


def _messages() -> Iterator[Finding]:
    """Those of other packages that the nodes use; rosdep may have stopped half way."""
    remedy = "rosdep install --from-paths src --ignore-src -y -r"
    wrong = [found for package in MESSAGES for found in _broken(package, remedy)]
    yield from wrong or [Finding("messages of ROS", "there")]


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


def _old_ffmpeg() -> list[Finding]:
    """PyAV of Ubuntu 22.04 and Debian 12: their FFmpeg does not tell with a frame how the phone was held."""
    if importlib.util.find_spec("av") is None or _broken("av", ""):
        return []
    versions = importlib.import_module("av").library_versions
    if versions["libavcodec"] >= FFMPEG_6_1:
        return []
    says = f"{_version('av')} reads films of phones as they lie, not upright"
    return [Finding("av", says, remedy=f"{_pip()} 'av>=12'")]


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
    return f'{_pip()} "numpy<2"  # that of apt\'s libraries'


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
        return Finding(middleware, advice, wrong=True, remedy=f"export {fastdds.known()[0]}={profile}")
    for name in fastdds.known():
        path = os.environ.get(name)
        if "fastrtps" in middleware and path and not Path(path).is_file():
            return Finding(middleware, f"{name} names {path}, which is no file", wrong=True, remedy=f"unset {name}")
    if "cyclonedds" in middleware and "SocketReceiveBufferSize" not in os.environ.get("CYCLONEDDS_URI", ""):
        return Finding(middleware, "used; for large images it needs a greater receive buffer: docs/ros.md")
    tried = "fastrtps" in middleware or "cyclonedds" in middleware
    return Finding(middleware, "its settings lose no images" if tried else "used; not tried here")


def _shared_memory() -> Iterator[Finding]:
    """Whether images can pass by it: in containers it is small, and what another user made cannot be used."""
    folder = Path("/dev/shm")
    if not folder.is_dir():
        return
    free = shutil.disk_usage(folder).free >> 20
    if free < SEGMENTS:
        says = f"{free} MiB free, images need {SEGMENTS}"
        yield Finding(
            str(folder), says, wrong=True, remedy="docker run --ipc host; or rm /dev/shm/fast* with no node up"
        )
    others = set()
    for path in folder.glob("fast*"):
        with suppress(OSError):  # gone by now
            others.add(path.stat().st_uid)
    if others - {os.getuid()}:
        says = "holds segments of other users: images from user to user go by UDP, and large ones may be lost"
        yield Finding(str(folder), says, remedy="run camera and detector as one user")


def _line(error: Exception) -> str:
    """The last line of what an error says; NumPy's are whole pages."""
    lines = str(error).strip().splitlines() or [type(error).__name__]
    return f"does not work: {lines[-1].strip()}"


CHECKS: dict[str, Callable[[], Iterator[Finding]]] = {"Libraries": libraries, "ROS 2": ros}
