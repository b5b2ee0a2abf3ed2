"""Sessions of ONNX Runtime, all made alike."""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import onnxruntime as ort

from amtnet_ros.device.name import PROVIDERS, Device
from amtnet_ros.errors import UserError
from amtnet_ros.files import is_utf8


def make_session(path: Path, chain: list[tuple[str, dict[str, Any]]], threads: int) -> ort.InferenceSession:
    """Load a graph. chain: providers and their options, see `provider_chain`. Raises UserError where it cannot be."""
    options = ort.SessionOptions()
    options.graph_optimization_level = ort.GraphOptimizationLevel.ORT_ENABLE_ALL
    options.intra_op_num_threads = threads
    # Threads that wait must sleep: those that spin take the cores from flow, the node and the camera's driver.
    options.add_session_config_entry("session.intra_op.allow_spinning", "0")
    options.log_severity_level = 3
    missing = [name for name, _ in chain if name not in ort.get_available_providers()]
    if missing:
        raise UserError(f"this ONNX Runtime has no {missing[0]}; install onnxruntime-gpu instead of onnxruntime")
    if any(name != PROVIDERS["cpu"] for name, _ in chain) and hasattr(ort, "preload_dlls"):
        ort.preload_dlls()  # NVIDIA's wheels lie where the system's loader does not look
    try:
        graph = str(path) if is_utf8(path) else path.read_bytes()
        session = ort.InferenceSession(graph, options, providers=chain)
    except Exception as error:  # ONNX Runtime raises many kinds, one for each of its status codes
        raise UserError(f"{path}: ONNX Runtime cannot load it ({_one_line(error)})") from error
    session.disable_fallback()
    return session


@contextmanager
def first_run(path: Path) -> Iterator[None]:
    """For what a graph that was loaded, but never run, can raise. It becomes UserError."""
    try:
        yield
    except Exception as error:  # as above, and MemoryError where the memory is limited
        raise UserError(f"{path}: ONNX Runtime cannot run it ({_one_line(error)})") from error


def check_provider(session: ort.InferenceSession, device: Device, expected: str) -> str:
    """The provider in use. Raises UserError where ONNX Runtime quietly took another than was asked for."""
    used = str(session.get_providers()[0])
    if used != expected:
        raise UserError(f"device {device.name}: ONNX Runtime could not start {expected} and would use {used}")
    return used if device.kind == "cpu" else f"{used} ({device.name})"


def _one_line(error: Exception) -> str:
    """ONNX Runtime's message without its status codes and what cannot be printed."""
    text = re.sub(r"\[ONNXRuntimeError\] : \d+ : \w+ : ", "", str(error)) or type(error).__name__
    return "".join(each for each in " ".join(text.split()) if each.isprintable())[:200]
