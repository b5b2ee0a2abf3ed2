"""The actor stream by ONNX Runtime: CPU, CUDA or TensorRT. What it remembers of persons stays on the device."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import onnxruntime as ort

from amtnet_ros.contracts import Float32, UInt8
from amtnet_ros.device.name import Device
from amtnet_ros.errors import UserError
from amtnet_ros.inference.card import ACTOR, ACTOR_INT8, ActorCard, ModelCard
from amtnet_ros.inference.contract import Look
from amtnet_ros.inference.device import provider_chain
from amtnet_ros.inference.onnxruntime_session import check_provider, first_run, make_session

INPUTS = ("pictures", "memory", "earlier", "count")
OUTPUTS = ("answers", "names", "features", "memory_out")
NUMBERS = {f"tensor({name})": np.dtype(kind) for name, kind in (("float", "f4"), ("float16", "f2"), ("uint8", "u1"))}
"""What a memory may consist of: an 8-bit graph remembers bytes."""
_MOST_REMEMBERED = 1 << 26  # numbers


@dataclass(frozen=True)
class _Batch:
    """What one look left in the memories of its persons: a row each."""

    rows: ort.OrtValue

    @cached_property
    def on_host(self) -> np.ndarray:
        return np.asarray(self.rows.numpy())


class _Memory(NamedTuple):
    """One person's."""

    batch: _Batch
    row: int


class OnnxRuntimeActorEngine:
    """See `ActorEngine`. Made by `make_actor_engine`."""

    def __init__(
        self, folder: Path, card: ModelCard, actor: ActorCard, device: Device, int8: bool, threads: int, at_once: int
    ) -> None:
        """at_once: the most persons it is made ready for, with the whole picture beside them."""
        self.precision = "int8" if int8 else "fp32"
        self.picture_size = actor.picture_size
        self._device = device
        file = folder / (ACTOR_INT8 if int8 else ACTOR)
        self._session = make_session(file, provider_chain(device, card), threads)
        self.provider = check_provider(self._session, device, device.provider)
        inputs = _check_graph(file, actor, self._session)
        self.n_features = int(inputs["earlier"].shape[1])
        self._empty = np.zeros(inputs["memory"].shape[1:], NUMBERS[inputs["memory"].type])
        with first_run(file):
            self._warm_up(at_once)

    def look(self, pictures: UInt8, memories: Sequence[_Memory | None], earlier: Float32, count: Float32) -> Look:
        binding = self._session.io_binding()
        binding.bind_cpu_input("pictures", np.ascontiguousarray(pictures))
        binding.bind_cpu_input("earlier", np.ascontiguousarray(earlier, np.float32))
        binding.bind_cpu_input("count", np.ascontiguousarray(count, np.float32).reshape(-1, 1))
        before = self._joined(memories)
        binding.bind_ortvalue_input("memory", before)
        for name in OUTPUTS[:-1]:
            binding.bind_output(name, "cpu")
        binding.bind_output(OUTPUTS[-1], *self._device.memory)
        self._session.run_with_iobinding(binding)
        answers, names, features, after = binding.get_outputs()
        batch = _Batch(after)
        rows = [_Memory(batch, row) for row in range(len(pictures))]
        return Look(answers.numpy(), names.numpy(), features.numpy(), rows)

    def close(self) -> None:
        del self._session

    def _joined(self, memories: Sequence[_Memory | None]) -> ort.OrtValue:
        """(N, …), a row a person. Those who were looked at together before are one already; others go by the host."""
        before = memories[0].batch if memories[0] is not None else None
        if before is not None and before.rows.shape()[0] == len(memories):
            in_order = (m is not None and m.batch is before and m.row == row for row, m in enumerate(memories))
            if all(in_order):
                return before.rows
        rows = [self._empty if m is None else m.batch.on_host[m.row] for m in memories]
        return ort.OrtValue.ortvalue_from_numpy(np.stack(rows), *self._device.memory)

    def _warm_up(self, at_once: int) -> None:
        """The first runs allocate and choose kernels, and tell TensorRT how many persons there may be."""
        for n in (1, at_once + 1):
            pictures = np.zeros((n, self.picture_size, self.picture_size, 3), np.uint8)
            earlier = np.zeros((n, self.n_features), np.float32)
            memories: list[Any] = [None] * n
            for _ in range(2):
                memories = self.look(pictures, memories, earlier, np.zeros(n, np.float32)).memories


def _check_graph(file: Path, actor: ActorCard, session: ort.InferenceSession) -> dict[str, Any]:
    """The card must tell the truth about the graph. Returns its inputs; raises UserError naming a contradiction."""
    inputs = {node.name: node for node in session.get_inputs()}
    outputs = {node.name: node for node in session.get_outputs()}
    lacking = [name for name in INPUTS if name not in inputs] + [name for name in OUTPUTS if name not in outputs]
    if lacking or inputs["memory"].type not in NUMBERS:
        raise UserError(f"{file}: has no '{(lacking or ['memory'])[0]}'; not a graph of this package's actor stream")
    memory, features = inputs["memory"].shape[1:], inputs["earlier"].shape[1:]
    known = len(features) == 1 and all(isinstance(side, int) and side > 0 for side in (*memory, *features))
    if not known or max(math.prod(memory), *features) > _MOST_REMEMBERED:
        raise UserError(f"{file}: remembers {memory} and {features} of each person; not a graph of this package's")
    side = actor.picture_size
    for node, shape in (
        (inputs["pictures"], [side, side, 3]),
        (outputs["answers"], [len(actor.answers)]),
        (outputs["names"], [actor.n_names]),
    ):
        if list(node.shape[1:]) != shape:
            raise UserError(
                f"{file}: '{node.name}' is {list(node.shape[1:])} for each person, but the card says {shape}"
            )
    return inputs
