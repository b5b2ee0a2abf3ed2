"""Which clips come from one source video: they are kept back together, and some must never be learnt from."""

from __future__ import annotations

import hashlib
import math
import re
from collections import Counter
from collections.abc import Hashable, Iterable
from pathlib import Path

from amtnet_ros.errors import UserError

SEEN_IN_JHMDB = ("ucf101/PullUps/16", "ucf101/PullUps/18", "ucf101/Archery/2")
"""Groups of UCF-101 that are the same videos as clips of J-HMDB-21, whatever its split makes of those."""


def jhmdb_group(clip: str, label: str) -> str:
    """The source video of a clip of J-HMDB-21: `film_run_u_nm_np1_fr_goo_1` → `jhmdb21/film`."""
    return f"jhmdb21/{clip.rpartition(f'_{label}_')[0] or clip}"


def ucf101_group(clip: str) -> str:
    """The source video of a clip of UCF-101: `Diving/v_Diving_g01_c02` → `ucf101/Diving/1`."""
    found = re.search(r"v_(\w+)_g(\d+)_c\d+$", clip)
    return f"ucf101/{found[1]}/{int(found[2])}" if found else f"ucf101/{clip}"


def read_kept_out(root: Path) -> frozenset[str]:
    """The groups of UCF-101 that must not be learnt from: field test clips are of them, or clips of J-HMDB-21.

    root: the folder of the data sets. Raises UserError if `field/field_groups.txt` there is missing or wrong.
    """
    groups = read_field_groups(root / "field" / "field_groups.txt")
    return frozenset({*SEEN_IN_JHMDB, *(f"ucf101/{name}/{group}" for name, group in groups)})


def read_field_groups(path: Path) -> frozenset[tuple[str, int]]:
    """The classes and groups of UCF-101 that belong to test clips. Raises UserError if the list is missing or wrong."""
    try:
        lines = path.read_text(encoding="utf-8").splitlines()
        return frozenset((name, int(group)) for name, group in (line.split() for line in lines if line.strip()))
    except OSError as error:
        raise UserError(f"{path}: the list of groups not to learn from cannot be read ({error.strerror})") from error
    except ValueError as error:
        raise UserError(f"{path}: expected a class and a number of a group in each line ({error})") from error


def draw_groups(members: Iterable[tuple[Hashable, str]], share: float, seed: int) -> set[str]:
    """Groups with about this share of each class, in an order that only their names and the seed make.

    members: the class and group of each clip, or of each person.
    """
    drawn: set[str] = set()
    by_class: dict[Hashable, Counter[str]] = {}
    for of_class, group in members:
        by_class.setdefault(of_class, Counter())[group] += 1
    for groups in by_class.values():
        left = math.ceil(share * groups.total())
        for group in sorted(groups, key=lambda name: hashlib.sha256(f"{seed} {name}".encode()).hexdigest()):
            if groups[group] <= left:
                drawn.add(group)
                left -= groups[group]
    return drawn
