"""Rows of Parquet files: one row a tube, as docs/archive.md explains; and what could not be read (failed.parquet)."""

from __future__ import annotations

import json
from collections import defaultdict
from collections.abc import Sequence
from datetime import datetime, timezone
from typing import Any, NamedTuple

import numpy as np

from amtnet_ros.archive.pieces import Mark, WatchedPiece
from amtnet_ros.archive.recording import SECOND, Recording
from amtnet_ros.archive.store import FAILED, Store
from amtnet_ros.archive.tube import ArchivedTube, Said
from amtnet_ros.libraries import library

_CORNERS = ("x1", "y1", "x2", "y2")


def _arrow() -> Any:
    return library("pyarrow", "the archive")


def piece_table(piece: WatchedPiece) -> Any:
    """A piece as it is kept until its recording is whole."""
    columns = _columns(piece.tubes)
    columns["confirmed"] = _arrow().array([tube.confirmed for tube in piece.tubes], _arrow().bool_())
    marks = {"begin": piece.begin, "end": piece.end}
    return _arrow().table(columns).replace_schema_metadata({"marks": json.dumps(marks)})


def read_piece(table: Any) -> WatchedPiece:
    """What `piece_table` wrote."""
    marks = json.loads(table.schema.metadata[b"marks"])
    begin, end = (Mark(*marks[which]) if marks[which] else None for which in ("begin", "end"))
    return WatchedPiece(tuple(tubes_of(table)), begin, end)


def recording_table(tubes: Sequence[ArchivedTube], recording: Recording, card: str) -> Any:
    """All of a recording: its confirmed tubes, numbered from 1 as they begin. card: the model card's SHA-256."""
    kept = sorted((t for t in tubes if t.confirmed), key=lambda t: (t.session, int(t.stamps[0]), t.boxes[0].tolist()))
    arrow, n = _arrow(), len(kept)

    def all_alike(value: object, kind: Any) -> Any:
        return arrow.array([value] * n, kind)

    begins = np.array([tube.stamps[0] for tube in kept], np.int64)
    times = [
        None if recording.clock is None else (int(b) + t.offset + recording.clock) // 1000
        for b, t in zip(begins, kept, strict=True)
    ]
    labels = [tube.label for tube in kept]
    columns = {
        "key": all_alike(recording.key, arrow.string()),
        "file": all_alike(recording.file, arrow.string()),
        "dataset": all_alike(recording.dataset, arrow.string()),
        "topic": all_alike(recording.topic, arrow.string()),
        "episode": all_alike(recording.episode, arrow.int32()),
        "kind": all_alike(recording.kind, arrow.string()),
        "file_begin": all_alike(recording.begin, arrow.int64()),
        "tube": arrow.array(range(1, n + 1), arrow.int32()),
        "begin": arrow.array(begins),
        "end": arrow.array([tube.stamps[-1] for tube in kept], arrow.int64()),
        "time": arrow.array(times, arrow.timestamp("us", "UTC")),
        "label": arrow.array([label for label, _ in labels], arrow.string()),
        "score": arrow.array([score for _, score in labels], arrow.float32()),
        **_columns(kept),
        "seconds": arrow.array(_seconds(kept), _list_of_structs("second", people="int32", size="float32")),
        "card": all_alike(card, arrow.string()),
    }
    return arrow.table(columns)


def tubes_of(table: Any) -> list[ArchivedTube]:
    """The tubes of a table's rows."""
    confirmed = table["confirmed"].to_pylist() if "confirmed" in table.column_names else [True] * len(table)
    return [_tube(row, sure) for row, sure in zip(_rows(table), confirmed, strict=True)]


def read_tubes(store: Store, key: str) -> list[tuple[dict[str, Any], ArchivedTube]]:
    """A recording's tubes, each with its plain columns."""
    from amtnet_ros.archive.store import PARQUET, TUBES

    table = store.read_table(TUBES, key + PARQUET)
    plain = table.select([field.name for field in table.schema if field.type.num_fields == 0]).to_pylist()
    return list(zip(plain, tubes_of(table), strict=True))


def _columns(tubes: Sequence[ArchivedTube]) -> dict[str, Any]:
    """What a tube itself knows."""
    arrow = _arrow()
    floats, said = arrow.list_(arrow.float32()), _list_of_structs("second", label="string", score="float32")
    corners = {name: arrow.array([tube.boxes[:, i] for tube in tubes], floats) for i, name in enumerate(_CORNERS)}
    return {
        "session": arrow.array([tube.session for tube in tubes], arrow.int32()),
        "offset": arrow.array([tube.offset for tube in tubes], arrow.int64()),
        "width": arrow.array([tube.size[0] for tube in tubes], arrow.int32()),
        "height": arrow.array([tube.size[1] for tube in tubes], arrow.int32()),
        "stamps": arrow.array([tube.stamps for tube in tubes], arrow.list_(arrow.int64())),
        **corners,
        "box_scores": arrow.array([tube.scores for tube in tubes], floats),
        "interpolated": arrow.array([tube.interpolated for tube in tubes], arrow.list_(arrow.bool_())),
        "actions": arrow.array([[each._asdict() for each in tube.actions] for tube in tubes], said),
        "names": arrow.array([[each._asdict() for each in tube.names] for tube in tubes], said),
    }


def _tube(row: dict[str, Any], confirmed: bool) -> ArchivedTube:
    return ArchivedTube(
        session=row["session"],
        offset=row["offset"],
        size=(row["width"], row["height"]),
        confirmed=confirmed,
        stamps=np.array(row["stamps"], np.int64),
        boxes=np.array([row[name] for name in _CORNERS], np.float32).T,
        scores=np.array(row["box_scores"], np.float32),
        interpolated=np.array(row["interpolated"], np.bool_),
        actions=tuple(Said(**each) for each in row["actions"]),
        names=tuple(Said(**each) for each in row["names"]),
    )


def _rows(table: Any) -> list[dict[str, Any]]:
    names = ["session", "offset", "width", "height", "stamps", *_CORNERS, "box_scores", "interpolated"]
    rows: list[dict[str, Any]] = table.select([*names, "actions", "names"]).to_pylist()
    return rows


def _seconds(tubes: Sequence[ArchivedTube]) -> list[list[dict[str, Any]]]:
    """Of each tube in each second: how many people there are, and how much of the picture's height this one fills."""
    people: dict[tuple[int, int], int] = defaultdict(int)
    of_each = []
    for tube in tubes:
        seconds = tube.stamps // SECOND
        heights = (tube.boxes[:, 3] - tube.boxes[:, 1]) / max(tube.size[1], 1)
        means = {int(second): float(heights[seconds == second].mean()) for second in np.unique(seconds)}
        of_each.append(means)
        for second in means:
            people[tube.session, second] += 1
    return [
        [{"second": second, "people": people[tube.session, second], "size": size} for second, size in means.items()]
        for tube, means in zip(tubes, of_each, strict=True)
    ]


def _list_of_structs(first: str, **others: str) -> Any:
    arrow = _arrow()
    fields = {first: arrow.int64()} | {name: getattr(arrow, kind)() for name, kind in others.items()}
    return arrow.list_(arrow.struct(list(fields.items())))


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
