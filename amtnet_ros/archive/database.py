"""DuckDB over Parquet files that may be anywhere."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from amtnet_ros.archive.places import filesystem, is_remote, one_line
from amtnet_ros.errors import UserError
from amtnet_ros.libraries import library


@contextmanager
def connect(place: str) -> Iterator[Any]:
    """A connection that reads local files, and those of the place's file system. DuckDB's errors become UserError."""
    duckdb = library("duckdb", "searching an archive")
    with duckdb.connect() as connection:
        connection.execute("SET enable_progress_bar = false")  # it would be printed amid what is asked for
        if is_remote(place):
            connection.register_filesystem(filesystem(place)[0])
        try:
            yield connection
        except duckdb.Error as error:
            raise UserError(f"{place}: cannot be searched ({one_line(error)})") from error


def literal(text: str) -> str:
    """A text in SQL."""
    return "'" + text.replace("'", "''") + "'"
