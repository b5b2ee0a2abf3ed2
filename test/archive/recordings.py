"""Recordings that tests make themselves, and what the archive keeps of them.

Libraries are imported that the archive imports where it needs them: where one is missing, the tests are skipped.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from fractions import Fraction
from pathlib import Path
from typing import Any

import duckdb  # noqa: F401
import fsspec  # noqa: F401
import numpy as np
import pyarrow  # noqa: F401

from amtnet_ros.archive.archiving import Summary, archive
from amtnet_ros.archive.engines import Workers, make_workers
from amtnet_ros.archive.pieces import LENGTH
from amtnet_ros.archive.sources import find_sources
from amtnet_ros.archive.store import TUBES, Store
from amtnet_ros.archive.tables import Failure, tubes_of
from amtnet_ros.archive.tube import ArchivedTube
from amtnet_ros.archive.worker import Setup
from amtnet_ros.contracts import UInt8
from amtnet_ros.inference.card import CARD
from amtnet_ros.inference.graph_file import file_hash
from amtnet_ros.media.video import VideoWriter
from amtnet_ros.settings import Settings

SECOND = 1_000_000_000


def pictures(seconds: float, seed: int, size: tuple[int, int] = (64, 48), rate: int = 30) -> Iterator[UInt8]:
    """Bright blocks that grow a little brighter and darker."""
    blocks = np.random.default_rng(seed).integers(160, 220, (size[1] // 8, size[0] // 8, 3))
    for number in range(round(seconds * rate)):
        yield (blocks + number % 20).astype(np.uint8).repeat(8, 0).repeat(8, 1)


def write_video(path: Path, seconds: float = 2.0, seed: int = 0, size: tuple[int, int] = (64, 48)) -> Path:
    """A video of 30 pictures a second; returns its path."""
    with VideoWriter(path) as writer:
        for number, image in enumerate(pictures(seconds, seed, size)):
            writer.write(image, float(Fraction(number, 30)))
    return path


class Quiet:
    """Progress that nobody sees; failures are kept."""

    def __init__(self) -> None:
        self.failures: list[Failure] = []

    def looked_at(self, done: int, of: int) -> None:
        pass

    def begin(self, seconds: float, left: float) -> None:
        pass

    def watched(self, seconds: float) -> None:
        pass

    def failed(self, failure: Failure) -> None:
        self.failures.append(failure)


def setup_of(model: Path, out: str | Path, **changes: Any) -> Setup:
    """How the command would set it up. changes: to the settings, and to `rate`, `topics` and `fast_flow`."""
    own = {name: changes.pop(name) for name in ("rate", "topics", "fast_flow") if name in changes}
    settings = Settings().replaced(changes)
    card = file_hash(model / CARD)
    return Setup(str(out), str(model), "cpu", "fp32", settings.options, own.pop("rate", None), card, **own)


def run(setup: Setup, *sources: str | Path, length: float = LENGTH) -> Summary:
    """Archive in this process."""

    def start() -> Workers:
        return make_workers(setup, "processes", 0, None, 0)

    return archive(find_sources([str(source) for source in sources]), setup, start, length, Quiet())


def rows_of(out: str | Path) -> list[dict[str, Any]]:
    """Every row of an archive's tubes, by file, topic, episode and tube."""
    store = Store(str(out))
    rows = [row for key in store.names(TUBES) for row in store.read_table(TUBES, f"{key}.parquet").to_pylist()]
    return sorted(rows, key=lambda row: (row["file"], row["topic"], row["episode"] or 0, row["tube"]))


def tubes_in(out: str | Path) -> list[ArchivedTube]:
    """The tubes of an archive of one recording."""
    store = Store(str(out))
    (key,) = store.names(TUBES)
    return tubes_of(store.read_table(TUBES, f"{key}.parquet"))


def failures_in(out: Path) -> list[dict[str, Any]]:
    """What could not be read."""
    return list(Store(str(out)).read_table("failed.parquet").to_pylist())


def about(out: Path) -> dict[str, Any]:
    """What archive.json says."""
    return dict(json.loads((out / "archive.json").read_text()))
