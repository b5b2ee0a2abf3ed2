"""Does an archive that watched fewer pictures, or fewer pairs of them, say the same?"""

from __future__ import annotations

from pathlib import Path

import numpy as np

from amtnet_ros.archive.store import TUBES, Store, connect, literal
from amtnet_ros.archive.tables import read_tubes
from amtnet_ros.archive.tube import ArchivedTube
from amtnet_ros.boxes import iou
from amtnet_ros.contracts import OTHER, Bool, Float32

SURE = 0.3
"""A label counts as said in a second from this score on."""
SAME = 0.5
"""IoU from which on two boxes are of one person."""
_SAID = """
    SELECT DISTINCT key, second, label FROM read_parquet({file})
    WHERE label NOT IN ('', '{other}') AND score >= {least}
"""


def compare(full: Path, other: Path) -> dict[str, float]:
    """What share of what the full archive says the other one says too, and the reverse; the same of boxes.

    What is said: that somebody in a recording does something in a second. `within half`: also where the other archive's
    score is half as high. Boxes: those of one archive in whose place the other has one, in the same picture or between
    two that it watched; and the mean IoU of those of the full one that are found.
    """
    with connect(str(full)) as database:

        def said(place: Path, least: float) -> str:
            return _SAID.format(file=literal(str(place / "index.parquet")), other=OTHER, least=least)

        def share(of: str, among: str) -> float:
            rows = database.execute(
                f"SELECT count(*), count(*) FILTER (WHERE (key, second, label) IN ({among})) FROM ({of})"
            )
            total, found = rows.fetchone()
            return round(found / total, 4) if total else 1.0

        kept = {
            "seconds_found": share(said(full, SURE), said(other, SURE)),
            "seconds_found_within_half": share(said(full, SURE), said(other, SURE / 2)),
            "seconds_that_the_full_one_has": share(said(other, SURE), said(full, SURE)),
        }
    overlaps, back = _best_overlaps(full, other), _best_overlaps(other, full)
    found = overlaps >= SAME
    return kept | {
        "boxes_found": _mean(found),
        "iou_of_boxes_found": _mean(overlaps[found]),
        "boxes_that_the_full_one_has": _mean(back >= SAME),
    }


def _mean(values: Float32 | Bool) -> float:
    """1 where there are none: nothing is missing."""
    return round(float(values.mean()), 4) if len(values) else 1.0


def _best_overlaps(of: Path, among: Path) -> Float32:
    """(N,) of each box of one archive the IoU with the best box of the other in that picture; 0 where there is none."""
    one, other = Store(str(of)), Store(str(among))
    best = [np.zeros(0, np.float32)]
    for key in one.names(TUBES):
        candidates = [tube for _, tube in read_tubes(other, key)]
        for _, tube in read_tubes(one, key):
            there = [_overlaps(tube, each) for each in candidates if each.session == tube.session]
            best.append(np.max([np.zeros(len(tube.stamps), np.float32), *there], axis=0))
    return np.concatenate(best)


def _overlaps(tube: ArchivedTube, other: ArchivedTube) -> Float32:
    """(K,) of each box of a tube the IoU with where the other tube is then."""
    boxes = np.stack([np.interp(tube.stamps, other.stamps, side) for side in other.boxes.T])
    lives = (tube.stamps >= other.stamps[0]) & (tube.stamps <= other.stamps[-1])
    return np.where(lives, iou(tube.boxes.T, boxes), 0).astype(np.float32)
