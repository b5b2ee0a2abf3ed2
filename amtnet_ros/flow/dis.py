"""DIS flow (Kroeger, Timofte, Dai, Van Gool: "Fast Optical Flow using Dense Inverse Search", ECCV 2016), by OpenCV."""

from __future__ import annotations

import cv2
import numpy as np

from amtnet_ros.contracts import Float32, UInt8
from amtnet_ros.errors import UserError
from amtnet_ros.flow.engine import WORKING_SIZE, check_pair, to_grey

PRESETS = {
    "ultrafast": cv2.DISOPTICAL_FLOW_PRESET_ULTRAFAST,
    "fast": cv2.DISOPTICAL_FLOW_PRESET_FAST,
    "medium": cv2.DISOPTICAL_FLOW_PRESET_MEDIUM,
}


class DisFlow:
    """DIS on the CPU; see FlowEngine for the interface.

    One instance serves one thread. OpenCV spreads a call over its own threads; `cv2.setNumThreads` bounds them for the
    whole process (set it to 0 in data-loading workers).
    """

    def __init__(self, preset: str = "medium", working_size: tuple[int, int] = WORKING_SIZE) -> None:
        if preset not in PRESETS:
            raise UserError(f"flow: unknown preset 'dis:{preset}'; use one of {', '.join(PRESETS)}")
        self.name = f"dis:{preset}"
        self.working_size = working_size
        self._dis = cv2.DISOpticalFlow.create(PRESETS[preset])

    def __call__(self, previous: UInt8, current: UInt8) -> Float32:
        check_pair(previous, current)
        greys = (to_grey(image, self.working_size) for image in (previous, current))
        flow = self._dis.calc(*greys, None)  # type: ignore[call-overload]
        return np.asarray(flow, dtype=np.float32)

    def batch(self, previous: UInt8, current: UInt8) -> Float32:
        check_pair(previous, current, ndim=4)
        return np.stack([self(a, b) for a, b in zip(previous, current, strict=True)])
