"""A detector in a process of its own, in a ROS domain of its own, and what the system knows of it."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from amtnet_ros.ros.domain import free_domain


@contextmanager
def detector_process(
    parameters: Mapping[str, Any], *arguments: str, log: Path | None = None
) -> Iterator[subprocess.Popen[bytes]]:
    """An active detector, while inside; then it is told to end.

    parameters: of the node. arguments: more for ROS. log: file for what it prints; None: its stderr is ours.
    This process moves to a ROS domain that nobody else uses.
    """
    os.environ.update(ROS_DOMAIN_ID=str(free_domain()), ROS_AUTOMATIC_DISCOVERY_RANGE="LOCALHOST")
    given = [f"{name}:={json.dumps(value)}" for name, value in {"autostart": True, **parameters}.items()]
    words = [word for each in given for word in ("-p", each)]
    command = [sys.executable, "-m", "amtnet_ros.ros.detector_node", "--ros-args", *words, *arguments]
    with open(log or os.devnull, "wb") as out:
        error = out if log else None
        process = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=out, stderr=error)
        try:
            yield process
        finally:
            process.send_signal(signal.SIGINT)
            process.wait(30)


def cpu_seconds(pid: int) -> float:
    """Of all threads of a process, user and system."""
    fields = Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


@dataclass(frozen=True)
class Footprint:
    """What a process holds. memory: MiB that are in RAM; files: open handles; threads: that are alive."""

    memory: float
    files: int
    threads: int


def footprint(pid: int) -> Footprint:
    """Of a process that runs."""
    folder = Path(f"/proc/{pid}")
    pages = int((folder / "statm").read_text().split()[1])
    memory = round(pages * os.sysconf("SC_PAGE_SIZE") / 2**20, 1)
    return Footprint(memory, len(os.listdir(folder / "fd")), len(os.listdir(folder / "task")))
