"""What surrounds a run: machine and versions, for the record; advice where memory runs out; requests to stop."""

from __future__ import annotations

import importlib.metadata
import os
import platform
import signal
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from types import FrameType, TracebackType
from typing import Any

import torch

import amtnet_ros
from amtnet_ros.errors import UserError
from amtnet_ros.training.config import Experiment

PACKAGES = ("numpy", "opencv-python-headless", "torch", "torchvision", "av", "pydantic")
SIGNALS = (signal.SIGINT, signal.SIGTERM)


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


@contextmanager
def memory_advice(experiment: Experiment) -> Iterator[None]:
    """A block whose running out of memory, on GPU, CPU or in a worker, becomes a UserError that says what helps."""
    options, run = experiment.optimiser, experiment.run
    try:
        yield
    except torch.OutOfMemoryError as error:
        raise UserError(
            f"the GPU's memory is full: lower optimiser.batch_size (now {options.batch_size}) or network.image_size "
            f"(now {experiment.network.image_size}), or freeze more blocks (optimiser.freeze_blocks)"
        ) from error
    except MemoryError as error:
        raise UserError(_of_cpu(options.batch_size, run.workers)) from error
    except RuntimeError as error:
        text = str(error)
        if "can't allocate memory" in text:
            raise UserError(_of_cpu(options.batch_size, run.workers)) from error
        if "DataLoader worker" in text and ("killed" in text or "exited" in text):
            raise UserError(
                f"a process that prepares samples was killed, probably for want of memory: lower run.workers (now "
                f"{run.workers}) or optimiser.batch_size (now {options.batch_size}); run.workers=0 shows its own error"
            ) from error
        if "No space left on device" in text or "shared memory" in text:
            raise UserError(
                f"shared memory (/dev/shm) is full: lower run.workers (now {run.workers}), or give the container more "
                "(docker run --shm-size=8g)"
            ) from error
        raise


def _of_cpu(batch_size: int, workers: int) -> str:
    return f"memory is full: lower optimiser.batch_size (now {batch_size}) or run.workers (now {workers})"


class StopRequest:
    """A context in which Ctrl-C and SIGTERM only set `asked`; a second Ctrl-C interrupts at once."""

    def __init__(self) -> None:
        self.asked = False
        self._before: dict[signal.Signals, Any] = {}

    def __enter__(self) -> StopRequest:
        for number in SIGNALS:
            self._before[number] = signal.signal(number, self._ask)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        for number, handler in self._before.items():
            signal.signal(number, handler)

    def _ask(self, number: int, frame: FrameType | None) -> None:
        if self.asked and number == signal.SIGINT:
            raise KeyboardInterrupt
        self.asked = True
