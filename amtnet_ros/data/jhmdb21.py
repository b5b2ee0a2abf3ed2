"""J-HMDB-21 (Jhuang et al., ICCV 2013): 928 clips, 21 actions, one annotated actor a clip, three splits.

Two layouts are read: the pack (re-encoded clips, one file of annotations) and the original downloads (AVI files, puppet
masks, text files of the splits).
"""

from __future__ import annotations

from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np
from rich.console import Console
from rich.progress import track

from amtnet_ros.contracts import Float32, UInt8
from amtnet_ros.data.annotations import ActionInstance, AnnotatedVideo, Dataset
from amtnet_ros.data.groups import jhmdb_group
from amtnet_ros.errors import UserError
from amtnet_ros.files import read_json

N_SPLITS = 3
SIZE = (320, 240)
"""(width, height) of every clip, in pixels."""


def read_jhmdb21(root: Path, split: int) -> Dataset:
    """Read one split of J-HMDB-21.

    root: the folder that holds `jhmdb21`, or that folder itself. It holds either the pack (`annotations.json.gz` and
        `videos/CLASS/CLIP.mp4`) or the original downloads unpacked (`puppet_mask`, `splits`, and `ReCompress_Videos`
        with the AVI files or `Rename_Images` with a folder of images for each clip).
    split: 1, 2 or 3.
    A clip has as many frames as it has boxes (pack) or masks (original); what the header of an AVI file says is not
    used. Raises UserError where a file is missing or is not what it should be.
    """
    if split not in range(1, N_SPLITS + 1):
        raise UserError(f"J-HMDB-21 has the splits 1, 2 and 3, not {split}")
    folder = _folder(root)
    if (folder / "puppet_mask").is_dir() and not (folder / "annotations.json.gz").exists():
        return _read_original(folder, split)
    return _read_pack(folder, split)


def read_masks(root: Path, clip: str) -> UInt8:
    """The actor's mask in every frame of a clip: (n_frames, 240, 320) uint8, 0 or 1; root as for `read_jhmdb21`.

    Raises UserError if there is none, or the file is damaged.
    """
    folder = _folder(root)
    if (folder / "puppet_mask").is_dir():
        return _read_puppet(_puppet_file(folder, clip))
    file = folder / "masks.npz"
    masks = _open_masks(file)
    if clip not in masks:
        raise UserError(f"{file}: no masks of clip '{clip}'")
    bits = np.bitwise_xor.accumulate(masks[clip], axis=0)
    return np.unpackbits(bits, axis=1).reshape(-1, SIZE[1], SIZE[0])


def boxes_of_masks(masks: UInt8) -> Float32:
    """The tight box around each mask: (T, h, w) → (T, 4), exclusive maximum. Raises ValueError for an empty mask."""
    columns, rows = np.asarray(masks.any(axis=1)), np.asarray(masks.any(axis=2))
    if not columns.any(axis=1).all():
        raise ValueError(f"the mask of frame {int(np.argmin(columns.any(axis=1)))} is empty")
    x1, y1 = columns.argmax(axis=1), rows.argmax(axis=1)
    x2 = columns.shape[1] - columns[:, ::-1].argmax(axis=1)
    y2 = rows.shape[1] - rows[:, ::-1].argmax(axis=1)
    return np.stack([x1, y1, x2, y2], axis=1).astype(np.float32)


def _folder(root: Path) -> Path:
    return root / "jhmdb21" if (root / "jhmdb21").is_dir() else root


def _read_pack(folder: Path, split: int) -> Dataset:
    path = folder / "annotations.json.gz"
    content = _read_json(path)
    try:
        classes = tuple(str(name) for name in content["classes"])
        videos = {name: _read_clip(folder, name, clip, len(classes)) for name, clip in content["clips"].items()}
        roles = {name: clip["splits"][split - 1] for name, clip in content["clips"].items()}
    except (AttributeError, KeyError, TypeError, ValueError, IndexError) as error:
        raise UserError(f"{path}: not the J-HMDB-21 annotations this package reads ({error!r})") from error
    return _dataset(classes, videos, roles)


def _read_json(path: Path) -> Any:
    if not path.is_file():
        raise UserError(f"J-HMDB-21 not found: {path} is missing; give its folder by --data-root or AMTNET_DATA")
    return read_json(path, most=1 << 30)


def _read_clip(folder: Path, name: str, clip: dict[str, Any], n_classes: int) -> AnnotatedVideo:
    boxes = np.asarray(clip["boxes"], dtype=np.float32).reshape(-1, 4)
    if len(boxes) != clip["n_frames"]:
        raise ValueError(f"clip {name} has {clip['n_frames']} frames and {len(boxes)} boxes")
    if not 0 <= clip["label"] < n_classes:
        raise ValueError(f"clip {name} has label {clip['label']}")
    path = folder / "videos" / str(clip["class"]) / f"{name}.mp4"
    return _clip(name, int(clip["label"]), boxes, path, (int(clip["width"]), int(clip["height"])))


def _clip(name: str, label: int, boxes: Float32, path: Path, size: tuple[int, int]) -> AnnotatedVideo:
    instance = ActionInstance(label=label, frames=np.arange(len(boxes), dtype=np.int64), boxes=boxes)
    return AnnotatedVideo(name=name, size=size, n_frames=len(boxes), instances=(instance,), path=path)


def _dataset(classes: tuple[str, ...], videos: dict[str, AnnotatedVideo], roles: dict[str, str]) -> Dataset:
    return Dataset(
        name="jhmdb21",
        classes=classes,
        videos=videos,
        train=tuple(name for name, role in roles.items() if role == "train"),
        test=tuple(name for name, role in roles.items() if role == "test"),
        groups={name: jhmdb_group(name, classes[video.instances[0].label]) for name, video in videos.items()},
    )


@lru_cache(maxsize=1)
def _open_masks(file: Path) -> Any:
    """The archive, open; its directory of 928 names is read once a process."""
    try:
        return np.load(file, allow_pickle=False)
    except (OSError, ValueError) as error:
        raise UserError(f"{file}: cannot be read ({error})") from error


def _read_original(folder: Path, split: int) -> Dataset:
    actions = sorted(path.name for path in (folder / "puppet_mask").iterdir() if path.is_dir())
    roles: dict[str, str] = {}
    listed: list[tuple[str, int, str]] = []
    for label, action in enumerate(actions):
        for clip, role in _read_split(folder / "splits" / f"{action}_test_split{split}.txt"):
            roles[clip] = role
            listed.append((clip, label, action))
    videos: dict[str, AnnotatedVideo] = {}
    for clip, label, action in track(listed, "reading masks", console=Console(stderr=True), transient=True):
        file = folder / "puppet_mask" / action / clip / "puppet_mask.mat"
        try:
            boxes = boxes_of_masks(_read_puppet(file))
        except ValueError as error:
            raise UserError(f"{file}: {error}") from error
        videos[clip] = _clip(clip, label, boxes, _original_video(folder, action, clip), SIZE)
    return _dataset(tuple(actions), videos, roles)


def _read_split(file: Path) -> list[tuple[str, str]]:
    """Lines `CLIP.avi 1` (training) or `CLIP.avi 2` (test)."""
    try:
        lines = file.read_text(encoding="utf-8").splitlines()
    except OSError as error:
        raise UserError(f"{file}: cannot be read ({error.strerror}); unpack splits.zip beside puppet_mask") from error
    clips = []
    for number, line in enumerate(lines, start=1):
        parts = line.split()
        if not parts:
            continue
        if len(parts) != 2 or parts[1] not in ("1", "2"):
            raise UserError(f"{file}, line {number}: expected `CLIP.avi 1` or `CLIP.avi 2`, found {line!r}")
        clips.append((parts[0].removesuffix(".avi"), "train" if parts[1] == "1" else "test"))
    return clips


def _original_video(folder: Path, action: str, clip: str) -> Path:
    images = folder / "Rename_Images" / action / clip
    video = folder / "ReCompress_Videos" / action / f"{clip}.avi"
    return images if images.is_dir() and not video.exists() else video


def _puppet_file(folder: Path, clip: str) -> Path:
    for action in (folder / "puppet_mask").iterdir():
        if (file := action / clip / "puppet_mask.mat").is_file():
            return file
    raise UserError(f"{folder / 'puppet_mask'}: no masks of clip '{clip}'")


def _read_puppet(file: Path) -> UInt8:
    """`part_mask` (h, w, T) of a puppet mask file → (T, h, w) uint8, 0 or 1."""
    from scipy.io import loadmat

    try:
        masks = loadmat(file)["part_mask"]
    except KeyError as error:
        raise UserError(f"{file}: holds no 'part_mask'") from error
    except Exception as error:  # a damaged file can raise anything
        raise UserError(f"{file}: not a readable puppet mask ({error})") from error
    if masks.ndim == 2:  # MATLAB drops the last axis of a single frame
        masks = masks[..., None]
    return np.ascontiguousarray(masks.transpose(2, 0, 1) > 0).view(np.uint8)
