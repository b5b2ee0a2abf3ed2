"""The variational flow: its parts against closed forms, and its three forms against one another."""

import os
import subprocess
import sys
from dataclasses import replace

import cv2
import numpy as np
import pytest
from flow_scenes import pair, texture

from amtnet_ros.flow.brox_options import PRESETS, BroxOptions, chebyshev_weights, level_sizes
from amtnet_ros.flow.onnx_graph import brox_graph

torch = pytest.importorskip("torch", reason="brox needs torch")

from amtnet_ros.flow.brox import BroxSolver, resize_flow, warp  # noqa: E402
from amtnet_ros.flow.relaxation import LinearSystem, relax  # noqa: E402


def random_system(height=5, width=7, seed=0):
    """A system as flow has them, and its matrix (2 h w, 2 h w) and right side in float64."""
    rng = np.random.default_rng(seed)
    edges = np.zeros((1, 4, height, width), np.float32)
    edges[0, 0, :, 1:] = across = rng.uniform(0.1, 2, (height, width - 1))
    edges[0, 1, :, :-1] = across
    edges[0, 2, 1:] = along = rng.uniform(0.1, 2, (height - 1, width))
    edges[0, 3, :-1] = along
    rows = rng.normal(size=(1, 2, 3, height, width)).astype(np.float32)
    j = np.einsum("bkihw,bkjhw->bijhw", rows, rows)
    system = LinearSystem.of(*(torch.from_numpy(x) for x in (j[:, 0, 0], j[:, 0, 1], j[:, 1, 1], edges, -j[:, :2, 2])))
    at = np.arange(2 * height * width).reshape(2, height, width)
    matrix = np.zeros((at.size, at.size))
    for channel in range(2):
        for y in range(height):
            for x in range(width):
                matrix[at[channel, y, x], at[:, y, x]] += j[0, channel, :2, y, x]
                for side, (dy, dx) in enumerate(((0, -1), (0, 1), (-1, 0), (1, 0))):
                    if (weight := edges[0, side, y, x]) > 0:
                        matrix[at[channel, y, x], at[channel, y, x]] += weight
                        matrix[at[channel, y, x], at[channel, y + dy, x + dx]] -= weight
    return system, matrix, -j[0, :2, 2].astype(np.float64)


def test_relaxation_solves_the_linear_system():
    system, matrix, right_side = random_system()
    exact = np.linalg.solve(matrix, right_side.reshape(-1)).reshape(right_side.shape)
    solution = relax(system, torch.zeros(1, 2, 5, 7), 60, 0.9)[0].numpy()
    assert np.abs(solution - exact).max() < 1e-3


def test_acceleration_beats_plain_jacobi():
    system, matrix, right_side = random_system(12, 16)
    exact = np.linalg.solve(matrix, right_side.reshape(-1)).reshape(right_side.shape)
    start = torch.zeros(1, 2, 12, 16)
    error = {radius: np.abs(relax(system, start, 20, radius)[0].numpy() - exact).max() for radius in (0.0, 0.95)}
    assert error[0.95] < error[0.0] / 3


def test_acceleration_tends_to_optimal_over_relaxation():
    *_, last = chebyshev_weights(400, 0.98)
    assert last == pytest.approx(2 / (1 + np.sqrt(1 - 0.98**2)), rel=1e-6)


def test_triton_solver_equals_torchs():
    """Run by Triton's interpreter, which needs no GPU; in a process of its own, as it must be chosen before import."""
    pytest.importorskip("triton", reason="the Triton solver needs triton")
    code = (
        "import torch\n"
        "from amtnet_ros.flow.brox import _example\n"
        "from amtnet_ros.flow import relaxation, relaxation_triton\n"
        "system, start = _example(torch.device('cpu'))\n"
        "start = torch.randn(start.shape, generator=torch.Generator().manual_seed(1))\n"
        "a, b = (m.relax(system, start, 3, 0.95) for m in (relaxation, relaxation_triton))\n"
        "assert torch.allclose(a, b, atol=1e-5) and not torch.allclose(a, start, atol=1e-2)\n"
    )
    environment = {**os.environ, "TRITON_INTERPRET": "1", "PYTHONPATH": os.pathsep.join(sys.path)}
    done = subprocess.run([sys.executable, "-c", code], env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr


def test_warp_is_opencvs_cubic_remap():
    image = cv2.GaussianBlur(texture()[:60, :80, 0], (0, 0), 2).astype(np.float32)
    flow = np.random.default_rng(0).uniform(-3, 3, (60, 80, 2)).astype(np.float32)
    x, y = (np.arange(80) + flow[..., 0]).astype(np.float32), (np.arange(60)[:, None] + flow[..., 1]).astype(np.float32)
    expected = cv2.remap(image, x, y, cv2.INTER_CUBIC, borderMode=cv2.BORDER_REPLICATE)
    warped, inside = warp(torch.from_numpy(image)[None, None], torch.from_numpy(flow).permute(2, 0, 1)[None])
    assert np.abs(warped[0, 0].numpy() - expected)[4:-4, 4:-4].max() < 1  # OpenCV's fractions have 5 bits
    assert np.array_equal(inside[0, 0].numpy() > 0, (x >= 0) & (x <= 79) & (y >= 0) & (y <= 59))


def test_flow_keeps_its_meaning_when_resized():
    flow = torch.tensor([2.0, -1.0]).view(1, 2, 1, 1).expand(1, 2, 30, 40)
    larger = resize_flow(flow, (60, 120))
    assert larger.shape == (1, 2, 60, 120)
    assert torch.allclose(larger[0, 0], torch.tensor(6.0))
    assert torch.allclose(larger[0, 1], torch.tensor(-2.0))


def test_levels():
    assert level_sizes(240, 320, PRESETS["fast"]) == [(240, 320), (120, 160), (60, 80), (30, 40), (15, 20)]
    assert len(level_sizes(240, 320, PRESETS["paper"])) == 13  # 240 * 0.8 ** 12 = 16.5
    assert level_sizes(240, 320, replace(PRESETS["fast"], levels=2)) == [(240, 320), (120, 160)]


def test_an_even_light_is_not_motion():
    """Gradient constancy: with it, an image that only gets brighter yields no flow."""
    previous = torch.from_numpy(texture()[:48, :64, 0] // 2)[None]
    flow = BroxSolver(PRESETS["fast"], 48, 64)(previous, previous + 20)
    assert flow.abs().mean() < 0.05


@pytest.mark.parametrize(
    "options", [PRESETS["fast"], BroxOptions(scale=0.7, warps=2, inner=3, sweeps=4)], ids=["fast", "nested"]
)
def test_onnx_graph_equals_torch(options):
    import onnxruntime

    grey = [cv2.cvtColor(image, cv2.COLOR_RGB2GRAY) for image in pair(2, -1, height=50, width=70)]
    batch = [np.stack([image, np.roll(image, 1, axis=1)]) for image in grey]
    graph = brox_graph(options, 50, 70).SerializeToString()
    session = onnxruntime.InferenceSession(graph, providers=["CPUExecutionProvider"])
    (flow,) = session.run(["flow"], dict(zip(("previous", "current"), batch, strict=True)))
    with torch.inference_mode():
        expected = BroxSolver(options, 50, 70)(*(torch.from_numpy(images) for images in batch)).numpy()
    assert np.abs(expected).mean() > 1
    assert np.abs(flow - expected).mean() < 1e-4
    assert np.abs(flow - expected).max() < 1e-2
