"""Decoded frames and flow images on disk, one array a video, so that training never waits for a decoder.

It also knows which frames nearly repeat the one before them: about one in eight of J-HMDB-21, whose sources had lower
frame rates. Flow into such a frame is almost nil, and the flow after it holds the motion of both intervals.
"""

from __future__ import annotations

import hashlib
import shutil
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager, suppress
from itertools import islice
from pathlib import Path
from typing import Literal

import numpy as np
from rich.console import Console
from rich.progress import track

from amtnet_ros.contracts import Bool, UInt8
from amtnet_ros.data.annotations import AnnotatedVideo
from amtnet_ros.errors import UserError
from amtnet_ros.files import PARTIAL, WholeFile
from amtnet_ros.flow.contract import WORKING_SIZE, FlowEngine, to_working_size
from amtnet_ros.flow.encoding import encode_flow
from amtnet_ros.flow.factory import make_flow
from amtnet_ros.media.video import open_source

RepeatHandling = Literal["keep", "skip"]
"""Of frames that nearly repeat the one before them. keep: as they are, and as the detector meets them.
skip: no pair is drawn in which either frame is one."""

REPEAT_SHARE = 0.15
"""A frame repeats the one before it when they differ by less than this share of the clip's median difference."""

_EVERY = 2  # pixels, in x and y, that are looked at for that
_ABANDONED_AFTER = 3600.0  # seconds; a partial file this old belongs to a process that was killed


class VideoCache:
    """Frames and flow images (T, h, w, 3) of videos at the flow's working resolution, uint8, memory-mapped.

    The flow image of frame t is the flow from t to t+1; the last repeats the one before it. Files are written whole
    (to a partial name, then renamed), so an interrupted run leaves nothing half done, and several may share a cache. A
    file's name tells the video's size and time of change, so a video that was replaced is computed anew.
    """

    def __init__(self, folder: Path, flow: str) -> None:
        """folder: where the arrays lie; flow: the engine's name, e.g. "dis:medium" (each engine has its own files)."""
        self.folder = folder
        self._frames = folder / "frames"
        self._flows = folder / f"flow-{flow.replace(':', '-').replace('/', '_')}"
        self._spec = flow
        self._repeats: dict[str, Bool] = {}

    def fill(self, videos: Sequence[AnnotatedVideo]) -> None:
        """Decode and compute whatever is missing, with a progress bar.

        Raises UserError if a video cannot be read, is not as long as its annotations say, or the disk is too small.
        """
        missing = [video for video in videos if not self._is_there(video)]
        if not missing:
            return
        self._check_space(missing)
        for folder in (self._frames, self._flows):
            _remove_abandoned(folder)
        engine = make_flow(self._spec)
        reader = _PartReader()
        for video in track(missing, f"decoding, flow {self._spec}", console=Console(stderr=True)):
            # From the first to the last: header counts, seeking and stamps are unreliable in the J-HMDB originals.
            images = open_source(str(video.path)) if video.first is None else reader.part(video, video.first)
            self._compute(video, images, engine)

    def frames(self, video: AnnotatedVideo) -> UInt8:
        """(T, h, w, 3) uint8 RGB, memory-mapped. Raises UserError if it is not in the cache."""
        return self._open(self._frames, video)

    def flows(self, video: AnnotatedVideo) -> UInt8:
        """(T, h, w, 3) uint8 flow images (see flow.encoding), memory-mapped. Raises UserError if not in the cache."""
        return self._open(self._flows, video)

    def repeats(self, video: AnnotatedVideo) -> Bool:
        """Which frames nearly repeat the one before them → (T,); see `near_repeats`."""
        if video.name not in self._repeats:
            self._repeats[video.name] = near_repeats(self.frames(video))
        return self._repeats[video.name]

    def _is_there(self, video: AnnotatedVideo) -> bool:
        return all(self._file(folder, video).exists() for folder in (self._frames, self._flows))

    def _open(self, folder: Path, video: AnnotatedVideo) -> UInt8:
        path = self._file(folder, video)
        try:
            array: UInt8 = np.load(path, mmap_mode="r", allow_pickle=False)
        except FileNotFoundError as error:
            raise UserError(f"{path} is missing: the cache must be filled with video '{video.name}' first") from error
        except ValueError as error:
            raise UserError(f"{path}: damaged ({error}); delete it, and it will be computed anew") from error
        return array

    def _compute(self, video: AnnotatedVideo, images: Iterable[UInt8], engine: FlowEngine) -> None:
        if video.n_frames < 2:
            raise UserError(f"video '{video.name}' has {video.n_frames} frames; flow needs 2 or more")
        shape = (video.n_frames, engine.working_size[1], engine.working_size[0], 3)
        with (
            _new_array(self._file(self._frames, video), shape) as add_frame,
            _new_array(self._file(self._flows, video), shape) as add_flow,
        ):
            count = 0
            flow = previous = None
            for image in images:
                count += 1
                if count > video.n_frames:
                    continue
                current = to_working_size(image, engine.working_size)
                add_frame(current)
                if previous is not None:
                    flow = encode_flow(engine(previous, current))
                    add_flow(flow)
                previous = current
            if count != video.n_frames or flow is None:
                raise UserError(f"{video.path}: has {count} frames, annotated as {video.n_frames}")
            add_flow(flow)

    def _check_space(self, missing: Sequence[AnnotatedVideo]) -> None:
        try:
            self.folder.mkdir(parents=True, exist_ok=True)
            free = shutil.disk_usage(self.folder).free
        except OSError as error:
            raise UserError(f"{self.folder}: cannot be used as a cache ({error.strerror}); choose another") from error
        needed = 2 * sum(video.n_frames for video in missing) * WORKING_SIZE[0] * WORKING_SIZE[1] * 3
        if needed > free:
            raise UserError(
                f"{self.folder}: frames and flow of {len(missing)} videos need {needed / 1e9:.1f} GB, and "
                f"{free / 1e9:.1f} GB are free; choose another folder for the cache, or fewer clips (data.clips)"
            )

    @staticmethod
    def _file(folder: Path, video: AnnotatedVideo) -> Path:
        name = video.name.replace("%", "%25").replace("/", "%2F")
        return folder / f"{name}-{_fingerprint(video)}.npy"


class _PartReader:
    """Reads parts of video files; those that follow each other in a file in one pass."""

    def __init__(self) -> None:
        self._path: Path | None = None
        self._images: Iterator[UInt8] = iter(())
        self._next = 0

    def part(self, video: AnnotatedVideo, first: int) -> Iterator[UInt8]:
        """The images of a video that begins at the frame `first` of its file; all are to be taken."""
        if video.path != self._path or first < self._next:
            self._path, self._images, self._next = video.path, iter(open_source(str(video.path))), 0
        end = first + video.n_frames
        begin, self._next = first - self._next, end
        return islice(self._images, begin, begin + video.n_frames)


def near_repeats(frames: UInt8) -> Bool:
    """Which of (T, h, w, 3) uint8 frames nearly repeat the one before them → (T,)."""
    sparse = np.asarray(frames[:, ::_EVERY, ::_EVERY], dtype=np.int16)
    differences = np.abs(np.diff(sparse, axis=0)).mean(axis=(1, 2, 3))
    repeats = np.zeros(len(frames), dtype=np.bool_)
    if len(differences):
        repeats[1:] = differences < REPEAT_SHARE * np.median(differences)
    return repeats


def _fingerprint(video: AnnotatedVideo) -> str:
    """Eight digits that change with the video file, or the folder of images."""
    if video.path is None:
        raise UserError(f"video '{video.name}' has annotations only, no file to decode")
    try:
        status = video.path.stat()
    except OSError as error:
        raise UserError(f"{video.path}: cannot be opened ({error.strerror})") from error
    return hashlib.sha256(f"{status.st_size} {status.st_mtime_ns}".encode()).hexdigest()[:8]


@contextmanager
def _new_array(path: Path, shape: tuple[int, ...]) -> Iterator[Callable[[UInt8], None]]:
    """A uint8 array on disk, written part by part, that takes its name when the block ends well; else it is gone."""
    with WholeFile(path, parents=True) as temporary, temporary.open("wb") as file:
        header = {"descr": "|u1", "fortran_order": False, "shape": shape}
        np.lib.format.write_array_header_1_0(file, header)

        def add(part: UInt8) -> None:
            file.write(np.ascontiguousarray(part).data)

        yield add


def _remove_abandoned(folder: Path) -> None:
    """Delete partial files that killed processes left behind."""
    for partial in folder.glob(f".*{PARTIAL}"):
        with suppress(FileNotFoundError):
            if time.time() - partial.stat().st_mtime > _ABANDONED_AFTER:
                partial.unlink()
