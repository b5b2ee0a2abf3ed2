"""What a file of a model folder may be: one that is there, is not endless, and as a graph holds all of its own."""

from __future__ import annotations

import hashlib
import mmap
import re
from collections.abc import Iterator
from pathlib import Path

from amtnet_ros.errors import UserError

MOST_BYTES = 1 << 31
"""Of a file: a graph in ONNX cannot have more."""

_EXTERNAL = re.compile(rb"\n(\x08|\x88\x80*\x00)location")
"""The key under which a graph names another file that holds weights of it, as it is stored: in any form of the 8."""
_FUNCTIONS = 25
"""ModelProto's field of functions of its own, which may call each other more often than any machine can."""


def file_hash(path: Path) -> str:
    """SHA-256 of a file, as 64 hexadecimal digits."""
    digest = hashlib.sha256()
    with path.open("rb") as file:
        while block := file.read(1 << 20):
            digest.update(block)
    return digest.hexdigest()


def check_file(path: Path) -> None:
    """Raises UserError, or OSError, where the file cannot be one of a model folder. What it computes is not judged."""
    if not path.is_file():
        raise UserError(f"{path.parent}: '{path.name}' is missing; the model is incomplete, copy or export it again")
    if (size := path.stat().st_size) > MOST_BYTES:
        raise UserError(f"{path}: has {size / 2**30:.1f} GiB, more than the 2 GiB that a graph may have")
    if path.suffix != ".onnx" or not size:
        return
    with path.open("rb") as file, mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as content:
        if _EXTERNAL.search(content):
            raise UserError(f"{path}: has weights in other files; a model's graph must hold all of its own")
        if _FUNCTIONS in _fields(content):
            raise UserError(f"{path}: has functions of its own, which no graph of this package needs")


def _fields(content: mmap.mmap) -> Iterator[int]:
    """The numbers of a protobuf message's own fields, up to where it makes no sense, which its reader will say."""
    at = 0
    while at < len(content):
        tag, at = _number(content, at)
        yield tag >> 3
        if tag & 7 == 2:
            length, at = _number(content, at)
            at += length
        elif tag & 7 == 0:
            _, at = _number(content, at)
        else:
            at += {1: 8, 5: 4}.get(tag & 7, len(content))


def _number(content: mmap.mmap, at: int) -> tuple[int, int]:
    """The number that is stored there, seven bits a byte, and where the next begins."""
    value = shift = 0
    while at < len(content) and shift < 70:
        byte, at = content[at], at + 1
        value |= (byte & 127) << shift
        shift += 7
        if byte < 128:
            break
    return value, at
