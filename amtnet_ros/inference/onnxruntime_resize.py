"""Images resized by ONNX Runtime on the device, where the encode graph then finds them."""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache
from pathlib import Path

import numpy as np
import onnxruntime as ort

from amtnet_ros.contracts import UInt8
from amtnet_ros.inference.resize import SIZES_KEPT, resize_matrices

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
