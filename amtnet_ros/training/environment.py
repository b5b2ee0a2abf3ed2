"""With what a run was made: machine, versions, revision."""

from __future__ import annotations

import importlib.metadata
import os
import platform
import subprocess
from pathlib import Path
from typing import Any

import torch

import amtnet_ros

PACKAGES = ("numpy", "opencv-python-headless", "torch", "torchvision", "av", "pydantic")


def describe_environment(device: torch.device, processes: int) -> dict[str, Any]:
    """What another person needs to know to repeat a run, as JSON can hold it."""
    on_gpu = device.type == "cuda"
    return {
        "amtnet_ros": amtnet_ros.__version__,
        "revision": git_revision(Path(__file__).parent),
        "python": platform.python_version(),
        "system": platform.platform(),
        "packages": {name: _version(name) for name in PACKAGES},
        "cpu": _cpu_name(),
        "cores": os.cpu_count(),
        "device": torch.cuda.get_device_name(device) if on_gpu else "cpu",
        "cuda": torch.version.cuda if on_gpu else None,
        "processes": processes,
        "threads": torch.get_num_threads(),
    }


def git_revision(folder: Path) -> str | None:
    """The commit of a folder's repository, with "+changes" if files differ from it; None outside a repository."""
    try:
        commit = _git(folder, "rev-parse", "HEAD")
        changed = _git(folder, "status", "--porcelain", "--untracked-files=no", "--", ".")
    except (OSError, subprocess.SubprocessError):
        return None
    return commit + ("+changes" if changed else "")


def _git(folder: Path, *arguments: str) -> str:
    done = subprocess.run(
        ["git", "-C", str(folder), *arguments], capture_output=True, text=True, check=True, timeout=10
    )
    return done.stdout.strip()


def _version(package: str) -> str | None:
    try:
        return importlib.metadata.version(package)
    except importlib.metadata.PackageNotFoundError:
        return None


def _cpu_name() -> str:
    try:
        lines = Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines()
    except OSError:
        return platform.processor()
    names = [line.partition(":")[2].strip() for line in lines if line.startswith("model name")]
    return names[0] if names else platform.machine()
