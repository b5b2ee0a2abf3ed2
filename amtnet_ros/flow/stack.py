"""The motion stream's input: five consecutive flow images, stacked.

The flow image of frame t is the flow from t to t+1. A video of T frames has T of them, the last repeating the one
before it.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Literal

import cv2
import numpy as np

from amtnet_ros.contracts import UInt8

StackPlacement = Literal["centred", "causal", "past"]

LENGTH = 5
"""Flow images in a stack, as in the paper."""

# From a frame to the first flow image of its stack, by the stack's length.
_OFFSET: dict[StackPlacement, Callable[[int], int]] = {
    "centred": lambda length: -(length // 2),
    "causal": lambda length: 1 - length,
    "past": lambda length: -length,
}


def window(
    t: int, n_flows: int, placement: StackPlacement = "centred", length: int = LENGTH, first: int = 0
) -> tuple[int, ...]:
    """Indices of the `length` flow images in the stack of frame t, ascending.

    n_flows: how many flow images the video has (its number of frames), their indices `first` .. first + n_flows - 1.
    placement: "centred" t-2 .. t+2 (the paper's; needs frames up to t+3); "causal" t-4 .. t (needs frame t+1);
        "past" t-5 .. t-1 (the flows that end at t or before: no look-ahead).
    At the ends of the video the window is shifted inside, not padded; a video of fewer flow images than `length`
    repeats its last one.
    """
    if n_flows < 1:
        raise ValueError("a video without flow images has no stack")
    offset = _OFFSET[placement](length)
    last = first + n_flows - 1
    start = max(min(t + offset, last - length + 1), first)
    return tuple(min(index, last) for index in range(start, start + length))


def is_needed(flow: int, key: int, delta: int, placement: StackPlacement = "centred", length: int = LENGTH) -> bool:
    """Whether the flow image of frame `flow` is in the stack of a frame key, key + delta, key + 2 delta ...

    With a large delta most are not. Ends of videos, where windows are shifted, are left out of account: push what this
    denies as a function (see FlowStack), which is called only if it is needed after all.
    """
    since = flow - (key + _OFFSET[placement](length))
    return since >= 0 and since % delta < length


class FlowStack:
    """Ring of encoded flow images, from which the stack of any recent frame is a cheap concatenation.

    Each image is pushed once and kept at the network's size, if `size` (width, height) is given. Push in ascending
    order; `reset` when the stream starts anew. Instead of an image, a function may be pushed that computes it: it is
    called once, when the first stack needs it, or never.
    """

    def __init__(
        self,
        placement: StackPlacement = "centred",
        size: tuple[int, int] | None = (300, 300),
        length: int = LENGTH,
        capacity: int = 64,
    ) -> None:
        self.placement = placement
        self.size = size
        self.length = length
        self.capacity = capacity
        self.reset()

    def reset(self) -> None:
        """Forget everything: a new video begins."""
        self._images: dict[int, _Entry] = {}
        self._first: int | None = None
        self._newest = -1
        self._ended = False

    def push(self, index: int, flow_image: UInt8 | Callable[[], UInt8], until: int | None = None) -> None:
        """Add the flow image of frame `index`, (h, w, 3) uint8, or a function that computes it.

        until: the frame at which the flow ends, index + 1 unless frames were lost. The image then stands for the
        lost ones too: it holds the motion per nominal interval, which was the same in each of them.
        """
        if self._ended or index <= self._newest:
            raise ValueError(
                f"flow image {index} pushed after {self._newest}" + (" and the end" if self._ended else "")
            )
        entry = _Entry(flow_image, self.size)
        if not callable(flow_image):
            entry.image()
        self._append(index, until or index + 1, entry)

    def _append(self, start: int, stop: int, entry: _Entry) -> None:
        if self._first is None:
            self._first = start
        for i in range(start, stop):
            self._images[i] = entry
            self._newest = i
        while len(self._images) > self.capacity:
            del self._images[next(iter(self._images))]

    def flush(self) -> None:
        """The video ends: its last frame's flow image repeats the one before it, and every window is complete."""
        if self._images and not self._ended:
            self._append(self._newest + 1, self._newest + 2, self._images[self._newest])
        self._ended = True

    def window(self, t: int, last: int | None = None) -> tuple[int, ...]:
        """Indices of the flow images in frame t's stack; `last`: index of the video's last one, if it is known."""
        first = self._first or 0
        if last is None:
            last = self._newest if self._ended else t + self.length
        return window(t, last - first + 1, self.placement, self.length, first)

    def ready(self, t: int) -> bool:
        """Whether frame t's stack can be made now."""
        return self._first is not None and all(i in self._images for i in self.window(t))

    def stack(self, t: int) -> UInt8:
        """Frame t's stack: (h, w, 3 * length) uint8, frame-major (u, v, magnitude of the earliest first)."""
        return np.concatenate([self._images[i].image() for i in self.window(t)], axis=2)


class _Entry:
    """A flow image in the ring, computed when it is first asked for."""

    def __init__(self, source: UInt8 | Callable[[], UInt8], size: tuple[int, int] | None) -> None:
        self._source = source
        self._size = size

    def image(self) -> UInt8:
        """The image at the ring's size."""
        if callable(self._source):
            self._source = self._source()
        if self._size is not None and self._source.shape[1::-1] != self._size:
            resized = cv2.resize(self._source, self._size, interpolation=cv2.INTER_LINEAR)
            self._source = np.asarray(resized, dtype=np.uint8)
        return self._source
