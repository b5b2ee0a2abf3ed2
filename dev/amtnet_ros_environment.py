"""What every Python of .venv does first: enter the ROS environment in it, so that nobody has to source anything.

dev/environment.py links this file into the environment. It runs before the ROS wheels set LD_LIBRARY_PATH and start
Python once more, and then a second time.
"""

from __future__ import annotations

import os
import signal
import sys
from pathlib import Path

PREFIX = Path(sys.prefix)

if any(word.startswith("amtnet_ros.") for word in sys.orig_argv):
    # One of our programs, as in `python -m amtnet_ros.cli.main`: Ctrl-C ends it without a traceback from here on
    # (amtnet_ros/program.py).
    signal.signal(signal.SIGINT, lambda *_: os._exit(130))


def is_foreign(entry: str) -> bool:
    """Whether an entry of a search path belongs to another installation of ROS 2: the two cannot be mixed."""
    path = Path(entry)
    if path.is_relative_to(PREFIX):
        return False
    holds_ros = any((folder / "share" / "rclpy" / "package.xml").is_file() for folder in (path, *path.parents))
    return holds_ros or (path.name.startswith("ros_") and path.name.endswith(".libs"))


def enter() -> None:
    """Leave any other ROS 2 whose setup.bash was sourced, and name this one's folders."""
    for variable in ("PYTHONPATH", "LD_LIBRARY_PATH", "AMENT_PREFIX_PATH"):
        set_path(variable, [entry for entry in get_path(variable) if not is_foreign(entry)])
    sys.path[:] = [entry for entry in sys.path if not is_foreign(entry)]
    if str(PREFIX / "lib") not in get_path("LD_LIBRARY_PATH"):
        os.environ.pop("_ROS_WHEELS_BOOTSTRAP_COMPLETE", None)  # Set by another environment's wheels, if at all.
    if str(PREFIX) not in get_path("AMENT_PREFIX_PATH"):
        set_path("AMENT_PREFIX_PATH", [*get_path("AMENT_PREFIX_PATH"), str(PREFIX)])
    # Fast DDS 2, of Humble and Jazzy, knows the variable by its first name; Fast DDS 3 says that it is deprecated.
    name = "FASTDDS" if (PREFIX / "share" / "fastdds").is_dir() else "FASTRTPS"
    os.environ.setdefault(f"{name}_DEFAULT_PROFILES_FILE", str(PREFIX / "share/amtnet_ros/config/fastdds.xml"))
    # The checkout's half of the package, before site-packages, which has the messages' half.
    sys.path.insert(sys.path.index(str(Path(__file__).parent)), str(PREFIX / "src"))


def get_path(variable: str) -> list[str]:
    """The entries of a search path in the process environment."""
    return [entry for entry in os.environ.get(variable, "").split(os.pathsep) if entry]


def set_path(variable: str, entries: list[str]) -> None:
    """Set a search path in the process environment; without entries, remove it."""
    if entries:
        os.environ[variable] = os.pathsep.join(entries)
    else:
        os.environ.pop(variable, None)


enter()
