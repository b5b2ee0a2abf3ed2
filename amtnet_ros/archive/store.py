"""The folder of an archive, here or behind a URL: files that appear whole or not at all.

- `tubes/KEY.parquet`: what was found in one recording; that the file is there says that the recording is done
- `pieces/NAME.parquet`: what was found in a piece of a long recording, until the recording is whole
- `index.parquet`: made of `tubes/`, for searches; `failed.parquet`: what could not be read, and why
- `archive.json`: with which model, and how, pictures are watched
"""

from __future__ import annotations

import io
import json
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from amtnet_ros.archive.places import absolute, filesystem, is_remote, one_line, opened, read_json_at, within
from amtnet_ros.errors import UserError
from amtnet_ros.files import WholeFile
from amtnet_ros.libraries import library

TUBES, PIECES = "tubes", "pieces"
INDEX, FAILED, ABOUT = "index.parquet", "failed.parquet", "archive.json"
PARQUET = ".parquet"


class Store:
    """Reads and writes an archive. place: its folder, a path or URL."""

    def __init__(self, place: str) -> None:
        self.place = absolute(place)

    def where(self, *parts: str) -> str:
        """The place of something in it."""
        return within(self.place, "/".join(parts))

    def names(self, folder: str) -> list[str]:
        """What `folder` holds, without `.parquet`; ascending."""
        on, path = filesystem(self.where(folder))
        on.invalidate_cache()
        files = on.ls(path, detail=False) if on.exists(path) else []
        names = (file.rstrip("/").rsplit("/", 1)[-1] for file in files)
        return sorted(name.removesuffix(PARQUET) for name in names if name.endswith(PARQUET))

    def write(self, write: Callable[[Path], None], *parts: str) -> None:
        """Have a local file written, and put it in its place whole. Raises UserError where that cannot be."""
        if not is_remote(self.place):
            with WholeFile(Path(self.where(*parts)), parents=True, durable=True) as temporary:
                write(temporary)
            return
        on, path = filesystem(self.where(*parts))
        with tempfile.TemporaryDirectory(prefix="amtnet_") as folder:
            file = Path(folder) / parts[-1]
            try:
                write(file)
                on.put_file(str(file), path)
            except Exception as error:  # every cloud has its own
                raise UserError(f"{self.where(*parts)}: cannot be written ({one_line(error)})") from error

    def write_table(self, table: Any, *parts: str) -> None:
        """Write an Arrow table."""
        parquet = library("pyarrow.parquet", "the archive")
        self.write(lambda path: parquet.write_table(table, path, compression="zstd"), *parts)

    def read_table(self, *parts: str) -> Any:
        """Read an Arrow table. Raises UserError where it cannot be read."""
        parquet = library("pyarrow.parquet", "the archive")
        try:
            with opened(self.where(*parts)) as file:
                return parquet.read_table(io.BytesIO(file.read()))
        except Exception as error:  # Arrow's and the clouds' errors have no base in common
            raise UserError(f"{self.where(*parts)}: cannot be read as Parquet ({one_line(error)})") from error

    def has(self, *parts: str) -> bool:
        """Whether it is there."""
        on, path = filesystem(self.where(*parts))
        return bool(on.exists(path))

    def remove(self, *parts: str) -> None:
        """It is not needed any more."""
        on, path = filesystem(self.where(*parts))
        on.rm_file(path)

    def read_about(self) -> dict[str, Any] | None:
        """`archive.json`; None where there is none yet. Raises UserError where it is broken."""
        if not self.has(ABOUT):
            return None
        about: dict[str, Any] = read_json_at(self.where(ABOUT))
        return about

    def write_about(self, about: dict[str, Any]) -> None:
        """Write `archive.json`."""

        def write(path: Path) -> None:
            path.write_text(json.dumps(about, indent=1), encoding="utf-8")

        self.write(write, ABOUT)


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
