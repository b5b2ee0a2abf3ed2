"""DIS flow (Kroeger, Timofte, Dai, Van Gool: "Fast Optical Flow using Dense Inverse Search", ECCV 2016), by OpenCV."""

from __future__ import annotations

import threading
from concurrent.futures import ThreadPoolExecutor

import cv2
import numpy as np

from amtnet_ros.contracts import Float32, UInt8
from amtnet_ros.errors import UserError
from amtnet_ros.flow.contract import WORKING_SIZE, check_pair, to_grey

PRESETS = {
    "ultrafast": cv2.DISOPTICAL_FLOW_PRESET_ULTRAFAST,
    "fast": cv2.DISOPTICAL_FLOW_PRESET_FAST,
    "medium": cv2.DISOPTICAL_FLOW_PRESET_MEDIUM,
}


class DisFlow:
    """DIS on the CPU; see FlowEngine for the interface.

    OpenCV spreads a call over its own threads, and a batch over as many of Python's, a
    pair each; `cv2.setNumThreads` bounds both for the whole process (set it to 0 in data-loading workers).
    """

    def __init__(self, preset: str = "medium", working_size: tuple[int, int] = WORKING_SIZE) -> None:
        if preset not in PRESETS:
            raise UserError(f"flow: unknown preset 'dis:{preset}'; use one of {', '.join(PRESETS)}")
        self.name = f"dis:{preset}"
        self.working_size = working_size
        self._preset = PRESETS[preset]
        self._of_thread = threading.local()  # OpenCV's object keeps its intermediate results, so each thread has one
        self._threads: ThreadPoolExecutor | None = None

    def __call__(self, previous: UInt8, current: UInt8) -> Float32:
        check_pair(previous, current)
        if not hasattr(self._of_thread, "dis"):
            self._of_thread.dis = cv2.DISOpticalFlow.create(self._preset)
        greys = (to_grey(image, self.working_size) for image in (previous, current))
        return np.asarray(self._of_thread.dis.calc(*greys, None), dtype=np.float32)

    def batch(self, previous: UInt8, current: UInt8) -> Float32:
        check_pair(previous, current, ndim=4)
        if cv2.getNumThreads() > 1 and self._threads is None:
            self._threads = ThreadPoolExecutor(cv2.getNumThreads(), "dis")
        over_pairs = self._threads.map if cv2.getNumThreads() > 1 and self._threads else map
        return np.stack(list(over_pairs(self, previous, current)))
