"""Files and folders wherever fsspec finds them: local paths, s3://, gs:// … A place is such a path or URL, as text."""

from __future__ import annotations

import hashlib
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO, Any

from amtnet_ros.errors import UserError
from amtnet_ros.files import parse_json
from amtnet_ros.libraries import library

SAMPLES = 16
SAMPLE = 1 << 16
"""Bytes of each of the samples that a file's key is made of."""


def is_remote(place: str) -> bool:
    """Whether it is a URL."""
    return "://" in place


def absolute(place: str) -> str:
    """The same place, however the working folder changes."""
    return place.rstrip("/") if is_remote(place) else str(Path(place).expanduser().absolute())


def within(folder: str, name: str) -> str:
    """The place of what is called `name` in a folder."""
    return f"{folder.rstrip('/')}/{name}"


def name_of(place: str) -> str:
    """The last part of a place."""
    return place.rstrip("/").rsplit("/", 1)[-1]


def filesystem(place: str) -> tuple[Any, str]:
    """fsspec's file system that the place is on, and the path on it. Raises UserError where there is none."""
    fsspec = library("fsspec", "the archive")
    try:
        filesystem, path = fsspec.core.url_to_fs(place)
    except (ImportError, ValueError) as error:
        raise UserError(f"{place}: cannot be reached ({error})") from error
    return filesystem, path


@contextmanager
def reported(place: str) -> Iterator[None]:
    """What a file system raises in the block becomes a UserError about the place."""
    try:
        yield
    except UserError:
        raise
    except FileNotFoundError:
        raise UserError(f"{place}: no such file or folder") from None
    except Exception as error:  # clouds have their own; those of S3 are no OSErrors
        raise UserError(f"{place}: cannot be read ({one_line(error)})") from error


def opened(place: str) -> IO[bytes]:
    """The file, to read. Raises what its file system raises."""
    on, path = filesystem(place)
    file: IO[bytes] = on.open(path, "rb")
    return file


def read_json_at(place: str) -> Any:
    """What a JSON file holds. Raises UserError where it cannot be read, or is no JSON."""
    with reported(place), opened(place) as file:
        return parse_json(place, file.read())


def files_below(place: str) -> list[str]:
    """Every file in a folder and the folders in it, by name, as places. A file alone is itself.

    Raises UserError where there is no such thing.
    """
    on, path = filesystem(place)
    with reported(place):
        if on.isfile(path):
            return [place]
        if not on.exists(path):
            raise FileNotFoundError
        # Both ends of the road: a URL's file system leaves its protocol away, and may write the root in another way.
        root = on.info(path)["name"].rstrip("/") if not is_remote(place) else path.rstrip("/")
        return sorted(within(place, name.removeprefix(root).lstrip("/")) for name in on.find(path))


def content_key(places: list[str]) -> str:
    """32 hexadecimal digits that follow from what the files hold, wherever they lie.

    Of a large file only samples are read: its size, its ends, and as many places between as make `SAMPLES`.
    Raises UserError where one cannot be read.
    """
    digest = hashlib.blake2b(digest_size=16)
    for place in places:
        on, path = filesystem(place)
        with reported(place), on.open(path, "rb", cache_type="none") as file:
            size = int(on.size(path))
            digest.update(size.to_bytes(8, "little"))
            last = max(size - SAMPLE, 0)
            step = max(last // (SAMPLES - 1), SAMPLE)
            for start in [*range(0, last, step), last]:
                file.seek(start)
                digest.update(file.read(SAMPLE))
    return digest.hexdigest()


@contextmanager
def local_copy(place: str) -> Iterator[Path]:
    """The file or folder on this machine: itself where it is here, else a copy that is gone after the block."""
    if not is_remote(place):
        yield Path(place)
        return
    folder = Path(tempfile.mkdtemp(prefix="amtnet_"))
    try:
        on, path = filesystem(place)
        target = folder / name_of(place)
        with reported(place):
            on.get(path, str(target), recursive=True)
        yield target
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def one_line(error: BaseException) -> str:
    """What is wrong, in a line."""
    text = (getattr(error, "strerror", None) or str(error) or type(error).__name__).strip()
    line = " ".join(text.split())[:300].rstrip(".")
    return line if line[:2].isupper() else line[:1].lower() + line[1:]
