"""`amtnet record` in a pseudo-terminal, as in a real one: keys, Ctrl-C, and what it leaves behind."""

from __future__ import annotations

import contextlib
import fcntl
import os
import pty
import select
import subprocess
import sys
import termios
import threading
import time
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]
PATIENCE = 60.0  # seconds


class Terminal:
    """A terminal in which the command runs."""

    def __init__(self, folder: Path, *arguments: str, **variables: str) -> None:
        """folder: where it is started."""
        self.said = ""
        self._main, sub = pty.openpty()
        self._sub = os.dup(sub)  # stays open, so that the terminal's settings can be looked at when the command is over
        self.before = termios.tcgetattr(self._sub)
        path = os.pathsep.join([str(ROOT), *filter(None, [os.environ.get("PYTHONPATH")])])
        self.process = subprocess.Popen(
            [sys.executable, "-m", "amtnet_ros.cli.main", "record", *arguments],
            cwd=folder,
            env={**os.environ, "PYTHONPATH": path, **variables},
            stdin=sub,
            stdout=sub,
            stderr=sub,
            start_new_session=True,
            preexec_fn=lambda: fcntl.ioctl(0, termios.TIOCSCTTY, 0),  # so that Ctrl-C is a signal
        )
        os.close(sub)
        self._gone, self._over = threading.Event(), threading.Event()
        self._listener = threading.Thread(target=self._listen, daemon=True)
        self._listener.start()

    def press(self, keys: str) -> None:
        os.write(self._main, keys.encode())

    def wait_for(self, text: str) -> None:
        """Until it has said so."""
        until = time.monotonic() + PATIENCE
        while text not in self.said:
            if time.monotonic() > until or (
                self.process.poll() is not None and not time.sleep(0.2) and text not in self.said
            ):
                pytest.fail(f"it never said {text!r}:\n{self.said}")
            time.sleep(0.02)

    def wait(self) -> int:
        """Until it ends and all it said was heard; its exit code."""
        code = self.process.wait(PATIENCE)
        self._over.set()
        self._listener.join(PATIENCE)
        return code

    @property
    def settings(self) -> list[object]:
        return list(termios.tcgetattr(self._sub))

    def hang_up(self) -> None:
        """The terminal is gone, as when an ssh connection breaks."""
        self._gone.set()
        self._listener.join()  # while it reads, the terminal would stay
        os.close(self._main)

    def close(self) -> None:
        self.process.kill()
        self.process.wait()
        os.close(self._sub)
        with contextlib.suppress(OSError):
            os.close(self._main)

    def _listen(self) -> None:
        with contextlib.suppress(OSError):
            while not self._gone.is_set():
                over = self._over.is_set()  # asked before the last look
                if select.select([self._main], [], [], 0.05)[0]:
                    self.said += os.read(self._main, 4096).decode(errors="replace").replace("\r\n", "\n")
                elif over:
                    return
