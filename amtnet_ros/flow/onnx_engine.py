"""The engine `onnx:FILE`: flow in ONNX Runtime, on a GPU without torch. `amtnet flow --export` writes such files."""

from __future__ import annotations

import warnings
from pathlib import Path
from typing import Any

import numpy as np

from amtnet_ros.contracts import Float32, UInt8
from amtnet_ros.device.name import PROVIDERS, parse_device
from amtnet_ros.errors import UserError
from amtnet_ros.flow.contract import WORKING_SIZE, check_pair, to_grey

GPU, CPU = PROVIDERS["cuda"], PROVIDERS["cpu"]
INPUTS, OUTPUT = ("previous", "current"), "flow"


class OnnxFlow:
    """A graph from two grey images (B, h, w) uint8 to their flow (B, h, w, 2) float32; see FlowEngine.

    provider: ONNX Runtime's, that the graph really runs on.
    """

    def __init__(self, file: Path, working_size: tuple[int, int] = WORKING_SIZE, device: str = "auto") -> None:
        self.name = f"onnx:{file}"
        self.working_size = working_size
        self._session = _open(file, _providers(device))
        self.provider: str = self._session.get_providers()[0]
        if device != "cpu" and self.provider == CPU and GPU in _providers(device)[0]:
            warnings.warn(f"flow: {file} runs on the CPU, CUDA could not be loaded", RuntimeWarning, stacklevel=2)
        self._check(file)

    def __call__(self, previous: UInt8, current: UInt8) -> Float32:
        check_pair(previous, current)
        flow: Float32 = self._run([previous], [current])[0]
        return flow

    def batch(self, previous: UInt8, current: UInt8) -> Float32:
        check_pair(previous, current, ndim=4)
        if self.provider == CPU:  # several pairs at once do not fit into its cache
            return np.stack([self(a, b) for a, b in zip(previous, current, strict=True)])
        return self._run(list(previous), list(current))

    def _run(self, previous: list[UInt8], current: list[UInt8]) -> Float32:
        greys = [np.stack([to_grey(image, self.working_size) for image in images]) for images in (previous, current)]
        return np.asarray(self._session.run([OUTPUT], dict(zip(INPUTS, greys, strict=True)))[0], dtype=np.float32)

    def _check(self, file: Path) -> None:
        inputs = {i.name: i for i in self._session.get_inputs()}
        outputs = [o.name for o in self._session.get_outputs()]
        if tuple(inputs) != INPUTS or OUTPUT not in outputs or any(i.type != "tensor(uint8)" for i in inputs.values()):
            raise UserError(f"flow: {file} is no flow graph (inputs {INPUTS} uint8, output {OUTPUT}); export one anew")
        height, width = inputs[INPUTS[0]].shape[1:]
        if (width, height) != self.working_size:
            asked = "{}x{}".format(*self.working_size)
            raise UserError(f"flow: {file} computes at {width}x{height}, not at {asked}; export one for that size")


def _providers(device: str) -> list[tuple[str, dict[str, Any]]]:
    import onnxruntime

    asked = parse_device(device)
    if asked is not None and asked.kind == "tensorrt":
        raise UserError(f"flow: device '{device}' is for models; use auto, cpu or cuda:N")
    there = GPU in onnxruntime.get_available_providers()
    if asked is not None and asked.kind == "cuda" and not there:
        raise UserError(f"flow: device '{device}': this ONNX Runtime has no {GPU}; install onnxruntime-gpu, or use cpu")
    cpu: tuple[str, dict[str, Any]] = (CPU, {})
    if not there or (asked is not None and asked.kind == "cpu"):
        return [cpu]
    return [(GPU, {"device_id": asked.index if asked else 0, "use_tf32": 0}), cpu]


def _open(file: Path, providers: list[tuple[str, dict[str, Any]]]) -> Any:
    import onnxruntime

    if not file.is_file():
        raise UserError(f"flow: there is no file {file}; `amtnet flow --export {file}` writes one")
    options = onnxruntime.SessionOptions()
    options.log_severity_level = 3
    try:
        return onnxruntime.InferenceSession(str(file), options, providers=providers)
    except Exception as error:  # onnxruntime's exceptions share no base but this
        raise UserError(f"flow: {file} cannot be loaded ({str(error).splitlines()[0]})") from None
