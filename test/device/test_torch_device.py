"""The device torch is given, and work captured on it."""

from __future__ import annotations

import pytest

from amtnet_ros.errors import UserError

torch = pytest.importorskip("torch", reason="these are torch's devices")

from amtnet_ros.device.torch_device import CapturedGraph, choose_torch_device  # noqa: E402

with_gpu = pytest.mark.skipif(not torch.cuda.is_available(), reason="torch finds no GPU here")


def test_what_torch_cannot_use_is_refused() -> None:
    with pytest.raises(UserError, match=r"'tensorrt:0' .* not to torch"):
        choose_torch_device("tensorrt:0")
    with pytest.raises(UserError, match=r"cuda:99 is not there: torch finds \d+ GPUs"):
        choose_torch_device("cuda:99")
    with pytest.raises(UserError, match="'mps' is not known"):
        choose_torch_device("mps")


def test_auto_is_the_cpu_only_where_there_is_no_gpu() -> None:
    assert choose_torch_device("cpu") == torch.device("cpu")
    assert choose_torch_device("auto", 0) == torch.device("cuda:0" if torch.cuda.is_available() else "cpu")


@with_gpu
def test_a_gpu_has_its_number() -> None:
    assert choose_torch_device("cuda").index == torch.cuda.current_device()
    assert choose_torch_device("cuda", 0) == torch.device("cuda", 0)


@with_gpu
def test_a_captured_function_gives_what_the_function_gives() -> None:
    def function(a: torch.Tensor, b: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        return a @ b, (a - b).relu()

    graph = CapturedGraph(function, (torch.zeros(8, 8), torch.zeros(8, 8)), torch.device("cuda", 0))
    for seed in range(3):
        a, b = torch.randn(2, 8, 8, generator=torch.Generator().manual_seed(seed))
        for found, expected in zip(graph(a, b), function(a.cuda(), b.cuda()), strict=True):
            torch.testing.assert_close(found, expected)
