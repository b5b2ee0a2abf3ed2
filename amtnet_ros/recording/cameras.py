"""What clips are taken from: a webcam, a video or a ROS topic, which hands over its images from a thread of its own."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from typing import Protocol

from amtnet_ros.contracts import UInt8
from amtnet_ros.errors import UserError
from amtnet_ros.media.live import LiveSource
from amtnet_ros.media.video import Source

OnImage = Callable[[UInt8], None]


class Camera(Protocol):
    """A source of images that runs until it is closed."""

    name: str

    @property
    def ended(self) -> bool:
        """Whether no image will come any more."""

    @property
    def failure(self) -> UserError | None:
        """Why it ended, if not well."""

    def why_silent(self) -> str:
        """A line that says why nothing comes."""

    def close(self) -> None:
        """End it."""


class SourceCamera:
    """A webcam, or a video or folder of images that is played once, at its own pace."""

    def __init__(self, name: str, source: Source, on_image: OnImage) -> None:
        self.name = name
        self.failure: UserError | None = None
        self._source, self._on_image = source, on_image
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run, daemon=True)
        self._thread.start()

    @property
    def ended(self) -> bool:
        """Whether the video is over, or the webcam gone."""
        return not self._thread.is_alive()

    def why_silent(self) -> str:
        """A line that says why nothing comes."""
        return f"no image from {self.name}; is it in use elsewhere?"

    def close(self) -> None:
        """End it. A webcam that blocks is left to the end of the process."""
        self._stop.set()
        self._thread.join(1.0)

    def _run(self) -> None:
        begin = time.monotonic()
        try:
            for stamp, image in self._source.stamped():
                if not isinstance(self._source, LiveSource):
                    self._stop.wait(max(0.0, begin + stamp / 1e9 - time.monotonic()))
                if self._stop.is_set():
                    return
                self._on_image(image)
        except UserError as error:
            self.failure = error
