"""The profile with which Fast DDS, the middleware of most distributions, loses no images: config/fastdds.xml."""

from __future__ import annotations

import os
from pathlib import Path

VARIABLES = ("FASTDDS_DEFAULT_PROFILES_FILE", "FASTRTPS_DEFAULT_PROFILES_FILE")
"""Either may name a profile: Humble and Jazzy know the second only, Kilted and later call it deprecated."""


def known() -> tuple[str, ...]:
    """The variables that the distribution of this environment reads, the best first."""
    return VARIABLES[1:] if os.environ.get("ROS_DISTRO") in ("humble", "iron", "jazzy") else VARIABLES


def variables(profile: Path) -> dict[str, str]:
    """What to add to the process environment, so that the profile is used; nothing where the user has named another."""
    return {} if any(map(os.environ.get, known())) else {known()[0]: str(profile)}


def advice(middleware: str) -> str:
    """A line for a process that runs without a profile, or "". middleware: as ROS calls it, e.g. rmw_fastrtps_cpp."""
    if "fastrtps" not in middleware or any(map(os.environ.get, known())):
        return ""
    unread = next(filter(os.environ.get, VARIABLES), "")
    return (
        "Fast DDS runs with its own settings, which lose most images of 640x480 and more: set "
        f"{known()[0]} to share/amtnet_ros/config/fastdds.xml, for the camera as well (docs/ros.md)"
        + (f"; {unread}, which is set, is not read by this distribution" if unread else "")
    )


def bundled() -> Path | None:
    """The package's profile, installed or in the source tree."""
    prefixes = [Path(prefix) for prefix in os.environ.get("AMENT_PREFIX_PATH", "").split(os.pathsep) if prefix]
    folders = [*(prefix / "share" / "amtnet_ros" for prefix in prefixes), Path(__file__).resolve().parents[2]]
    return next((path for folder in folders if (path := folder / "config" / "fastdds.xml").is_file()), None)
