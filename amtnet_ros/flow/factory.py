"""From the name of a flow engine to the engine."""

from __future__ import annotations

from importlib.util import find_spec
from pathlib import Path

from amtnet_ros.errors import UserError
from amtnet_ros.flow.contract import WORKING_SIZE, FlowEngine

ENGINES = "dis[:ultrafast|fast|medium], brox[:fast|paper], raft[:small|large][:WEIGHTS], onnx:FILE"

SMALLEST, LARGEST = 16, 4096
"""Sides of the working size, in pixels."""


def make_flow(spec: str, working_size: tuple[int, int] = WORKING_SIZE, device: str = "auto") -> FlowEngine:
    """Make the engine that `spec` names, one of ENGINES; without a preset: dis:medium, brox:fast, raft:small.

    working_size: (width, height). device: "auto", "cpu" or "cuda:N"; `dis` knows only the CPU and ignores it.
    Across a cut or a flash the engine answers zero flow (see flow.guard).
    Raises UserError for an unknown engine or preset, for a device that is not there, and where torch is needed but
    not installed.
    """
    from amtnet_ros.flow.guard import GuardedFlow

    return GuardedFlow(_make(spec, working_size, device))


def _make(spec: str, working_size: tuple[int, int], device: str) -> FlowEngine:
    kind, _, option = spec.partition(":")
    if not all(SMALLEST <= side <= LARGEST for side in working_size):
        size = "{}x{}".format(*working_size)
        raise UserError(f"flow: the working size must be {SMALLEST} to {LARGEST} pixels a side, not {size}")
    if kind == "dis":
        from amtnet_ros.flow.dis import DisFlow

        return DisFlow(option or "medium", working_size)
    if kind == "onnx" and option:
        from amtnet_ros.flow.onnx_engine import OnnxFlow

        return OnnxFlow(Path(option), working_size, device)
    if kind in ("brox", "raft"):
        return _make_torch_flow(kind, option, working_size, device)
    raise UserError(f"flow: unknown engine '{spec}'; use one of {ENGINES}")


def _make_torch_flow(kind: str, option: str, working_size: tuple[int, int], device: str) -> FlowEngine:
    missing = next((name for name in ("torch", "torchvision") if find_spec(name) is None), None)
    if missing == "torch" or (missing and kind == "raft"):
        raise UserError(f"flow: the engine '{kind}' needs {missing}: pip install {missing}; dis and onnx do without")
    if kind == "brox":
        from amtnet_ros.flow.brox import BroxFlow

        return BroxFlow(option or "fast", working_size, device)
    from amtnet_ros.flow.raft import RaftFlow

    variant, _, weights = option.partition(":")
    return RaftFlow(variant or "small", Path(weights) if weights else None, working_size, device)
