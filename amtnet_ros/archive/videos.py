"""Pictures of a part of a video, which may be anywhere."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime, timezone
from functools import partial
from itertools import islice
from typing import Any

from amtnet_ros.archive.places import content_key, is_remote, one_line, opened
from amtnet_ros.archive.recording import SECOND, Picture, Recording, key_of
from amtnet_ros.contracts import UInt8
from amtnet_ros.errors import UserError
from amtnet_ros.media.presentation import upright
from amtnet_ros.media.video_file import NOMINAL_RATE, film_of, frames_of, open_container, pyav, time_of, why

PATIENCE = 30
"""Frames in a row that cannot be decoded before a recording is given up."""


def find_video(place: str) -> list[Recording]:
    """The video's one recording. Raises UserError where it holds no picture that can be decoded."""
    key = key_of(content_key([place]))
    with _container(place) as (container, stream):
        first = islice(frames_of(container), PATIENCE)
        if not any(not isinstance(frame, Exception) for frame in first):
            raise UserError(f"{place}: the video holds no frame that can be decoded")
        length = stream.duration and float(stream.duration * stream.time_base)
        length = length or (container.duration and container.duration / 1e6)
        end = round(length * SECOND) if length else None
        return [Recording(key, "video", place, end=end, clock=_created(container.metadata.get("creation_time", "")))]


def video_pictures(recording: Recording, begin: int, end: int | None) -> Iterator[Picture]:
    """Its pictures from position `begin` on and before `end`; None: to the last. Stamps count from its beginning.

    Raises UserError where the data are broken.
    """
    with _container(recording.file) as (container, stream):
        for position, frame in _timed(container, stream, begin):  # in place of a broken one, the error
            if end is not None and position >= end:
                return
            if position >= begin:
                yield Picture(position, partial(_load, frame, position - recording.begin))


def _timed(container: Any, stream: Any, begin: int) -> Iterator[tuple[int, Any]]:
    """Frames and their positions, from the last key frame before `begin` on at the latest."""
    origin, base = stream.start_time or 0, stream.time_base
    if begin > 0:
        container.seek(origin + int(begin / SECOND / base), stream=stream)
    interval, position = round(SECOND / float(stream.average_rate or NOMINAL_RATE)), None
    for frame in frames_of(container):
        time = None if isinstance(frame, Exception) else time_of(frame)
        if time is not None:
            position = round((time - origin * base) * SECOND)
        else:
            position = 0 if position is None else position + interval
        yield position, frame


def _load(frame: Any, stamp: int) -> tuple[int, UInt8]:
    if isinstance(frame, Exception):
        raise UserError(f"a frame cannot be decoded ({why(frame)})")
    return stamp, upright(frame)


@contextmanager
def _container(place: str) -> Iterator[tuple[Any, Any]]:
    """PyAV's container and its film, on one thread: there are other workers."""
    av = pyav()
    try:
        with open_container(opened(place) if is_remote(place) else place) as container:
            stream = film_of(container)
            if stream is None:
                raise UserError(f"{place}: holds no video stream")
            stream.codec_context.thread_count = 1
            yield container, stream
    except FileNotFoundError:
        raise UserError(f"{place}: no such file") from None
    except (av.FFmpegError, OSError) as error:
        raise UserError(f"{place}: cannot be read as a video ({one_line(error)})") from error


def _created(text: str) -> int | None:
    """Nanoseconds since 1970 of a date that a container's metadata tell; None where it is none."""
    try:
        created = datetime.fromisoformat(text)
    except ValueError:
        return None
    if created.tzinfo is None:
        created = created.replace(tzinfo=timezone.utc)
    return round(created.timestamp()) * SECOND if created.year > 1970 else None
