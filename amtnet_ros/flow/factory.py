"""From the name of a flow engine to the engine."""

from __future__ import annotations

from importlib.util import find_spec
from pathlib import Path

import numpy as np

from amtnet_ros.contracts import Float32, UInt8
from amtnet_ros.errors import UserError
from amtnet_ros.flow.contract import WORKING_SIZE, FlowEngine, check_pair, to_grey, to_working_size
from amtnet_ros.stream.cuts import LEAST_CORRELATION

# Of 4859 consecutive frames of J-HMDB clips none jumps by more than 14 grey levels.
LARGEST_JUMP = 25.0
_THUMBNAIL = (32, 24)


class GuardedFlow:
    """An engine that answers "no motion" between images that do not continue one another; see FlowEngine.

    Any flow method matches whatever it is given: after a cut or under a flash, the result is long vectors everywhere.
    """

    def __init__(self, engine: FlowEngine) -> None:
        self.engine = engine
        self.name = engine.name
        self.working_size = engine.working_size

    def __call__(self, previous: UInt8, current: UInt8) -> Float32:
        check_pair(previous, current)
        first, second = (to_working_size(image, self.working_size) for image in (previous, current))
        if is_disrupted(first, second):
            return np.zeros((*first.shape[:2], 2), np.float32)
        return self.engine(first, second)

    def batch(self, previous: UInt8, current: UInt8) -> Float32:
        check_pair(previous, current, ndim=4)
        first, second = (np.stack([to_working_size(i, self.working_size) for i in x]) for x in (previous, current))
        flow = self.engine.batch(first, second)
        flow[[is_disrupted(a, b) for a, b in zip(first, second, strict=True)]] = 0
        return flow


def is_disrupted(previous: UInt8, current: UInt8) -> bool:
    """Whether `current` does not continue `previous`, both (H, W, 3) uint8: the view or the light changed at once."""
    a, b = (to_grey(image, _THUMBNAIL).astype(np.float32) for image in (previous, current))
    return bool(abs(a.mean() - b.mean()) > LARGEST_JUMP) or _correlation(a, b) < LEAST_CORRELATION


def _correlation(a: Float32, b: Float32) -> float:
    """Pearson's; 1 for two images without any contrast."""
    a, b = a - a.mean(), b - b.mean()
    contrast = float(np.linalg.norm(a) * np.linalg.norm(b))
    return float((a * b).sum()) / contrast if contrast > 0 else 1.0


ENGINES = "dis[:ultrafast|fast|medium], brox[:fast|paper], raft[:small|large][:WEIGHTS], onnx:FILE"

SMALLEST, LARGEST = 16, 4096
"""Sides of the working size, in pixels."""


def make_flow(spec: str, working_size: tuple[int, int] = WORKING_SIZE, device: str = "auto") -> FlowEngine:
    """Make the engine that `spec` names, one of ENGINES; without a preset: dis:medium, brox:fast, raft:small.

    working_size: (width, height). device: "auto", "cpu" or "cuda:N"; `dis` knows only the CPU and ignores it.
    Across a cut or a flash the engine answers zero flow (see `GuardedFlow`).
    Raises UserError for an unknown engine or preset, for a device that is not there, and where torch is needed but
    not installed.
    """
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
