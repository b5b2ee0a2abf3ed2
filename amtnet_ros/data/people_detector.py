"""PicoDet-S finds people in pictures: a teacher, which says where nobody is."""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np
import onnxruntime as ort

from amtnet_ros.contracts import Float32, UInt8
from amtnet_ros.errors import UserError

FILE = "picodet_s_320_coco.onnx"
"""In the folder of teachers."""

_MEAN = np.array([0.485, 0.456, 0.406], np.float32)
_SPREAD = np.array([0.229, 0.224, 0.225], np.float32)
_STRIDES = (8, 16, 32, 64)
_BINS = 8


class PeopleDetector:
    """PicoDet-S of PaddleDetection, taught on COCO (Yu et al., "PP-PicoDet", 2021), as an ONNX file without NMS."""

    def __init__(self, path: Path) -> None:
        """Raises UserError if the file cannot be run."""
        options = ort.SessionOptions()
        options.intra_op_num_threads, options.log_severity_level = 1, 3
        try:
            self._session = ort.InferenceSession(str(path), options, providers=["CPUExecutionProvider"])
        except Exception as error:  # a missing or damaged file can raise anything
            raise UserError(f"{path}: the people detector cannot be loaded ({str(error).splitlines()[0]})") from error
        (taken,) = self._session.get_inputs()[:1]
        self._input, self._size = taken.name, int(taken.shape[-1])

    def boxes(self, image: UInt8, least: float) -> Float32:
        """Boxes of everything that is a person with this score, (n, 4) x1 y1 x2 y2 pixels; they overlap each other."""
        return self.people(image, least)[0]

    def people(self, image: UInt8, least: float) -> tuple[Float32, Float32]:
        """As `boxes`, and their scores (n,) in 0..1."""
        picture = (cv2.resize(image, (self._size, self._size)).astype(np.float32) / 255 - _MEAN) / _SPREAD
        out = self._session.run(None, {self._input: picture.transpose(2, 0, 1)[None].astype(np.float32)})
        levels = [self._of_level(*level, least) for level in zip(_STRIDES, out[:4], out[4:], strict=True)]
        found = np.concatenate([boxes for boxes, _ in levels]).clip(0, self._size)
        scores = np.concatenate([scores for _, scores in levels])
        return np.asarray(found * (np.array(image.shape[1::-1] * 2) / self._size), dtype=np.float32), scores

    def _of_level(self, stride: int, scores: Float32, sides: Float32, least: float) -> tuple[Float32, Float32]:
        cells = -(-self._size // stride)
        of_people = scores[0, :, 0]
        kept = np.flatnonzero(of_people > least)
        centres = np.stack([kept % cells, kept // cells], axis=1) * stride + (stride - 1) / 2
        bins = np.exp(sides[0, kept].reshape(-1, 4, _BINS))
        distances = (bins / bins.sum(-1, keepdims=True)) @ np.arange(_BINS) * stride
        boxes = np.concatenate([centres - distances[:, :2], centres + distances[:, 2:]], axis=1)
        return boxes.astype(np.float32), of_people[kept]
