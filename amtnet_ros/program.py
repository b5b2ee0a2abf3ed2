"""What all programs of the package have in common: Ctrl-C ends them without a word, and no terminal refuses theirs."""

from __future__ import annotations

import importlib
import os
import signal
import sys
from typing import Any, TextIO

INTERRUPTED = 130
"""Exit code of a program that Ctrl-C ended, as shells have it."""


def end_at_once() -> None:
    """From now on Ctrl-C ends the process at once: nothing has begun yet, or all is done.

    Imports take most of a second, and a KeyboardInterrupt in them would be a page of traceback. Where SIGINT is
    ignored, as in a job in the background, it stays so.
    """
    if signal.getsignal(signal.SIGINT) is not signal.SIG_IGN:
        signal.signal(signal.SIGINT, lambda *_: os._exit(INTERRUPTED))


def begin() -> None:
    """From now on Ctrl-C is a KeyboardInterrupt; what is printed that the terminal's encoding lacks becomes `?`."""
    if signal.getsignal(signal.SIGINT) is not signal.SIG_IGN:
        signal.signal(signal.SIGINT, signal.default_int_handler)
    for stream in (sys.stdout, sys.stderr):
        if hasattr(stream, "reconfigure"):
            stream.reconfigure(errors="replace")


def start(module: str) -> Any:
    """Import a program's module and run its `main`; what that returns."""
    end_at_once()
    return importlib.import_module(module).main()


def forget(stream: TextIO) -> None:
    """Nobody reads the stream any more: let what is still in it go, rather than fail at the exit."""
    os.dup2(os.open(os.devnull, os.O_WRONLY), stream.fileno())
