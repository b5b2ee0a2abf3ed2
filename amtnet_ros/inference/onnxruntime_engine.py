"""The ONNX Runtime engine: CPU, CUDA or TensorRT. Encodings stay on the device between encode and detect."""

from __future__ import annotations

import logging
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import lru_cache, partial
from pathlib import Path
from typing import Any, Literal

import numpy as np
import onnxruntime as ort

from amtnet_ros.contracts import Frame, MicroTubes, UInt8
from amtnet_ros.device.name import Device
from amtnet_ros.errors import UserError
from amtnet_ros.inference.card import DETECT, ENCODE, ENCODE_INT8, ModelCard
from amtnet_ros.inference.contract import Encoded, Selection
from amtnet_ros.inference.device import provider_chain, resize_chain
from amtnet_ros.inference.onnxruntime_session import check_provider, first_run, make_session
from amtnet_ros.inference.resize import SIZES_KEPT, ResizePlacement, resize_matrices, resize_on_host, resizes_on_device
from amtnet_ros.inference.selection import Survivors, check_pair, network_inputs, to_micro_tubes

GRAPH = Path(__file__).with_name("resize.onnx")
"""Written by `resize_graph`."""


class OnnxRuntimeResize:
    """Each image is copied to the device once, as the camera gave it, and resized there into its place in the batch."""

    def __init__(self, session: ort.InferenceSession, memory: tuple[str, int], side: int) -> None:
        """session: of GRAPH. memory: of its device, in ONNX Runtime's words. side: of the result, in pixels."""
        self._session, self._memory, self._side = session, memory, side
        self._batch = self._allocate(1)

        @lru_cache(SIZES_KEPT)
        def matrices(size: tuple[int, int]) -> list[ort.OrtValue]:
            return [ort.OrtValue.ortvalue_from_numpy(matrix, *memory) for matrix in resize_matrices(size, side)]

        self._matrices = matrices

    def __call__(self, images: Sequence[UInt8]) -> ort.OrtValue:
        """B images (H, W, 3) uint8 of any sizes → (B or more, side, side, 3) uint8 on the device, the first B of them.

        They stay there until the next call.
        """
        if self._batch.shape()[0] < len(images):
            self._batch = self._allocate(len(images))
        for place, image in enumerate(images):
            self._resize(image, place)
        return self._batch

    def _allocate(self, n: int) -> ort.OrtValue:
        return ort.OrtValue.ortvalue_from_shape_and_type((n, self._side, self._side, 3), np.uint8, *self._memory)

    def _resize(self, image: UInt8, place: int) -> None:
        shape = (self._side, self._side, 3)
        rows, columns = self._matrices((image.shape[1], image.shape[0]))
        binding = self._session.io_binding()
        binding.bind_cpu_input("image", np.ascontiguousarray(image))
        binding.bind_ortvalue_input("rows", rows)
        binding.bind_ortvalue_input("columns", columns)
        pointer = self._batch.data_ptr() + place * int(np.prod(shape))
        binding.bind_output("resized", *self._memory, np.uint8, shape, pointer)
        self._session.run_with_iobinding(binding)


log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Share:
    """One frame's row (M, C + 9) of a batch of shares; keeps the device memory it lies in."""

    batch: ort.OrtValue
    row: int

    @property
    def pointer(self) -> int:
        """Address of the row on the device."""
        shape = self.batch.shape()
        return int(self.batch.data_ptr()) + int(self.row * shape[1] * shape[2] * self.dtype.itemsize)

    @property
    def dtype(self) -> np.dtype[Any]:
        """Of the values."""
        return np.dtype(np.float16 if "float16" in self.batch.data_type() else np.float32)

    def numpy(self) -> np.ndarray:
        """A copy on the host."""
        return np.asarray(self.batch.numpy()[self.row])


class OnnxRuntimeEngine:
    """See `Engine`. Made by `make_engine`."""

    def __init__(
        self,
        folder: Path,
        card: ModelCard,
        device: Device,
        precision: Literal["fp32", "fp16", "int8"],
        threads: int = 0,
        resize: ResizePlacement = "auto",
    ) -> None:
        """resize: where the image is; see `make_engine`."""
        self.card = card
        self.precision: str = precision
        self._device, self.device = device, device.name
        chain = provider_chain(device, card)
        _announce(chain, card)
        encode = folder / (ENCODE_INT8 if precision == "int8" else ENCODE)
        self._encode = make_session(encode, chain, threads)
        self._detect = make_session(folder / DETECT, chain, threads)
        self.provider = check_provider(self._encode, device, device.provider)
        _check_graphs(folder, encode, card, self._encode, self._detect)
        self._resize = _make_resize(card, device, threads, resizes_on_device(resize, device.kind != "cpu"))
        with first_run(folder):
            self._warm_up()

    def encode(self, frame: Frame, flow_stack: UInt8 | None) -> Encoded:
        return self.encode_batch([frame], [flow_stack])[0]

    def encode_batch(self, frames: Sequence[Frame], flow_stacks: Sequence[UInt8 | None]) -> list[Encoded]:
        binding = self._encode.io_binding()
        for name, images in network_inputs(self.card, frames, flow_stacks, self._resize).items():
            if isinstance(images, np.ndarray):
                binding.bind_cpu_input(name, images)
            else:
                shape = (len(frames), *images.shape()[1:])
                binding.bind_input(name, *self._device.memory, np.uint8, shape, images.data_ptr())
        for name in ("first", "second"):
            binding.bind_output(name, *self._device.memory)
        self._encode.run_with_iobinding(binding)
        first, second = binding.get_outputs()
        return [
            Encoded(Share(first, i), Share(second, i), frame.index, frame.stamp, frame.size)
            for i, frame in enumerate(frames)
        ]

    def detect(self, at_t: Encoded, at_t_plus_delta: Encoded, selection: Selection) -> MicroTubes:
        check_pair(at_t, at_t_plus_delta)
        binding = self._detect.io_binding()
        for name, share in (("first", at_t.first), ("second", at_t_plus_delta.second)):
            shape = (1, *share.batch.shape()[1:])
            binding.bind_input(name, *self._device.memory, share.dtype, shape, share.pointer)
        binding.bind_cpu_input("score_threshold", np.array(selection.score_threshold, dtype=np.float32))
        binding.bind_cpu_input("nms_iou", np.array(selection.nms_iou, dtype=np.float32))
        binding.bind_cpu_input("max_per_class", np.array(selection.max_per_class, dtype=np.int64))
        for name in ("boxes", "labels", "scores", "class_scores"):
            binding.bind_output(name, "cpu")
        self._detect.run_with_iobinding(binding)
        survivors = Survivors(*(value.numpy() for value in binding.get_outputs()))
        return to_micro_tubes(survivors, at_t, at_t_plus_delta, selection)

    def close(self) -> None:
        del self._encode, self._detect, self._resize

    def _warm_up(self) -> None:
        """The first runs allocate and choose kernels; a camera should not wait for that.

        How large its images are nobody knows yet; for a new size only the matrices of `resize` are made.
        """
        size = self.card.image_size
        blank = Frame(0, 0, np.zeros((size, size, 3), dtype=np.uint8))
        flow = self.card.flow
        stack = None if flow is None else np.full((size, size, 3 * flow.length), 128, dtype=np.uint8)
        for _ in range(2):
            encoded = self.encode(blank, stack)
            self.detect(encoded, encoded, Selection())


def _make_resize(
    card: ModelCard, device: Device, threads: int, on_device: bool
) -> Callable[[Sequence[UInt8]], UInt8 | ort.OrtValue]:
    """What makes one batch of images of any sizes. Raises UserError where the device cannot do it."""
    if not on_device or "rgb" not in card.streams:
        return partial(resize_on_host, side=card.image_size)
    chain = resize_chain(device)
    session = make_session(GRAPH, chain, threads)
    check_provider(session, device, chain[0][0])
    return OnnxRuntimeResize(session, device.memory, card.image_size)


def _announce(chain: list[tuple[str, dict[str, Any]]], card: ModelCard) -> None:
    """TensorRT takes minutes to build its engines, with nothing to be seen; say so when there are none yet."""
    folder = chain[0][1].get("trt_engine_cache_path")
    if folder is not None and not any(Path(folder).glob("*.engine")):
        log.warning("building the TensorRT engines of '%s'; this takes minutes, once (kept in %s)", card.name, folder)


def _check_graphs(
    folder: Path, file: Path, card: ModelCard, encode: ort.InferenceSession, detect: ort.InferenceSession
) -> None:
    """The card must tell the truth about the graphs. Raises UserError naming the first contradiction."""
    inputs = {node.name: node for node in encode.get_inputs()}
    if sorted(inputs) != sorted(card.streams):
        raise UserError(f"{file}: takes {sorted(inputs)}, but the card's streams are {list(card.streams)}")
    for name, node in inputs.items():
        channels = 3 if card.flow is None or name == "rgb" else 3 * card.flow.length
        expected = [card.image_size, card.image_size, channels]
        if list(node.shape[1:]) != expected or node.type != "tensor(uint8)":
            raise UserError(f"{file}: '{name}' is {node.type} {node.shape[1:]}, but the card says uint8 {expected}")
    for path, nodes in ((file, encode.get_outputs()), (folder / DETECT, detect.get_inputs())):
        found = {node.name: node for node in nodes}
        for name in ("first", "second"):
            if name not in found:
                raise UserError(f"{path}: has no '{name}'; not a graph of this package")
            shape = found[name].shape
            if len(shape) != 3:
                raise UserError(f"{path}: '{name}' is of {len(shape)} dimensions; not a graph of this package")
            if shape[2] != card.values:
                raise UserError(
                    f"{path}: '{name}' has {shape[2]} values a prior, but the card's {len(card.actions)} "
                    f"labels ({card.fusion} fusion) make {card.values}"
                )
    priors = [each[0].shape[1] if each[0].shape else None for each in (encode.get_outputs(), detect.get_inputs())]
    if priors[0] != priors[1]:
        both = f"{file.name} has {priors[0]} priors, {DETECT} has {priors[1]}"
        raise UserError(f"{folder}: {both}; export the model again")
