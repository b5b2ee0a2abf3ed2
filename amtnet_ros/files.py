"""Files and folders that appear whole or not at all; JSON read; where this package keeps what it can make again."""

from __future__ import annotations

import errno
import gzip
import json
import os
import shutil
import zlib
from abc import ABC, abstractmethod
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any, TypeVar

from amtnet_ros.errors import UserError

_Output = TypeVar("_Output", bound="WholeOutput")

PARTIAL = ".part"
"""How the names of unfinished files and folders end; they begin with a dot, and lie beside the finished ones."""


class WholeFile:
    """A file that takes its name once it is complete; until then, and otherwise, an older one is untouched.

    As a context manager it gives the path to write to, keeps the file where the block ends well, else discards it, and
    reports an OSError in the block as UserError::

        with WholeFile(path) as temporary:
            temporary.write_text(content)

    Without `with`, whoever has written to `temporary` calls `keep` or `discard`.
    """

    def __init__(self, path: Path, *, parents: bool = False, durable: bool = False) -> None:
        """parents: make missing folders above it. durable: wait for the disk, so that the content outlasts a power cut.

        What is there already and is no file, as /dev/null or a pipe, is written to as it is, and stays; so does a link,
        to whose file it is written. Raises UserError if the path is a folder, or a folder above it cannot be made.
        """
        self.path, self._durable = path, durable
        self._place = Path(os.path.realpath(path))
        with reported(path):
            if path.is_dir():
                raise IsADirectoryError(errno.EISDIR, os.strerror(errno.EISDIR))
            self._takes_name = path.is_file() or not path.exists()
            if parents and self._takes_name:
                self._place.parent.mkdir(parents=True, exist_ok=True)
        self.temporary = _temporary(self._place) if self._takes_name else path

    def keep(self) -> None:
        """The file is complete: it takes its name. Raises UserError if it cannot."""
        if not self._takes_name:
            return
        with reported(self.path):
            if self._durable:
                with self.temporary.open("rb") as file:
                    os.fsync(file.fileno())
            os.replace(self.temporary, self._place)

    def discard(self) -> None:
        """Give up: nothing is left of it."""
        if self._takes_name:
            with suppress(OSError):
                self.temporary.unlink()

    def __enter__(self) -> Path:
        return self.temporary

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, _: object) -> None:
        try:
            if kind is None:
                self.keep()
        finally:
            self.discard()
        if isinstance(error, OSError):
            raise unwritable(self.path, error) from error


class WholeOutput(ABC):
    """What is written bit by bit: whole and in its place where a block ends well, and nothing of it otherwise."""

    @abstractmethod
    def close(self) -> object:
        """Finish it, and put it in its place. Raises UserError where it cannot be."""

    @abstractmethod
    def discard(self) -> None:
        """Give up: nothing is left of it."""

    def __enter__(self: _Output) -> _Output:
        return self

    def __exit__(self, kind: type[BaseException] | None, *_: object) -> None:
        if kind is not None:
            self.discard()
            return
        try:
            self.close()
        except BaseException:
            self.discard()
            raise


def check_distinct(output: Path, *others: Path | None) -> None:
    """Raises UserError where the output is one of the others, be it by another name: what is there would be lost."""
    for other in others:
        if other is not None and _is_same(output, other):
            raise UserError(f"{output}: would overwrite {other}, which is the same file; give another output")


def _is_same(one: Path, other: Path) -> bool:
    try:
        return one.samefile(other)
    except OSError:  # one of them is not there yet
        return os.path.realpath(one) == os.path.realpath(other)


def is_utf8(name: Path | str) -> bool:
    """Whether a file's name is UTF-8, as Python's is not bound to be: C++ libraries take no other, and some crash."""
    return not any("\udc80" <= letter <= "\udcff" for letter in str(name))


def write_whole(path: Path, content: str | bytes, *, parents: bool = False) -> None:
    """Write a file, text as UTF-8. parents: make missing folders above it. Raises UserError if it cannot be written."""
    with WholeFile(path, parents=parents) as temporary:
        temporary.write_bytes(content.encode() if isinstance(content, str) else content)


@contextmanager
def whole_folder(folder: Path) -> Iterator[Path]:
    """A folder to fill, of the same name, that takes its place when the block ends well, and is gone otherwise.

    An older one is replaced; missing folders above it are made. Raises UserError if it cannot be written.
    """
    around = _temporary(folder)
    with reported(folder):
        try:
            shutil.rmtree(around, ignore_errors=True)  # of a process with the same number that was killed
            new, old = around / "new" / folder.name, around / "old"
            new.mkdir(parents=True)
            yield new
            if folder.exists():
                folder.rename(old)
            new.rename(folder)
        finally:
            shutil.rmtree(around, ignore_errors=True)


def cache_folder() -> Path:
    """Where what can be made again is kept: $AMTNET_CACHE, else the user's cache folder. It need not exist.

    Raises UserError where the user has no home folder.
    """
    if given := os.environ.get("AMTNET_CACHE"):
        return Path(given)
    try:
        return Path(os.environ.get("XDG_CACHE_HOME") or "~/.cache").expanduser() / "amtnet_ros"
    except RuntimeError:
        raise UserError("there is no home folder to keep files in; set HOME, or AMTNET_CACHE to a folder") from None


def unwritable(path: Path, error: Exception) -> UserError:
    """What the user is told."""
    reason = (error.strerror if isinstance(error, OSError) else None) or str(error)
    return UserError(f"{path}: cannot be written ({reason[:1].lower()}{reason[1:]})")


@contextmanager
def reported(path: Path) -> Iterator[None]:
    """An OSError in the block becomes a UserError about the path."""
    try:
        yield
    except OSError as error:
        raise unwritable(path, error) from error


def _temporary(path: Path) -> Path:
    """Beside the path, so that it can be renamed; of this process, so that two do not meet."""
    return path.with_name(f".{path.name}.{os.getpid()}{PARTIAL}")


def read_json(path: Path, most: int = 1 << 26, *, strict: bool = False) -> Any:
    """What a JSON file in UTF-8 holds; one called .gz is unpacked. See `parse_json`.

    most: bytes that it may have; a device or a pipe, which never ends, is no file. Raises UserError, naming the file
    and what is wrong with it.
    """
    try:
        if path.exists() and not path.is_file():
            raise UserError(f"{path}: is no file")
        if (size := path.stat().st_size) > most:
            raise UserError(f"{path}: has {size / 1e6:.0f} MB, more than the {most / 1e6:.0f} MB that it may have")
        content = path.read_bytes()
        if path.suffix == ".gz":
            content = gzip.decompress(content)
    except (OSError, EOFError, zlib.error) as error:
        raise UserError(f"{path}: cannot be read ({getattr(error, 'strerror', None) or error})") from error
    return parse_json(str(path), content, strict=strict)


def parse_json(where: str, content: bytes | str, *, strict: bool = False) -> Any:
    """What JSON in UTF-8 says. Raises UserError that begins with where it stands, and says what is wrong with it.

    strict: refuse a key that is twice in an object, of which one would be lost, and NaN and infinity.
    """
    checks: dict[str, Any] = {"object_pairs_hook": _unique_keys, "parse_constant": _refuse} if strict else {}
    try:
        text = content.decode() if isinstance(content, bytes) else content
        return json.loads(text, **checks)
    except UserError as error:
        raise UserError(f"{where}: {error}") from error
    except UnicodeDecodeError as error:
        raise UserError(f"{where}: not a text file in UTF-8") from error
    except json.JSONDecodeError as error:
        raise UserError(f"{where}: not JSON ({error.msg} in line {error.lineno})") from error
    except RecursionError as error:
        raise UserError(f"{where}: not JSON that can be read (nested too deeply)") from error
    except ValueError as error:
        raise UserError(f"{where}: not JSON that can be read (a number of too many digits)") from error


def _unique_keys(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    result = dict(pairs)
    if len(result) < len(pairs):
        keys = [key for key, _ in pairs]
        twice = next(key for i, key in enumerate(keys) if key in keys[:i])
        raise UserError(f"{twice!r} is twice in the same object; one of the two would be lost")
    return result


def _refuse(constant: str) -> None:
    raise UserError(f"{constant} is not a finite number")
