"""The names of devices."""

from __future__ import annotations

import pytest

from amtnet_ros.device.name import Device, gpu_in, parse_device
from amtnet_ros.errors import UserError


@pytest.mark.parametrize(
    ("text", "device"),
    [
        ("auto", None),
        ("cpu", Device("cpu")),
        ("cuda", Device("cuda", 0)),
        ("cuda:3", Device("cuda", 3)),
        ("tensorrt:1", Device("tensorrt", 1)),
    ],
)
def test_device_names(text: str, device: Device | None) -> None:
    assert parse_device(text) == device
    assert device is None or parse_device(device.name) == device


def test_a_gpu_without_a_number_is_the_one_that_was_agreed_on() -> None:
    assert parse_device("cuda", 2) == Device("cuda", 2)
    assert parse_device("cuda:0", 2) == Device("cuda", 0)


@pytest.mark.parametrize("text", ["gpu", "cuda:", "cuda:-1", "cpu:0", "", "CUDA:0"])
def test_an_unknown_device_is_refused_with_those_there_are(text: str) -> None:
    with pytest.raises(UserError, match="auto, cpu, cuda:N or tensorrt:N"):
        parse_device(text)


@pytest.mark.parametrize(
    ("description", "gpu"),
    [
        ("CPUExecutionProvider", None),
        ("torch cpu", None),
        ("CUDAExecutionProvider (cuda:1)", Device("cuda", 1)),
        ("TensorrtExecutionProvider (tensorrt:2)", Device("tensorrt", 2)),
        ("torch cuda:0", Device("cuda", 0)),
    ],
)
def test_an_engine_says_which_gpu_it_runs_on(description: str, gpu: Device | None) -> None:
    assert gpu_in(description) == gpu
