"""Does an archive that watched fewer pictures say the same?"""

from __future__ import annotations

from pathlib import Path
from typing import Any

from amtnet_ros.archive.database import connect, literal
from amtnet_ros.contracts import OTHER

SURE = 0.3
"""A label counts as said in a second from this score on."""
_SAID = """
    SELECT DISTINCT key, second, label FROM read_parquet({file})
    WHERE label NOT IN ('', '{other}') AND score >= {least}
"""


def compare(full: Path, others: list[tuple[float, Path]]) -> list[dict[str, Any]]:
    """For each archive of fewer pictures: what share of what the full one says it says too, and the reverse.

    What is said: that somebody in a recording does something in a second. `within half`: also where the other archive's
    score is half as high.
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

        return [
            {
                "rate": rate,
                "of_all_pictures_found": share(said(full, SURE), said(place, SURE)),
                "within_half": share(said(full, SURE), said(place, SURE / 2)),
                "of_fewer_pictures_found_by_all": share(said(place, SURE), said(full, SURE)),
            }
            for rate, place in others
        ]
