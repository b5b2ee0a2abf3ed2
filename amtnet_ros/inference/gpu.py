"""GPU memory in use and energy spent, as the NVIDIA driver tells it."""

from __future__ import annotations

import ctypes
import functools

from amtnet_ros.device.name import gpu_in


class _Memory(ctypes.Structure):
    """nvmlMemory_t: bytes."""

    _fields_ = (("total", ctypes.c_ulonglong), ("free", ctypes.c_ulonglong), ("used", ctypes.c_ulonglong))


@functools.cache
def _nvml() -> ctypes.CDLL | None:
    """NVIDIA's management library, which comes with the driver; None where there is none."""
    try:
        library = ctypes.CDLL("libnvidia-ml.so.1")
    except OSError:
        return None
    return library if library.nvmlInit_v2() == 0 else None


def gpu_memory(provider: str) -> tuple[int, int] | None:
    """(used, total) bytes of the GPU in use; used is by all processes.

    provider: what the network runs on, such as "CUDAExecutionProvider (cuda:1)". None for one on the CPU, or where the
    driver does not say.
    """
    if (device := _device(provider)) is None:
        return None
    (nvml, handle), memory = device, _Memory()
    if nvml.nvmlDeviceGetMemoryInfo(handle, ctypes.byref(memory)):
        return None
    return memory.used, memory.total


def gpu_energy(provider: str) -> float | None:
    """Joules that the GPU in use has spent since the driver was loaded; None as for `gpu_memory`."""
    if (device := _device(provider)) is None:
        return None
    (nvml, handle), millijoules = device, ctypes.c_ulonglong()
    if nvml.nvmlDeviceGetTotalEnergyConsumption(handle, ctypes.byref(millijoules)):
        return None
    return millijoules.value / 1000


def _device(provider: str) -> tuple[ctypes.CDLL, ctypes.c_void_p] | None:
    """The library and the GPU's handle in it."""
    if (gpu := gpu_in(provider)) is None or (nvml := _nvml()) is None:
        return None
    handle = ctypes.c_void_p()
    if nvml.nvmlDeviceGetHandleByIndex_v2(ctypes.c_uint(gpu.index), ctypes.byref(handle)):
        return None
    return nvml, handle
