"""Pictures of a few bytes whose headers claim any size, written down byte by byte."""

from __future__ import annotations

import struct
import zlib
from collections.abc import Callable

import cv2
import numpy as np


def png(width: int, height: int) -> bytes:
    def chunk(kind: bytes, data: bytes) -> bytes:
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))

    header = chunk(b"IHDR", struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0))
    return b"\x89PNG\r\n\x1a\n" + header + chunk(b"IDAT", zlib.compress(bytes(100))) + chunk(b"IEND", b"")


def bmp(width: int, height: int) -> bytes:
    info = struct.pack("<IiiHHIIiiII", 40, width, height, 1, 24, 0, 0, 0, 0, 0, 0)
    return b"BM" + struct.pack("<IHHI", 74, 0, 0, 54) + info + bytes(20)


def hdr(width: int, height: int) -> bytes:
    return b"#?RADIANCE\nFORMAT=32-bit_rle_rgbe\n\n-Y %d +X %d\n" % (height, width) + b"\2\2\1\1" * 5


def ppm(width: int, height: int) -> bytes:
    return b"P6\n%d %d\n255\n" % (width, height) + bytes(30)


def tiff(width: int, height: int) -> bytes:
    tags = ((256, width), (257, height), (258, 8), (259, 1), (262, 1), (273, 8), (277, 1), (278, height), (279, 10))
    entries = b"".join(struct.pack("<HHII", number, 4, 1, value) for number, value in tags)
    return b"II*\0" + struct.pack("<IH", 8, len(tags)) + entries + bytes(4)


def jpeg(width: int, height: int) -> bytes:
    return _with_size(".jpg", b"\xff\xc0", 5, struct.pack(">HH", height, width))


def webp(width: int, height: int) -> bytes:
    return _with_size(".webp", b"\x9d\x01\x2a", 3, struct.pack("<HH", width & 0x3FFF, height & 0x3FFF))


def _with_size(suffix: str, mark: bytes, offset: int, size: bytes) -> bytes:
    """A real picture of 16x16 with another size in its header."""
    options = [cv2.IMWRITE_WEBP_QUALITY, 50] if suffix == ".webp" else []
    data = bytearray(cv2.imencode(suffix, np.zeros((16, 16, 3), np.uint8), options)[1].tobytes())
    place = data.index(mark) + offset
    data[place : place + len(size)] = size
    return bytes(data)


KINDS: dict[str, Callable[[int, int], bytes]] = {
    ".png": png,
    ".bmp": bmp,
    ".hdr": hdr,
    ".ppm": ppm,
    ".tiff": tiff,
    ".jpg": jpeg,
    ".webp": webp,
}
