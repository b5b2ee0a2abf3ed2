"""Files that grow by whole pieces, and the older boxes of a long tube in one of them."""

from __future__ import annotations

import io
import json
import os
import tempfile
from collections.abc import Iterable, Iterator, Sequence
from contextlib import suppress
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np

from amtnet_ros.contracts import Int64
from amtnet_ros.tube_boxes import Box


class Pieces:
    """A file, open for reading and writing, that grows by whole pieces: of one that does not fit nothing is left.

    end: its length in bytes.
    """

    def __init__(self, raw: io.FileIO) -> None:
        """raw: empty."""
        self.raw = raw
        self.end = 0

    def append(self, parts: Iterable[bytes]) -> None:
        """Write the parts of one piece. Raises OSError where they cannot be written.

        Then, and where Ctrl-C comes between them, the file is as before.
        """
        end = self.end
        try:
            for part in parts:
                rest = memoryview(part)
                while rest:
                    rest = rest[self.raw.write(rest) :]
                end += len(part)
        except BaseException:
            with suppress(OSError):
                self.raw.seek(self.end)
                self.raw.truncate()
            raise
        self.end = end


class TubeSpool:
    """The older boxes of one tube, on disk in a file without a name, as they will be written."""

    def __init__(self, folder: Path) -> None:
        """folder: on whose disk there is room. Raises OSError."""
        raw: Any = tempfile.TemporaryFile(dir=folder, buffering=0)  # noqa: SIM115
        self._file, self._ends = Pieces(raw), [0]

    def add(self, boxes: Sequence[Box]) -> None:
        """Boxes that follow those it has. Raises OSError where they cannot be written: then it has none of them."""
        self._file.append([text_of(boxes)])
        self._ends.append(self._file.end)

    def __iter__(self) -> Iterator[bytes]:
        """What was added each time: boxes as JSON, with commas between them."""
        for begin, end in pairwise(self._ends):
            yield os.pread(self._file.raw.fileno(), end - begin, begin)

    def stamps(self) -> Iterator[Int64]:
        """The stamps (ns) of the boxes that were added each time, ascending."""
        for text in self:
            yield np.array([box["stamp"] for box in json.loads(b"[" + text + b"]")], np.int64)

    def close(self) -> None:
        """Give its room back."""
        self._file.raw.close()


def text_of(boxes: Sequence[Box]) -> bytes:
    """Boxes as JSON, with commas between them."""
    return ", ".join(json.dumps(_as_written(box)) for box in boxes).encode()


def _as_written(box: Box) -> dict[str, Any]:
    return {
        "stamp": box.stamp,
        "box": [round(value, 2) for value in box.box.tolist()],
        "score": round(box.score, 4),
        "interpolated": box.interpolated,
    }
