"""Stretches of video with the boxes of all people in them, so that a window without anybody can be found."""

from __future__ import annotations

import hashlib
import zipfile
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np
from rich.console import Console
from rich.progress import track

from amtnet_ros.actors.crops import View
from amtnet_ros.contracts import Float32
from amtnet_ros.data.jpeg_store import JpegStore
from amtnet_ros.data.people_detector import PeopleDetector
from amtnet_ros.errors import UserError
from amtnet_ros.files import WholeFile

LENGTH = 24
"""Frames of a stretch; its first, middle and last are looked at."""
LEAST_SCORE = 0.05
"""What might be a person is one."""
TRIALS = 30


class Stretch(NamedTuple):
    """LENGTH frames of a video from `first` on; people: (n, 4) boxes of all who may be in them, pixels."""

    video: str
    first: int
    people: Float32


class EmptyPlaces:
    """Looked for once by the people detector, and kept in a file."""

    def __init__(self, folder: Path, store: JpegStore, detector: Path) -> None:
        self._folder, self._store, self._detector = folder, store, detector

    def find(self, places: Sequence[tuple[str, int]]) -> tuple[Stretch, ...]:
        """The stretches that begin at these (video, frame). Raises UserError if detector or file cannot be used."""
        listed = "\n".join(f"{video} {first}" for video, first in places)
        path = self._folder / f"people-{hashlib.sha256(listed.encode()).hexdigest()[:8]}.npz"
        if not path.exists():
            self._look(places, path)
        try:
            with np.load(path, allow_pickle=False) as file:
                parts = np.split(file["people"], np.cumsum(file["counts"])[:-1])
        except (KeyError, ValueError, EOFError, zipfile.BadZipFile) as error:
            raise UserError(f"{path}: damaged ({error}); delete it, and it will be made anew") from error
        return tuple(Stretch(video, first, part) for (video, first), part in zip(places, parts, strict=True))

    def _look(self, places: Sequence[tuple[str, int]], path: Path) -> None:
        detector, found = PeopleDetector(self._detector), []
        for video, first in track(places, "where nobody is", console=Console(stderr=True)):
            numbers = (first, first + LENGTH // 2, first + LENGTH - 1)
            boxes = [detector.boxes(self._store.frame(video, number), LEAST_SCORE) for number in numbers]
            found.append(np.concatenate(boxes))
        with WholeFile(path, parents=True) as temporary, temporary.open("wb") as file:
            np.savez(file, counts=[len(people) for people in found], people=np.concatenate(found))


def draw_empty_square(
    rng: np.random.Generator, people: Float32, size: tuple[int, int], sides: tuple[float, float]
) -> View | None:
    """A square inside a picture (width, height) that touches nobody, its side in pixels; None if no room is found."""
    for _ in range(TRIALS):
        side = min(float(np.exp(rng.uniform(*np.log(sides)))), *size)
        x, y = (float(rng.uniform(side / 2, length - side / 2)) for length in size)
        low, high = np.array([x, y]) - side / 2, np.array([x, y]) + side / 2
        if not ((people[:, :2] < high) & (people[:, 2:] > low)).all(axis=1).any():
            return View(x, y, side, side)
    return None
