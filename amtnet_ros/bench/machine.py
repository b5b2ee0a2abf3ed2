"""What a measurement ran on."""

from __future__ import annotations

import os
import platform
from pathlib import Path


def machine() -> str:
    """Name of the processor, and how many of its cores this process may use."""
    cores = len(os.sched_getaffinity(0))
    return f"{processor()}, {cores} of {os.cpu_count()} cores"


def processor() -> str:
    """As Linux names it."""
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
    except OSError:
        return platform.processor()
    return next((line.split(":")[1].strip() for line in lines if line.startswith("model name")), platform.processor())
