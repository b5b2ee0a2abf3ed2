"""UCF-101-24: annotations in the corrected release of Singh et al., as JSON or as the published pickle.

Boxes come as x, y, w, h and become x, y, x + w, y + h. A tube covers the frames sf to ef - 1, 0-based; image files are
numbered from 1, so frame f is image f + 1.
"""

from __future__ import annotations

import importlib
import io
import pickle
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from amtnet_ros.data.annotations import ActionInstance, AnnotatedVideo, Dataset
from amtnet_ros.data.groups import ucf101_group
from amtnet_ros.errors import UserError
from amtnet_ros.files import read_json

SIZE = (320, 240)
"""(width, height) of every video, in pixels."""

ANNOTATION_FILES = (
    "annotations.json.gz",
    "annotations.json",
    "pyannot_with_class_names.pkl",
    "pyannot.pkl",
)
"""Looked for in this order, in the data folder and in its `splitfiles`."""


def read_ucf101_24(root: Path) -> Dataset:
    """Read split 1 of UCF-101-24.

    root: folder with an annotation file (see ANNOTATION_FILES) and `testlist01.txt`, or with both in `splitfiles` as
        the authors' copy has them. Frames are expected in `rgb-images/CLASS/VIDEO/00001.jpg` …; without that folder the
        videos have no path, but for those of `videos/CLASS/VIDEO.mp4`, whose frame f is image f + 1 too.
    The boxes are converted in int64 (the published arrays are uint8, in which x + w overflows). Videos of the training
    list whose annotations were withdrawn are left out.
    Raises UserError naming the file and the entry that is missing or wrong.
    """
    folder = next((f for f in (root, root / "splitfiles") if _annotation_file(f) is not None), None)
    if folder is None:
        raise UserError(f"{root}: no UCF-101-24 annotations here; expected one of {', '.join(ANNOTATION_FILES)}")
    file = _annotation_file(folder)
    assert file is not None
    content = _read_pickle(file) if file.suffix == ".pkl" else _read_json(file)
    database = content.get("db", content)
    if not isinstance(database, Mapping) or not database:
        raise UserError(f"{file}: no videos in it; expected the content of pyannot_with_class_names.pkl or pyannot.pkl")
    classes = tuple(str(name) for name in content["classes"]) if "classes" in content else _classes(file, database)
    videos = {
        str(name): _video(file, str(name), entry, len(classes), _path(root, str(name)))
        for name, entry in database.items()
    }
    test = _names(folder / "testlist01.txt")
    missing = next((name for name in test if name not in videos), None)
    if missing is not None:
        raise UserError(f"{folder / 'testlist01.txt'}: video {missing!r} is not in {file}")
    tested = set(test)
    listed = content["trainvideos"] if "trainvideos" in content else [name for name in videos if name not in tested]
    train = tuple(str(name) for name in listed if str(name) in videos)
    groups = {name: ucf101_group(name) for name in videos}
    return Dataset(name="ucf101_24", classes=classes, videos=videos, train=train, test=test, groups=groups)


def _path(root: Path, name: str) -> Path | None:
    """Where a video's frames are, as a folder of images or as a file."""
    images, file = root / "rgb-images", root / "videos" / f"{name}.mp4"
    return images / name if images.is_dir() else file if file.is_file() else None


def _annotation_file(folder: Path) -> Path | None:
    return next((folder / name for name in ANNOTATION_FILES if (folder / name).is_file()), None)


def _names(file: Path) -> tuple[str, ...]:
    try:
        lines = file.read_text().split()
    except OSError as error:
        raise UserError(f"{file}: cannot read the list of test videos: {error.strerror}") from error
    return tuple(line.removesuffix(".avi") for line in lines)


def _classes(file: Path, database: Mapping[Any, Any]) -> tuple[str, ...]:
    """Class names of pyannot.pkl, which has none: the first part of the videos' names, at the videos' label."""
    names: dict[int, str] = {}
    for video, entry in database.items():
        action, _, rest = str(video).partition("/")
        if not rest or names.setdefault(int(entry["label"]), action) != action:
            raise UserError(f"{file}: video {str(video)!r}: its name does not begin with the class of its label")
    if sorted(names) != list(range(len(names))):
        raise UserError(f"{file}: labels are {sorted(names)}, expected 0 to {len(names) - 1}")
    return tuple(names[label] for label in range(len(names)))


def _video(file: Path, name: str, entry: Any, n_classes: int, path: Path | None) -> AnnotatedVideo:
    try:
        n_frames = int(entry["numf"])
        instances = []
        for number, tube in enumerate(entry["annotations"]):
            where = f"{file}: video {name!r}, annotation {number}"
            first, end = int(tube["sf"]), int(tube["ef"])
            boxes = np.asarray(tube["boxes"], dtype=np.int64).reshape(-1, 4)
            if not 0 <= first < end <= n_frames:
                raise UserError(f"{where}: frames {first} to {end} (exclusive) of a video of {n_frames}")
            if len(boxes) != end - first:
                raise UserError(f"{where}: {len(boxes)} boxes for {end - first} frames")
            if (boxes[:, 2:] <= 0).any():
                raise UserError(f"{where}: box {int(np.argmax((boxes[:, 2:] <= 0).any(axis=1)))} has no area")
            if not 0 <= int(tube["label"]) < n_classes:
                raise UserError(f"{where}: label {int(tube['label'])}, but there are {n_classes} classes")
            corners = np.concatenate([boxes[:, :2], boxes[:, :2] + boxes[:, 2:]], axis=1).astype(np.float32)
            instances.append(ActionInstance(int(tube["label"]), np.arange(first, end), corners))
    except (KeyError, IndexError, TypeError, ValueError) as error:
        raise UserError(f"{file}: video {name!r}: not a UCF-101-24 entry ({error!r})") from error
    return AnnotatedVideo(name=name, size=SIZE, n_frames=n_frames, instances=tuple(instances), path=path)


def _read_json(file: Path) -> Mapping[str, Any]:
    content = read_json(file, most=1 << 30)
    if not isinstance(content, dict):
        raise UserError(f"{file}: expected a JSON object with classes, trainvideos and db")
    return content


# The only names the published pickles refer to. All of them build arrays and numbers, none runs code.
_ALLOWED = {("multiarray", "_reconstruct"), ("multiarray", "scalar"), ("numeric", "_frombuffer")}


class _ArrayUnpickler(pickle.Unpickler):
    """Unpickles containers, numbers, text and NumPy arrays, and refuses everything else."""

    def find_class(self, module: str, name: str) -> Any:
        """The object behind a name in the pickle, if it is on the short list."""
        if module == "numpy" and name in ("dtype", "ndarray"):
            return getattr(np, name)
        if (module, name) == ("_codecs", "encode"):
            return _latin1
        package, _, part = module.rpartition(".")
        if package in ("numpy.core", "numpy._core") and (part, name) in _ALLOWED:
            return getattr(importlib.import_module(f"{_numpy_core()}.{part}"), name)
        raise UserError(f"refers to {module}.{name}, which annotations have no use for")


def _latin1(text: str, encoding: str) -> bytes:
    """What bytes become in pickles of protocol 2 and less: text, to be encoded again."""
    return text.encode("latin-1")


def _numpy_core() -> str:
    """NumPy 2 renamed the package that old pickles refer to."""
    return "numpy._core" if int(np.__version__.split(".")[0]) >= 2 else "numpy.core"


def _read_pickle(file: Path) -> Mapping[str, Any]:
    try:
        content = _ArrayUnpickler(io.BytesIO(file.read_bytes()), encoding="latin1").load()
    except UserError as error:
        raise UserError(f"{file}: {error}; it may be harmful and was not loaded") from error
    except OSError as error:
        raise UserError(f"{file}: cannot read: {error.strerror}") from error
    except Exception as error:  # a damaged pickle can raise anything
        raise UserError(f"{file}: not a whole pickle ({type(error).__name__}: {error}); fetch it again") from error
    if not isinstance(content, dict):
        raise UserError(f"{file}: expected a dict as in pyannot.pkl, found {type(content).__name__}")
    return content
