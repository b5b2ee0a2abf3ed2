"""What a stream of images and tubes leaves behind: the tubes, and if wanted a video with them drawn in."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Mapping
from pathlib import Path
from uuid import UUID

from amtnet_ros.contracts import TubeUpdate, UInt8
from amtnet_ros.errors import UserError
from amtnet_ros.files import WholeOutput, check_distinct
from amtnet_ros.media.drawing import Style, TubePainter
from amtnet_ros.media.losses import Say, to_stderr
from amtnet_ros.media.pictures import fitted
from amtnet_ros.media.tube_lines import TubeRecorder, TubeSummary
from amtnet_ros.media.video import VideoWriter

DELAY = 10
"""Images that the video lags behind: so long a gap in a tube is still drawn with its interpolated boxes."""
PATIENCE = 60
"""Images that wait for their tubes before they are written without."""
_LEAST_STEP = 0.75 / 60
"""Seconds between two images, at least: of a faster camera's some are left out, as few players show more than 60."""


class AnnotatedVideo:
    """Brings images and the tubes found in them together again, and writes them.

    The detector answers some frames late; until then the images wait, resized to what will be written.
    """

    def __init__(self, writer: VideoWriter, width: int, style: Style | None = None) -> None:
        """width: of the video in pixels, at most."""
        self._writer = writer
        self._width = width
        self._waiting: deque[tuple[int, UInt8]] = deque()
        self.labels: dict[int, str] = {}
        self._painter = TubePainter(self.labels, style, DELAY)
        self._newest_tubes = -1
        self._clock: int | None = None
        self._seconds, self._last_written = 0.0, -1.0
        self.written = 0

    def add_image(self, stamp: int, image: UInt8) -> None:
        """The next image, (height, width, 3) uint8 RGB, of that stamp (ns)."""
        self._waiting.append((stamp, fitted(image, self._width)))
        while len(self._waiting) > DELAY:
            if self._waiting[0][0] > self._newest_tubes and len(self._waiting) <= PATIENCE:
                return
            self._write(*self._waiting.popleft())

    def add_tubes(self, update: TubeUpdate, labels: Mapping[int, str]) -> None:
        """The next step's tubes; labels: the names of their classes, by label."""
        self.labels.update(labels)
        self._painter.update(update)
        self._newest_tubes = update.stamp

    def finish(self) -> None:
        """Write what still waits."""
        while self._waiting:
            self._write(*self._waiting.popleft())

    def _write(self, stamp: int, image: UInt8) -> None:
        # Where the stamps jump back (a loop) the video goes on.
        if self._clock is not None:
            self._seconds += max(stamp - self._clock, 0) / 1e9
        self._clock = stamp
        if self._seconds - self._last_written < _LEAST_STEP:
            return
        self._last_written = self._seconds
        self._writer.write(self._painter.draw(image, stamp), self._seconds)
        self.written += 1


class Findings(WholeOutput):
    """Tubes in a JSON lines file, and an annotated video beside it; `with` writes both whole in the end.

    A full disk costs the video first: it is removed, which makes room, and the tubes go on. Where even they cannot be
    written, those that were stay. say: is told that the video was given up. Raises UserError where the tubes cannot be
    written. Left by an exception, both files are discarded.

        with Findings(Path("tubes.jsonl"), Path("tubes.mp4")) as findings:
            findings.add_image(stamp, image)
            findings.add_tubes(update, pipeline.session, dict(enumerate(pipeline.labels)), frame_id="camera")
    """

    def __init__(
        self,
        tubes: Path,
        video: Path | None = None,
        width: int = 1280,
        rate: float = 30.0,
        style: Style | None = None,
        say: Say = to_stderr,
    ) -> None:
        """width: of the video in pixels, at most. rate: about so many images a second are to come."""
        check_distinct(tubes, video)
        self._tubes, self._say = TubeRecorder(tubes), say
        self._video: AnnotatedVideo | None = None
        self._writer: VideoWriter | None = None
        self.failed = False
        if video is not None:
            try:
                self._writer = VideoWriter(video, rate)
            except UserError:
                self._tubes.discard()
                raise
            self._video = AnnotatedVideo(self._writer, width, style)

    @property
    def has_video(self) -> bool:
        """Whether there is a video, and it has not failed."""
        return self._video is not None

    @property
    def images(self) -> int:
        """How many were written into the video so far."""
        return self._video.written if self._video else 0

    @property
    def summaries(self) -> list[TubeSummary]:
        """The tubes that were recorded."""
        return self._tubes.summaries

    def add_image(self, stamp: int, image: UInt8) -> None:
        """The next image, (height, width, 3) uint8 RGB, of that stamp (ns)."""
        if self._video:
            try:
                self._video.add_image(stamp, image)
            except UserError as error:
                self._give_up_video(error)

    def add_tubes(self, update: TubeUpdate, session: UUID, labels: Mapping[int, str], frame_id: str) -> None:
        """The next step's tubes. labels: the classes' names, by label; frame_id: of the source image."""
        self._write_tubes(lambda: self._tubes.add(update, session, labels, frame_id))
        if self._video:
            self._video.add_tubes(update, labels)

    def _write_tubes(self, write: Callable[[], None]) -> None:
        """Write tubes, if need be in the room that the video took. Raises UserError where they cannot be written."""
        try:
            try:
                write()
            except UserError as error:
                if self._video is None:
                    raise
                self._give_up_video(error)
                self._tubes.flush()
        except UserError as error:
            kept = self._tubes.keep_written()
            raise UserError(f"{error}; the {kept} tubes that ended before are there" if kept else str(error)) from error

    def _give_up_video(self, error: UserError) -> None:
        """Remove the video: nothing is left of it but the space it took."""
        assert self._writer is not None
        self._writer.discard()
        self._video = self._writer = None
        self.failed = True
        self._say(f"{error}; the video is given up, the tubes go on")

    def close(self) -> None:
        """Write what still waits, and put both files in their places."""
        if self._video and self._writer:
            try:
                self._video.finish()
                self._writer.close()
            except UserError as error:
                self._give_up_video(error)
        self._write_tubes(self._tubes.end_all)
        self._tubes.close()

    def discard(self) -> None:
        """Give up: nothing is left of either file."""
        if self._writer:
            self._writer.discard()
        self._tubes.discard()
