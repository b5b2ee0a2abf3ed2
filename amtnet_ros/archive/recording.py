"""What is archived: the pictures of one camera, in one file or one episode."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Literal, NamedTuple

from amtnet_ros.contracts import UInt8

SECOND = 1_000_000_000
EARLY = SECOND // 100
"""A picture may come so much before its time: a thirtieth of a second is no whole number of nanoseconds."""

Kind = Literal["video", "bag", "parquet"]


@dataclass(frozen=True)
class Recording:
    """Pictures of one camera.

    Two clocks run in it. A *position* (ns) says where in the file a picture lies: its presentation time in a video, the
    time at which a bag recorded it; positions ascend. A *stamp* (ns) is the camera's, and may be anything.

    key: 32 hexadecimal digits that follow from the content; they name what is found in it.
    file: the video, the bag (a file or a folder) or the Parquet file. topic: which camera in it, "" where there is one.
    begin, end: positions; end is None where the file does not say.
    dataset, episode: of a LeRobot data set: its folder, and the number in it.
    clock: nanoseconds from 1970 to position 0; None where nobody knows.
    """

    key: str
    kind: Kind
    file: str
    topic: str = ""
    begin: int = 0
    end: int | None = None
    dataset: str = ""
    episode: int | None = None
    clock: int | None = None

    @property
    def name(self) -> str:
        """For people."""
        episode = "" if self.episode is None else f" episode {self.episode}"
        return f"{self.dataset or self.file}{episode}{' ' if self.topic else ''}{self.topic}"


class Picture(NamedTuple):
    """A picture that is decoded only if it is wanted.

    position: ns. load: gives its stamp (ns) and the image, (height, width, 3) uint8 RGB.
    """

    position: int
    load: Callable[[], tuple[int, UInt8]]


def key_of(content: str, *part: object) -> str:
    """The key of a recording: of its file's content, and of which part of the file it is."""
    return hashlib.blake2b(repr((content, *part)).encode(), digest_size=16).hexdigest()


def thinned(pictures: Iterator[Picture], rate: float | None) -> Iterator[Picture]:
    """Of the pictures so many a second; None: all. Which ones does not depend on where one begins."""
    tick = None
    for picture in pictures:
        now = int((picture.position + EARLY) * rate) // SECOND if rate else None
        if rate is None or now != tick:
            yield picture
        tick = now
