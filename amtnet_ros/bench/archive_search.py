"""How long a search takes in a large archive, which is made up."""

from __future__ import annotations

import json
import time
from pathlib import Path
from typing import Any

import numpy as np

from amtnet_ros.actors.names import kinetics_names
from amtnet_ros.archive.query import Wanted
from amtnet_ros.archive.search import Archive
from amtnet_ros.archive.store import connect, literal

TUBES_A_RECORDING, SECONDS, LABELS_A_SECOND = 1000, 6, 8
REPEATS = 5
SEARCHED = ("waving hand", "yoga", "clapping", "hi: waving hand, shaking hands", "zumba")


def search_times(place: Path, tubes: int, seed: int) -> dict[str, Any]:
    """Make up an archive of so many tubes of six seconds, and search it.

    Returns the rows of its index, their size, and the median and the longest of the seconds that searches took, the
    first of each left out; processor seconds are those of all cores, which other work does not lengthen.
    """
    rows = _make_up(place, tubes, seed)
    archive = Archive(str(place))
    took: list[float] = []
    first: list[float] = []
    processor: list[float] = []
    for action in SEARCHED:
        for repeat in range(REPEATS):
            begin, used = time.perf_counter(), time.process_time()
            found = len(archive.find(action, Wanted(score=0.9, size=0.2)))
            (took if repeat else first).append(time.perf_counter() - begin)
            processor.append(time.process_time() - used)
            if found == 0:
                raise RuntimeError(f"{action}: nothing was found among {rows} rows")
    return {
        "tubes": tubes,
        "index_rows": rows,
        "index_megabytes": round((place / "index.parquet").stat().st_size / 1e6, 1),
        "searches": len(took),
        "seconds_median": round(float(np.median(took)), 3),
        "seconds_longest": round(max(took), 3),
        "processor_seconds_median": round(float(np.median(processor)), 3),
        "seconds_longest_of_first": round(max(first), 3),
    }


def _make_up(place: Path, tubes: int, seed: int) -> int:
    """Write the archive; returns how many rows its index has. Sorted from the start, as the real one is."""
    (place / "tubes").mkdir(parents=True)
    (place / "archive.json").write_text(json.dumps({"format": 1, "actions": ["wave"]}))
    recordings = max(1, tubes // TUBES_A_RECORDING)
    names = sorted(kinetics_names())
    per_label = tubes * SECONDS * LABELS_A_SECOND // len(names)
    keys = [f"{number:032x}" for number in range(recordings)]
    with connect(str(place)) as database:
        for key in keys:
            database.execute(
                f"COPY (SELECT {literal(key)} AS key, {literal(key)} || '.mp4' AS file, '' AS dataset, '' AS topic,"
                ' NULL::INTEGER AS episode, 0 AS session, range::INTEGER + 1 AS tube, 0 AS "begin",'
                ' 3600000000000 AS "end", NULL::TIMESTAMPTZ AS time, 0 AS "offset", \'video\' AS kind,'
                f" 0 AS file_begin FROM range({TUBES_A_RECORDING})) TO {literal(str(place / 'tubes' / key))}"
                " (FORMAT parquet)"
            )
            (place / "tubes" / key).rename(place / "tubes" / f"{key}.parquet")
        database.execute("CREATE TABLE names AS SELECT unnest(?) AS label, generate_subscripts(?, 1) AS n", [names] * 2)
        known = f"SELECT '' AS label, NULL AS second, NULL AS score, unnest({keys!r}) AS key, NULL AS tube,"
        row = f"hash(n * {per_label} + range + {seed})"
        database.execute(
            f"COPY ({known} NULL AS people, NULL AS size, NULL AS clock UNION ALL BY NAME"
            f" SELECT label, ({row} % 3000)::BIGINT AS second, ({row} >> 20) % 1000 / 1000.0::FLOAT AS score,"
            f" printf('%032x', ({row} >> 8) % {recordings}) AS key,"
            f" (({row} >> 32) % {TUBES_A_RECORDING} + 1)::INTEGER AS tube, 1 AS people,"
            f" (({row} >> 40) % 100 / 100.0)::FLOAT AS size, NULL::BIGINT AS clock"
            f" FROM names, range({per_label}))"
            f" TO {literal(str(place / 'index.parquet'))} (FORMAT parquet, COMPRESSION zstd, ROW_GROUP_SIZE 65536)"
        )
    return per_label * len(names)
