"""Ground truth by the name a user types."""

from __future__ import annotations

from pathlib import Path

from amtnet_ros.data.annotations import Dataset
from amtnet_ros.errors import UserError

SOURCES = "jhmdb21:SPLIT (1, 2 or 3), ucf101_24, or a JSON file of your own actions"


def read_dataset(source: str, data_root: Path) -> Dataset:
    """Read `jhmdb21:SPLIT`, `ucf101_24` (its one split), or a file in the layout of `data.custom`.

    data_root: folder that holds the folders `jhmdb21` and `ucf101_24`; files do not need it.
    Raises UserError if the source is none of these or cannot be read.
    """
    name, _, split = source.partition(":")
    if name == "jhmdb21":
        if split not in ("1", "2", "3"):
            raise UserError(f"{source}: name the split of J-HMDB-21: --split 1, 2 or 3, or jhmdb21:1 as a source")
        from amtnet_ros.data.jhmdb21 import read_jhmdb21

        return read_jhmdb21(_folder(data_root, name), int(split))
    if name == "ucf101_24":
        if split not in ("", "1"):
            raise UserError(f"{source}: UCF-101-24 is annotated for split 1 only")
        from amtnet_ros.data.ucf101_24 import read_ucf101_24

        return read_ucf101_24(_folder(data_root, name))
    if source.endswith(".json"):
        from amtnet_ros.data.custom import read_custom

        return read_custom(Path(source))
    raise UserError(f"{source}: unknown ground truth; expected {SOURCES}")


def _folder(data_root: Path, name: str) -> Path:
    if not (data_root / name).is_dir():
        raise UserError(f"{data_root / name}: no such folder; --data-root (AMTNET_DATA) should be the folder above it")
    return data_root / name
