"""The image is the same wherever it is resized: overlapping areas, or bilinear, written out in float64."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path

import cv2
import numpy as np
import onnx
import onnxruntime as ort
import pytest
import torch
from tiny import SIZE, scene

from amtnet_ros.contracts import Frame, UInt8
from amtnet_ros.deploy.quantise import frames_of_video
from amtnet_ros.deploy.resize_graph import make_resize_graph
from amtnet_ros.device.name import Device
from amtnet_ros.errors import UserError
from amtnet_ros.inference.card import list_models, read_card
from amtnet_ros.inference.contract import Encoded, Selection
from amtnet_ros.inference.device import resize_chain
from amtnet_ros.inference.factory import make_engine
from amtnet_ros.inference.onnxruntime_engine import GRAPH, OnnxRuntimeResize
from amtnet_ros.inference.resize import resize_on_host, resizes_on_device
from amtnet_ros.inference.torch_engine import TorchResize

Resize = Callable[[Sequence[UInt8]], np.ndarray]
ENGINES = ("onnxruntime", "torch")
SIZES = [
    (1, 1),
    (7, 5),
    (31, 33),  # one side of 32 shrinks, one grows
    (32, 32),
    (33, 47),
    (32, 64),
    (64, 64),
    (101, 67),
    (640, 480),
    (1920, 1080),
]
"""Width, height."""


def on_device(engine_name: str, side: int) -> Resize:
    """The engine's own resizing, on the CPU as its device."""
    if engine_name == "torch":
        by_torch = TorchResize(torch.device("cpu"), side)
        return lambda images: by_torch(images).numpy()
    options = ort.SessionOptions()
    options.intra_op_num_threads = 1
    session = ort.InferenceSession(str(GRAPH), options, providers=["CPUExecutionProvider"])
    by_runtime = OnnxRuntimeResize(session, ("cpu", 0), side)
    return lambda images: by_runtime(images).numpy()[: len(images)].copy()


def reference(image: UInt8, side: int) -> np.ndarray:
    """(side, side, 3) float64, not rounded: the mean over each pixel's area where both sides shrink, else bilinear."""
    along = mean_over_pixels if min(image.shape[:2]) >= side else between_centres
    rows = np.apply_along_axis(along, 0, image.astype(np.float64), side)
    return np.apply_along_axis(along, 1, rows, side)


def mean_over_pixels(line: np.ndarray, side: int) -> np.ndarray:
    """By the integral of the line, which is linear within a pixel."""
    integral = np.concatenate([[0], np.cumsum(line)])
    edges = np.linspace(0, len(line), side + 1)
    return np.diff(np.interp(edges, np.arange(len(line) + 1), integral)) * side / len(line)


def between_centres(line: np.ndarray, side: int) -> np.ndarray:
    """By NumPy's interpolation, which repeats the ends."""
    return np.interp((np.arange(side) + 0.5) / side, (np.arange(len(line)) + 0.5) / len(line), line)


def noise(size: tuple[int, int], seed: int = 0) -> UInt8:
    return np.random.default_rng(seed).integers(0, 256, (size[1], size[0], 3), dtype=np.uint8)


def ramp(size: tuple[int, int]) -> UInt8:
    """Grey from black at the left and white at the right, and the other way down, in the channels."""
    across, down = (np.linspace(0, 255, n).round().astype(np.uint8) for n in size)
    x, y = np.broadcast_to(across, size[::-1]), np.broadcast_to(down[::-1, None], size[::-1])
    return np.stack([x, y, np.minimum(x, y)], axis=-1)


@pytest.mark.parametrize("picture", [noise, ramp])
@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize("engine_name", ENGINES)
def test_a_device_rounds_the_exact_image(
    engine_name: str, size: tuple[int, int], picture: Callable[[tuple[int, int]], UInt8]
) -> None:
    image = picture(size)
    resized = on_device(engine_name, 32)([image])
    assert (resized.shape, resized.dtype) == ((1, 32, 32, 3), np.uint8)
    np.testing.assert_allclose(resized[0], reference(image, 32), rtol=0, atol=0.501)


@pytest.mark.parametrize("picture", [noise, ramp])
@pytest.mark.parametrize("size", SIZES)
def test_the_host_makes_the_exact_image_to_a_grey_level(
    size: tuple[int, int], picture: Callable[[tuple[int, int]], UInt8]
) -> None:
    image = picture(size)
    resized = resize_on_host([image], 32)
    assert (resized.shape, resized.dtype) == ((1, 32, 32, 3), np.uint8)
    np.testing.assert_allclose(resized[0], reference(image, 32), rtol=0, atol=1)


@pytest.mark.parametrize("size", [(320, 240), (640, 480), (1920, 1080), (300, 300), (1, 1)])
@pytest.mark.parametrize("engine_name", ENGINES)
def test_host_and_device_agree_to_a_grey_level_at_the_networks_size(engine_name: str, size: tuple[int, int]) -> None:
    image = noise(size)
    host, device = (
        resize([image]).astype(int) for resize in (partial(resize_on_host, side=300), on_device(engine_name, 300))
    )
    assert np.abs(host - device).max() <= 1
    assert host.shape == device.shape == (1, 300, 300, 3)


@pytest.mark.parametrize("engine_name", ENGINES)
def test_images_of_a_batch_may_differ_in_size_and_batches_too(engine_name: str) -> None:
    resize = on_device(engine_name, 33)
    images = [noise(size, seed) for seed, size in enumerate([(50, 40), (20, 10), (33, 33), (35, 90)])]
    for chosen in (images[:1], images, images[::-1], images[1:3]):
        batch = resize(chosen)
        assert len(batch) == len(chosen)
        for resized, image in zip(batch, chosen, strict=True):
            np.testing.assert_allclose(resized, reference(image, 33), rtol=0, atol=0.501)


@pytest.mark.parametrize("engine_name", ENGINES)
def test_any_array_will_do_also_one_that_is_read_only_or_a_view(engine_name: str) -> None:
    whole = noise((80, 60))
    whole.flags.writeable = False
    resize = on_device(engine_name, 32)
    for image in (whole, whole[..., ::-1], whole[5:40, 10:70], whole[::-1, ::2]):
        np.testing.assert_allclose(resize([image])[0], reference(image, 32), rtol=0, atol=0.501)


def test_the_graph_beside_the_code_is_the_one_the_code_makes() -> None:
    made, there = make_resize_graph(), onnx.load(GRAPH)
    assert there == made, "write it anew: python -m amtnet_ros.deploy.resize_graph"


def test_a_gpu_resizes_itself_unless_told_otherwise() -> None:
    assert [resizes_on_device("auto", gpu) for gpu in (True, False)] == [True, False]
    assert [resizes_on_device("host", gpu) for gpu in (True, False)] == [False, False]
    assert [resizes_on_device("device", gpu) for gpu in (True, False)] == [True, True]


@pytest.mark.parametrize("engine_name", ENGINES)
def test_an_unknown_place_is_refused_with_those_there_are(tiny_folder: Path, engine_name: str) -> None:
    with pytest.raises(UserError, match="resize 'gpu' is not known; use auto, host, device"):
        make_engine(tiny_folder, "cpu", engine=engine_name, resize="gpu")


def test_tensorrt_does_not_resize_since_it_would_build_for_every_size() -> None:
    chain = resize_chain(Device("tensorrt", 1))
    assert [name for name, _ in chain] == ["CUDAExecutionProvider", "CPUExecutionProvider"]
    assert chain[0][1]["device_id"] == 1


@pytest.mark.parametrize("engine_name", ENGINES)
@pytest.mark.parametrize("tiny_folder", ["sum", "rgb", "flow", "late"], indirect=True)
def test_the_network_is_given_the_image_resized_on_the_device(tiny_folder: Path, engine_name: str) -> None:
    """Which is told from the host's by what OpenCV's fixed-point interpolation gets wrong by a grey level."""
    engine = make_engine(tiny_folder, "cpu", engine=engine_name, threads=1, resize="device")
    sizes = ((97, 75), (SIZE, SIZE), (301, 207))
    frames = [scene(seed, seed, size) for seed, size in enumerate(sizes)]
    encoded = engine.encode_batch([frame for frame, _ in frames], [stack for _, stack in frames])
    for (frame, stack), found in zip(frames, encoded, strict=True):
        exact = reference(frame.image, SIZE).round().astype(np.uint8)
        expected = engine.encode(Frame(frame.index, frame.stamp, exact), stack)
        np.testing.assert_allclose(shares(found), shares(expected), rtol=0, atol=1e-4)
    assert tuple(found.image_size for found in encoded) == sizes
    engine.close()


def shares(encoded: Encoded) -> np.ndarray:
    return np.stack([encoded.first.numpy(), encoded.second.numpy()])


@pytest.mark.parametrize("engine_name", ENGINES)
@pytest.mark.parametrize("model", sorted(list_models()))
def test_micro_tubes_of_a_real_clip_do_not_depend_on_where_it_is_resized(
    model: str, engine_name: str, data_root: Path
) -> None:
    card = read_card(list_models()[model])
    clip = min((data_root / "jhmdb21" / "videos" / "walk").glob("*.mp4"))
    frames = frames_of_video(card, clip, 2)
    larger = [(Frame(f.index, f.stamp, cv2.resize(f.image, (640, 480))), stack) for f, stack in frames]
    host, device = (
        make_engine(model, "cpu", engine=engine_name, precision=card.precision, threads=1, resize=place)
        for place in ("host", "device")
    )
    for (at_t, stack), (later, later_stack) in (frames, larger):
        by_host, by_device = (
            engine.detect(engine.encode(at_t, stack), engine.encode(later, later_stack), Selection(score_threshold=0.1))
            for engine in (host, device)
        )
        assert len(by_host) > 0, "nothing is compared"
        assert by_device.labels.tolist() == by_host.labels.tolist()
        np.testing.assert_allclose(by_device.scores, by_host.scores, atol=0.01)
        np.testing.assert_allclose(by_device.boxes, by_host.boxes, atol=1)
