"""What all programs of the package have in common: how they are ended, and that no terminal refuses their words."""

from __future__ import annotations

import errno
import importlib
import os
import signal
import stat
import sys
import threading
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager, suppress
from typing import Any, TextIO, TypeVar

Item = TypeVar("Item")

INTERRUPTED = 130
"""Exit code of a program that Ctrl-C ended, as shells have it."""
ENDING = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
"""What ends a program in good order: Ctrl-C; `kill`, systemd or Docker; a terminal, or an SSH connection, that goes."""


def on_ending(handler: Callable[[int, Any], Any]) -> None:
    """Have the signals that end a program answered so; one that is ignored, as under nohup, stays so."""

    def answer(number: int, frame: Any) -> None:
        if number == signal.SIGHUP:
            _forget_terminal()
        handler(number, frame)

    for number in ENDING:
        if signal.getsignal(number) is not signal.SIG_IGN:
            signal.signal(number, answer)


def end_at_once() -> None:
    """From now on Ctrl-C ends the process at once: nothing has begun yet, or all is done.

    Imports take most of a second, and a KeyboardInterrupt in them would be a page of traceback.
    """
    on_ending(lambda *_: os._exit(INTERRUPTED))


def begin() -> None:
    """From now on Ctrl-C, and what else ends a program, is a KeyboardInterrupt; what is printed never fails."""
    on_ending(signal.default_int_handler)
    for stream in (sys.stdout, sys.stderr):
        if hasattr(stream, "reconfigure"):
            stream.reconfigure(errors="replace")
    sys.stdout, sys.stderr = _Lasting(sys.stdout), _Lasting(sys.stderr)


class _Lasting:
    """A stream for people. What cannot be printed, since the disk is full or nobody reads any more, costs itself: the
    program goes on, and prints nothing more there.

    full: whether it was a disk, of which stderr is told.
    """

    def __init__(self, stream: TextIO) -> None:
        self._stream, self.full = stream, False

    def __getattr__(self, name: str) -> Any:
        return getattr(self._stream, name)

    def write(self, text: str) -> int:
        """As of any stream; letters that the terminal's encoding lacks become `?`."""
        with self._survived():
            self._stream.write(text)
        return len(text)

    def flush(self) -> None:
        """As of any stream."""
        with self._survived():
            self._stream.flush()

    @contextmanager
    def _survived(self) -> Iterator[None]:
        try:
            yield
        except OSError as error:
            forget(self._stream)
            self.full = error.errno not in (errno.EPIPE, errno.EIO)
            if self.full and self is not sys.stderr:
                print(f"standard output cannot be written ({(error.strerror or '').lower()})", file=sys.stderr)


@contextmanager
def kept_signals() -> Iterator[None]:
    """Afterwards the signals that end a program are answered as before, whatever is done to them inside."""
    before = {number: signal.getsignal(number) for number in ENDING}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


class Interruption(threading.Event):
    """What ends a program: set once it has come. See `interruption`."""

    def __init__(self) -> None:
        super().__init__()
        self._waiting = False

    def over(self, items: Iterable[Item]) -> Iterator[Item]:
        """The items until it comes; one that is waited for then is not."""
        iterator = iter(items)
        try:
            while True:
                self._waiting = True
                if self.is_set():
                    return
                item = next(iterator)
                self._waiting = False
                yield item
        except (StopIteration, KeyboardInterrupt):
            return
        finally:
            self._waiting = False

    def ask(self, *_: Any) -> None:
        """It comes: the handler of a signal."""
        self.set()
        if self._waiting:
            self._waiting = False
            raise KeyboardInterrupt


@contextmanager
def interruption() -> Iterator[Interruption]:
    """Inside, what ends a program only ends the iteration `over` something, however often it comes: whatever else is
    going on is finished, so that what was found can be written.

        with interruption() as ending:
            for image in ending.over(camera):
                look_at(image)
            write_what_was_found()
    """
    ending = Interruption()
    with kept_signals():
        on_ending(ending.ask)
        yield ending


def start(module: str) -> Any:
    """Import a program's module and run its `main`; what that returns."""
    end_at_once()
    return importlib.import_module(module).main()


def code_of(done: int) -> int:
    """The exit code of a program that did well so far, by `done`: 1 where the disk had no room for what it printed."""
    return done or int(isinstance(sys.stdout, _Lasting) and sys.stdout.full)


def _forget_terminal() -> None:
    """The terminal is gone: what is still printed there would be an error."""
    for stream in (sys.stdout, sys.stderr):
        with suppress(OSError, ValueError):
            if stat.S_ISCHR(os.fstat(stream.fileno()).st_mode) and not stream.isatty():
                forget(stream)


def forget(stream: TextIO) -> None:
    """Nobody reads the stream any more: let what is still in it go, rather than fail at the exit."""
    os.dup2(os.open(os.devnull, os.O_WRONLY), stream.fileno())
