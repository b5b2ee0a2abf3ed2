"""Which device ONNX Runtime computes on, and what it needs to be told for it."""

from __future__ import annotations

import logging
from pathlib import Path
from typing import Any, Literal

import onnxruntime as ort

from amtnet_ros.device.name import PROVIDERS, Device, parse_device
from amtnet_ros.errors import UserError
from amtnet_ros.files import cache_folder
from amtnet_ros.inference.card import ENCODE, ENCODE_INT8, ModelCard
from amtnet_ros.inference.contract import PRECISIONS, Precision

log = logging.getLogger(__name__)


def gpu_present() -> bool:
    """Whether an NVIDIA driver runs here."""
    return Path("/proc/driver/nvidia/version").exists() or Path("/dev/nvhost-gpu").exists()


def why_not(device: Device) -> str | None:
    """Why ONNX Runtime cannot compute there, in a few words; None where nothing speaks against it."""
    if device.provider not in ort.get_available_providers():
        return f"this ONNX Runtime has no {device.provider} (install onnxruntime-gpu instead of onnxruntime)"
    if device.kind != "cpu" and not gpu_present():
        return "no NVIDIA driver is running here"
    return None


def choose_device(text: str, require_gpu: bool = False) -> Device:
    """The device to use. `auto`: the first GPU if ONNX Runtime can use it, else the CPU (logged where a GPU lies idle).

    Raises UserError where the one asked for cannot be used, or where a GPU is required and would not be used.
    """
    asked = parse_device(text)
    if asked is not None:
        reason = why_not(asked)
        if reason is not None:
            raise UserError(f"device {asked.name}: {reason}")
    device = asked or Device("cuda")
    if asked is None and (reason := why_not(device)) is not None:
        if gpu_present():
            log.warning("the GPU here is not used: %s", reason)
        device = Device("cpu")
    if require_gpu and device.kind == "cpu":
        reason = "device is cpu" if asked else why_not(Device("cuda"))
        raise UserError(f"require_gpu is set, but the model would run on the CPU: {reason}")
    return device


INT8_FLAGS = {"avx512_vnni", "avx_vnni", "asimddp", "i8mm"}
"""Names, in /proc/cpuinfo, of instructions that multiply 8-bit numbers and add them up. Without them int8 gains little
speed."""


def int8_instructions(cpuinfo: Path = Path("/proc/cpuinfo")) -> str | None:
    """The CPU's instructions for 8-bit dot products, by name; None where it has none."""
    try:
        lines = cpuinfo.read_text().splitlines()
    except OSError:
        return None
    flags = next((line.split(":")[1].split() for line in lines if line.lower().startswith(("flags", "features"))), [])
    return next((flag for flag in flags if flag in INT8_FLAGS), None)


def choose_precision(asked: Precision, device: Device, card: ModelCard) -> Literal["fp32", "fp16", "int8"]:
    """Which of the model's forms to run. Raises UserError where it lacks the one asked for, or the device does.

    `auto`: int8 on a CPU with instructions for it, if the model has that form; else the form of its `encode.onnx`.
    """
    if asked not in PRECISIONS:
        raise UserError(f"precision '{asked}' is not known; use {', '.join(PRECISIONS)}")
    if asked == "auto":
        return "int8" if card.int8 and device.kind == "cpu" and int8_instructions() else card.precision
    if asked == "int8":
        if card.int8 is None:
            raise UserError(f"model '{card.name}' has no {ENCODE_INT8}; make it by `amtnet quantise`")
        if device.kind != "cpu":
            raise UserError(f"precision int8 is for CPUs; the model would run on {device.name}")
    elif asked != card.precision:
        raise UserError(f"model '{card.name}': its {ENCODE} is {card.precision}; export it with --precision {asked}")
    return asked


def provider_chain(device: Device, card: ModelCard) -> list[tuple[str, dict[str, Any]]]:
    """ONNX Runtime's providers and their options, in order of preference.

    Nodes that a GPU's provider lacks run on the CPU behind it; that a whole provider is missing is checked elsewhere.
    """
    cpu: tuple[str, dict[str, Any]] = (PROVIDERS["cpu"], {})
    if device.kind == "cpu":
        return [cpu]
    # Grow by what is needed, so that memory is flat after the first frame, and choose convolutions once.
    cuda: tuple[str, dict[str, Any]] = (
        PROVIDERS["cuda"],
        {
            "device_id": device.index,
            "arena_extend_strategy": "kSameAsRequested",
            "cudnn_conv_algo_search": "EXHAUSTIVE",
            "cudnn_conv_use_max_workspace": "1",
        },
    )
    if device.kind == "cuda":
        return [cuda, cpu]
    return [(PROVIDERS["tensorrt"], tensorrt_options(device, card)), cuda, cpu]


def resize_chain(device: Device) -> list[tuple[str, dict[str, Any]]]:
    """Providers of the resize graph: CUDA's also for TensorRT, which would build an engine for each size of image.

    In full single precision, so that a device's image is the host's.
    """
    cpu: tuple[str, dict[str, Any]] = (PROVIDERS["cpu"], {})
    if device.kind == "cpu":
        return [cpu]
    options = {"device_id": device.index, "arena_extend_strategy": "kSameAsRequested", "use_tf32": "0"}
    return [(PROVIDERS["cuda"], options), cpu]


def tensorrt_options(device: Device, card: ModelCard) -> dict[str, Any]:
    """Options of the TensorRT provider, with a cache folder that a change of model or ONNX Runtime makes anew.

    TensorRT itself puts its version and the GPU's architecture into the names of the files there.
    """
    folder = cache_folder() / "tensorrt" / f"{card.digest[:16]}-ort{ort.__version__}"
    return {
        "device_id": device.index,
        "trt_engine_cache_enable": True,
        "trt_engine_cache_path": str(folder),
        "trt_timing_cache_enable": True,
        "trt_timing_cache_path": str(folder),
        "trt_fp16_enable": card.precision == "fp16",
    }
