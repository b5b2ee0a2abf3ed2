"""The motion stream's input, online: frames in, key frames with their stacks of flow images out."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable

import numpy as np

from amtnet_ros.contracts import FlowField, Frame, UInt8
from amtnet_ros.flow.contract import FlowEngine, check_pair, to_working_size
from amtnet_ros.flow.encoding import encode_flow, flow_scale
from amtnet_ros.flow.stack import FlowStack, StackPlacement, is_needed

KeyFrame = tuple[Frame, UInt8 | None]
"""A frame and its stack of flow images, (h, w, 3 * length) uint8; None where the model has no motion stream."""


class Motion:
    """Computes the flow between successive frames, and keeps key frames until their stacks are complete.

    Each flow is computed once; one that no stack will need, as far as one can tell, is put off until one needs it after
    all. At the end of a video the last flow image is repeated (see `FlowStack`).

    engine: None for a model without a motion stream, whose key frames wait for nothing.
    rate: frames a second at which flow is measured, the model's nominal one. size: (width, height) of the stacks in
    pixels. placement, length: of the stack, see flow.stack.
    """

    def __init__(
        self, engine: FlowEngine | None, rate: float, size: tuple[int, int], placement: StackPlacement, length: int
    ) -> None:
        self._engine, self._rate = engine, rate
        self.on_flow: Callable[[FlowField], None] | None = None
        self._stack = FlowStack(placement, size, length)
        self._waiting: deque[Frame] = deque()
        self._newest: Frame | None = None
        self._key = 0

    @property
    def is_waiting(self) -> bool:
        """Whether a key frame's stack is not complete yet."""
        return bool(self._waiting)

    def add(self, frame: Frame, is_key: bool, delta: int) -> list[KeyFrame]:
        """The next frame of the stream; the flow that ends at it is computed, or put off.

        is_key: whether it needs a stack. delta: frames from one key frame to the next. Returns the key frames whose
        stacks are complete now. Raises UserError where flow cannot be found between the frame and the one before.
        """
        previous, self._newest = self._newest, frame
        if self._engine and previous:
            image = self._flow_image(self._engine, previous, frame)
            flows = range(previous.index, frame.index)
            self._stack.push(flows.start, image() if self._are_needed(flows, delta) else image, until=flows.stop)
        if is_key:
            self._waiting.append(frame)
            self._key = frame.index
        return self._complete()

    def flush(self, newest_is_key: bool = False) -> list[KeyFrame]:
        """The stream breaks off: the last flow image is repeated. Returns the key frames that still waited.

        newest_is_key: make the newest frame one, if it was none.
        """
        if newest_is_key and self._newest and self._newest.index > self._key:
            self._waiting.append(self._newest)
        self._stack.flush()
        return self._complete()

    def reset(self) -> None:
        """Forget everything: what comes next does not continue what was."""
        self._stack.reset()
        self._waiting.clear()
        self._newest, self._key = None, 0

    def _complete(self) -> list[KeyFrame]:
        complete: list[KeyFrame] = []
        while self._waiting and (self._engine is None or self._stack.ready(self._waiting[0].index)):
            frame = self._waiting.popleft()
            complete.append((frame, self._stack.stack(frame.index) if self._engine else None))
        return complete

    def _are_needed(self, flows: range, delta: int) -> bool:
        """Whether one of these flow images is in the stack of a key frame to come."""
        stack = self._stack
        return any(is_needed(flow, self._key, delta, stack.placement, stack.length) for flow in flows)

    def _flow_image(self, engine: FlowEngine, previous: Frame, current: Frame) -> Callable[[], UInt8]:
        """Computes the encoded flow between two frames; holds on to them at the size of the flow only."""
        check_pair(previous.image, current.image)
        images = [to_working_size(frame.image, engine.working_size) for frame in (previous, current)]
        scale = flow_scale(previous.stamp, current.stamp, self._rate)

        def compute() -> UInt8:
            vectors = engine(*images) * np.float32(scale)
            if self.on_flow:
                self.on_flow(FlowField(vectors, previous.index, previous.stamp))
            return encode_flow(vectors)

        return compute
