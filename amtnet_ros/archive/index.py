"""`index.parquet`: what was said in every second of every tube, sorted by what it was.

A search for a label reads the few blocks of it that hold the label. It is made of `tubes/` and can be made again; what
is not in it yet is searched in `tubes/`.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

from amtnet_ros.archive.store import INDEX, TUBES, Store, connect, literal

FLAT = """
    SELECT said.label AS label, second, said.score AS score, key, tube, people, size,
           start + second * 1000000000 AS clock
    FROM (
        SELECT *, said.second AS second FROM (
            SELECT key, tube, epoch_ns(time) - "begin" AS start, unnest(list_concat(actions, names)) AS said
            FROM read_parquet({files})
        )
    )
    JOIN (SELECT key, tube, unnest(seconds, recursive := true) FROM read_parquet({files})) USING (key, tube, second)
"""
"""A row for each label in each second of a tube. files: Parquet files of tubes. clock: ns since 1970, or NULL."""


def write_index(store: Store) -> None:
    """Bring the index up to date, unless it is. Raises UserError where it cannot be written."""
    keys = store.names(TUBES)
    files = f"{literal(store.where(TUBES))} || '/*.parquet'"
    with connect(store.place) as database:
        if not keys or set(keys) == indexed(store, database):
            return

        def write(path: Path) -> None:
            # The keys stand in rows of their own, without a label: recordings where nobody was seen are known too.
            database.execute(
                f"COPY ((SELECT * FROM ({FLAT.format(files=files)})) UNION ALL BY NAME"
                f" (SELECT unnest({keys!r}) AS key, '' AS label) ORDER BY label, key, tube, second)"
                f" TO {literal(str(path))} (FORMAT parquet, COMPRESSION zstd, ROW_GROUP_SIZE 65536)"
            )

        store.write(write, INDEX)


def indexed(store: Store, database: Any) -> set[str]:
    """The keys of the recordings that the index knows."""
    if not store.has(INDEX):
        return set()
    rows = database.execute(f"SELECT key FROM read_parquet({literal(store.where(INDEX))}) WHERE label = ''")
    return {key for (key,) in rows.fetchall()}


def search_space(store: Store, database: Any) -> str:
    """SQL of all rows, those of the index and those of newer files; "" where there is none. database: a connection."""
    known = indexed(store, database)
    newer = [store.where(TUBES, f"{key}.parquet") for key in store.names(TUBES) if key not in known]
    parts = [f"SELECT * FROM read_parquet({literal(store.where(INDEX))})"] if known else []
    if newer:
        parts.append(FLAT.format(files="[" + ", ".join(map(literal, newer)) + "]"))
    return " UNION ALL BY NAME ".join(f"({part})" for part in parts)
