"""A folder of images, as a video."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

from amtnet_ros.contracts import UInt8
from amtnet_ros.errors import UserError
from amtnet_ros.media.losses import Losses, Say, to_stderr
from amtnet_ros.media.pictures import decoded

FOLDER_RATE = 30.0
IMAGE_SUFFIXES = (".bmp", ".jpeg", ".jpg", ".png", ".tif", ".tiff", ".webp")


@dataclass(frozen=True)
class ImageFolder:
    """The images of a folder in the natural order of their names (img2 before img10), 30 a second.

    say: is told what could not be read.
    """

    path: Path
    files: tuple[Path, ...]
    rate: float = FOLDER_RATE
    say: Say = field(default=to_stderr, compare=False)

    @property
    def frames(self) -> int:
        """How many images there are."""
        return len(self.files)

    def __iter__(self) -> Iterator[UInt8]:
        """Every image, (height, width, 3) uint8 RGB. Raises UserError for a file that is broken."""
        for file in self.files:
            image, why = _read(file)
            if image is None:
                raise UserError(f"{file}: {why}")
            yield image

    def stamped(self) -> Iterator[tuple[int, UInt8]]:
        """Every image that can be read, with its time in nanoseconds; one that cannot leaves a gap.

        Raises UserError where none can.
        """
        losses = Losses(str(self.path), "images", self.say)
        for number, file in enumerate(self.files):
            image, why = _read(file)
            if image is not None:
                losses.add_read()
                yield round(number / self.rate * 1e9), image
            elif losses.add_lost(file.name, why):
                break
        losses.conclude()


def open_folder(path: Path, say: Say = to_stderr) -> ImageFolder:
    """The folder's images; hidden files, such as those that macOS leaves beside its own (._1.jpg), are none.

    Raises UserError if there is none, or the folder cannot be looked into.
    """
    try:
        found = [
            file
            for file in path.iterdir()
            if file.suffix.lower() in IMAGE_SUFFIXES and not file.name.startswith(".") and not file.is_dir()
        ]
    except OSError as error:
        raise UserError(f"{path}: the folder cannot be read ({(error.strerror or str(error)).lower()})") from None
    if not found:
        raise UserError(f"{path}: the folder holds no images ({', '.join(IMAGE_SUFFIXES)})")
    return ImageFolder(path, tuple(sorted(found, key=_natural)), say=say)


def _natural(file: Path) -> tuple[list[str | int], str]:
    """Numbers in a name count as such; the name itself decides between 1.png and 01.png."""
    parts = re.split(r"([0-9]+)", file.name)
    return [int(part) if place % 2 else part for place, part in enumerate(parts)], file.name


def _read(file: Path) -> tuple[UInt8 | None, str]:
    """The image; else None, and why."""
    try:
        if not file.is_file():
            return None, "it is no file"
        image = decoded(file.read_bytes())
    except OSError as error:
        return None, (error.strerror or str(error)).lower()
    return image, "" if image is not None else "cannot be decoded as an image"
