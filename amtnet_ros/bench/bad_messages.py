"""Messages as broken drivers and networks send them: good ones, changed at random in what can be wrong with them.

Every change is drawn from a generator, so that a seed repeats a campaign. What comes out may still be fit for use.
"""

from __future__ import annotations

import copy
from collections.abc import Callable, Sequence
from typing import Any

import cv2
import numpy as np
from sensor_msgs.msg import CameraInfo, CompressedImage, Image, PointCloud2, PointField

from amtnet_ros.contracts import UInt8
from amtnet_ros.ros.conversions import ENCODINGS

Change = Callable[[Any, np.random.Generator], None]

_SIZES = (0, 1, 2, 3, 7, 8, 255, 4095, 65_535, 65_536, 2**31 - 1, 2**31, 2**32 - 1)
_WORDS = (
    "",
    " ",
    "rgb8\n",
    "RGB8",
    "h264",
    "16UC1",
    "32FC1",
    "64FC4",
    "8UC2",
    "bayer_rggb12",
    "rgb8" * 9999,
    "é\u202e",
)
_NUMBERS = (0.0, -1.0, 1e-300, 1e300, np.nan, np.inf, -np.inf)
_FORMATS = ("", "jpeg", "png", "rgb8; jpeg compressed bgr8", "16UC1; compressedDepth png", "\x1b[2J\n", "h264" * 9999)
_SUFFIXES = (".jpg", ".png", ".bmp", ".webp", ".ppm", ".tiff")


def _size(rng: np.random.Generator, near: int) -> int:
    """A number that fits into 32 bits, often one beside what it should be."""
    return int(rng.choice(_SIZES)) if rng.random() < 0.5 else max(0, near + int(rng.integers(-3, 4)))


def _resized(field: str) -> Change:
    def change(message: Any, rng: np.random.Generator) -> None:
        setattr(message, field, _size(rng, int(getattr(message, field))))

    return change


def _worded(field: str, words: Sequence[str]) -> Change:
    def change(message: Any, rng: np.random.Generator) -> None:
        setattr(message, field, words[int(rng.integers(len(words)))])

    return change


def _shortened(message: Any, rng: np.random.Generator) -> None:
    message.data = message.data[: int(rng.integers(len(message.data) + 1))]


def _lengthened(message: Any, rng: np.random.Generator) -> None:
    message.data = bytes(message.data) + rng.bytes(int(rng.integers(64)))


def _spoiled(message: Any, rng: np.random.Generator) -> None:
    """Some bytes are others, mostly of the beginning, where a file has its header."""
    data = np.frombuffer(bytes(message.data), dtype=np.uint8).copy()
    if len(data):
        places = rng.integers(min(len(data), 64) if rng.random() < 0.7 else len(data), size=int(rng.integers(1, 9)))
        data[places] = rng.integers(256, size=len(places))
    message.data = data.tobytes()


def _endianness(message: Any, rng: np.random.Generator) -> None:
    message.is_bigendian = not message.is_bigendian


def _stamp(message: Any, rng: np.random.Generator) -> None:
    message.header.stamp.sec = int(rng.choice([0, -1, 1, 2**31 - 1, -(2**31)]))
    message.header.stamp.nanosec = int(rng.choice([0, 999_999_999, 2**32 - 1]))


def _frame_id(message: Any, rng: np.random.Generator) -> None:
    message.header.frame_id = str(rng.choice(["", "/", "a b", "\x1b[2J\n", "x" * 10_000]))


def _fields(message: PointCloud2, rng: np.random.Generator) -> None:
    """One field is at another place, of another kind, another count, another name, twice, or gone."""
    number = int(rng.integers(len(message.fields)))
    field = message.fields[number] = copy.deepcopy(message.fields[number])
    what = rng.integers(6)
    if what == 0:
        field.offset = _size(rng, field.offset)
    elif what == 1:
        field.datatype = int(rng.integers(256))
    elif what == 2:
        field.count = _size(rng, field.count)
    elif what == 3:
        field.name = str(rng.choice(["x", "y", "z", "", "rgb", "X", "\n"]))
    elif what == 4:
        message.fields.append(PointField(name=field.name, offset=0, datatype=7, count=1))
    else:
        del message.fields[number]


def _points(message: PointCloud2, rng: np.random.Generator) -> None:
    """Coordinates that no sensor measures."""
    values = np.frombuffer(bytes(message.data), dtype="<f4").copy()
    places = rng.integers(len(values), size=len(values) // int(rng.integers(1, 9)))
    values[places] = rng.choice(np.array([0, -1, 1e-45, 3e38, -3e38, np.nan, np.inf, -np.inf], "f4"), len(places))
    message.data = values.tobytes()


def _calibration(message: CameraInfo, rng: np.random.Generator) -> None:
    field = str(rng.choice(["k", "p"]))
    matrix = np.array(getattr(message, field))
    matrix[rng.integers(len(matrix), size=3)] = rng.choice(_NUMBERS, 3)
    setattr(message, field, matrix.tolist())


def _roi(message: CameraInfo, rng: np.random.Generator) -> None:
    field = str(rng.choice(["x_offset", "y_offset", "width", "height"]))
    setattr(message.roi, field, _size(rng, 64))


_HEADER: tuple[Change, ...] = (_stamp, _frame_id)
_ENCODINGS = (*_WORDS, *ENCODINGS)
CHANGES: dict[type, tuple[Change, ...]] = {
    Image: (
        *(_resized(field) for field in ("width", "height", "step")),
        *(_worded("encoding", _ENCODINGS), _shortened, _lengthened, _endianness, *_HEADER),
    ),
    CompressedImage: (_spoiled, _spoiled, _shortened, _lengthened, _worded("format", _FORMATS), *_HEADER),
    PointCloud2: (
        *(_resized(field) for field in ("width", "height", "point_step", "row_step")),
        *(_fields, _fields, _points, _shortened, _lengthened, _endianness, *_HEADER),
    ),
    CameraInfo: (
        *(_resized(field) for field in ("width", "height", "binning_x", "binning_y")),
        *(_calibration, _roi, *_HEADER),
    ),
}
"""What can be changed about a message of each kind."""


def spoilt(message: Any, rng: np.random.Generator) -> Any:
    """A copy of a good message with one to three changes."""
    made = copy.deepcopy(message)
    changes = CHANGES[type(message)]
    for _ in range(int(rng.integers(1, 4))):
        try:
            changes[int(rng.integers(len(changes)))](made, rng)
        except (ValueError, IndexError, AssertionError):
            continue  # what was changed before leaves nothing to change, or the message's own checks refuse it
    return made


def compressed(rgb: UInt8) -> list[CompressedImage]:
    """Good ones, in each of the formats that are decoded."""
    files = [(suffix[1:], cv2.imencode(suffix, rgb[..., ::-1])[1]) for suffix in _SUFFIXES]
    return [CompressedImage(format=suffix, data=data.tobytes()) for suffix, data in files]
