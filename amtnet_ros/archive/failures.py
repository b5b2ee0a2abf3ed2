"""What could not be read, and why: `failed.parquet`."""

from __future__ import annotations

from datetime import datetime, timezone
from typing import NamedTuple

from amtnet_ros.archive.store import FAILED, Store
from amtnet_ros.libraries import library

Identity = tuple[str, str, int | None]
"""file, topic and episode of a recording."""


class Failure(NamedTuple):
    """file, topic, episode: see `Recording`. reason: a line. kept: whether what was found before is in the archive."""

    file: str
    topic: str
    episode: int | None
    reason: str
    kept: bool


def read_failures(store: Store) -> list[Failure]:
    """Those of earlier runs. Raises UserError where the file is broken."""
    if not store.has(FAILED):
        return []
    rows = store.read_table(FAILED).select(Failure._fields).to_pylist()
    return [Failure(**row) for row in rows]


def write_failures(store: Store, new: list[Failure], looked_at: set[str], watched: set[Identity]) -> None:
    """Add to those of earlier runs, except of what was tried again.

    looked_at: files that were opened; watched: recordings whose pictures were read. A recording of which something is
    kept is only opened, and stays in the list.
    """
    old = [f for f in read_failures(store) if (f[:3] not in watched if f.kept else f.file not in looked_at)]
    if not old and not new and not store.has(FAILED):
        return
    arrow = library("pyarrow", "the archive")
    rows = [failure._asdict() | {"time": datetime.now(timezone.utc)} for failure in old + new]
    fields = {"file": arrow.string(), "topic": arrow.string(), "episode": arrow.int32(), "reason": arrow.string()}
    kinds = fields | {"kept": arrow.bool_(), "time": arrow.timestamp("us", "UTC")}
    store.write_table(arrow.Table.from_pylist(rows, arrow.schema(list(kinds.items()))), FAILED)
