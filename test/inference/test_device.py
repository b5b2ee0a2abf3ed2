"""The device is the one that was asked for, or an error says why not."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import onnxruntime as ort
import pytest

from amtnet_ros.device.name import Device
from amtnet_ros.errors import UserError
from amtnet_ros.inference import device as devices
from amtnet_ros.inference.card import read_card
from amtnet_ros.inference.device import choose_device, gpu_present, provider_chain
from amtnet_ros.inference.factory import make_engine

without_gpu = pytest.mark.skipif(
    gpu_present() or "CUDAExecutionProvider" in ort.get_available_providers(), reason="this machine has a GPU"
)


@without_gpu
@pytest.mark.parametrize("text", ["cuda:0", "tensorrt:0"])
def test_a_gpu_that_is_not_there_is_an_error_and_not_the_cpu(text: str) -> None:
    with pytest.raises(UserError, match=text):
        choose_device(text)


@without_gpu
@pytest.mark.parametrize("engine_name", ["onnxruntime", "torch"])
def test_require_gpu_refuses_to_start_without_one(tiny_folder: Path, engine_name: str) -> None:
    for device in ("auto", "cpu"):
        with pytest.raises(UserError, match="require_gpu"):
            make_engine(tiny_folder, device, engine=engine_name, require_gpu=True)
    with pytest.raises(UserError, match="cuda:0"):
        make_engine(tiny_folder, "cuda:0", engine=engine_name)


@without_gpu
def test_auto_without_a_gpu_is_the_cpu_and_says_so(tiny_folder: Path) -> None:
    engine = make_engine(tiny_folder, "auto", threads=1)
    assert engine.provider == "CPUExecutionProvider"
    engine.close()


def test_a_provider_that_would_not_start_is_an_error(tiny_folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """ONNX Runtime itself falls back in silence when a provider's libraries are missing."""
    if gpu_present():
        pytest.skip("this machine has a GPU")
    monkeypatch.setattr(devices, "why_not", lambda device: None)
    with pytest.raises(UserError, match="CUDAExecutionProvider"):
        make_engine(tiny_folder, "cuda:0")


def test_tensorrt_engines_are_kept_apart_by_model_and_version(
    tiny_folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("AMTNET_CACHE", str(tmp_path))
    card = read_card(tiny_folder)
    other = replace(card, files={**card.files, "encode.onnx": "0" * 64})
    chains = [provider_chain(Device("tensorrt", 1), c) for c in (card, other)]
    assert [name for name, _ in chains[0]] == [
        "TensorrtExecutionProvider",
        "CUDAExecutionProvider",
        "CPUExecutionProvider",
    ]
    options = [chain[0][1] for chain in chains]
    assert options[0]["device_id"] == 1
    caches = [Path(o["trt_engine_cache_path"]) for o in options]
    assert caches[0] != caches[1]
    assert all(cache.is_relative_to(tmp_path) and ort.__version__ in cache.name for cache in caches)
