"""Takes clips: a key is pressed, and what was just before and comes just after goes to a file."""

from __future__ import annotations

import queue
import threading
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

from amtnet_ros.errors import UserError
from amtnet_ros.recording.tape import Shot, Tape, write_clip

MOST_WAITING = 4
"""Clips that may wait to be written; their images are in memory."""


@dataclass(frozen=True)
class _Wanted:
    """A clip whose end has not come. begin, end: seconds, as of the tape."""

    action: str
    begin: float
    end: float


class ClipTaker:
    """Cuts clips out of a tape and writes them, in a thread of its own, to FOLDER/ACTION/TIME.mp4."""

    def __init__(
        self, folder: Path, keys: Mapping[str, str], tape: Tape, span: tuple[float, float], say: Callable[[str], None]
    ) -> None:
        """keys: key → action. span: seconds before and after a key. say: prints a line."""
        self._folder, self._keys, self._tape, self._say = folder, keys, tape, say
        self._before, self._after = span
        self._wanted: list[_Wanted] = []
        self._names: set[Path] = set()
        self._waiting: queue.Queue[tuple[str, Path, Sequence[Shot]] | None] = queue.Queue()
        self._writer = threading.Thread(target=self._write)
        self._writer.start()
        self.taken: Counter[str] = Counter()
        self.failure: UserError | None = None

    def press(self, key: str, now: float) -> None:
        """A key was pressed. now: seconds, as of the tape."""
        action = self._keys.get(key)
        if action is None:
            self._say(f"{key!r} is no key of an action: {legend(self._keys)}")
        elif self._tape.newest is None:
            self._say(f"{action}: not taken, no image has come yet")
        elif len(self._wanted) + self._waiting.qsize() >= MOST_WAITING:
            self._say(f"{action}: not taken, {MOST_WAITING} clips are still being taken or written; wait a moment")
        else:
            self._say(f"{action} …")
            self._wanted.append(_Wanted(action, now - self._before, now + self._after))

    def tick(self, now: float) -> None:
        """Hand the clips over whose end has come."""
        for wanted in [each for each in self._wanted if each.end < now]:
            self._wanted.remove(wanted)
            shots = self._tape.cut(wanted.begin, wanted.end)
            if shots:
                self._waiting.put((wanted.action, self._free_path(wanted.action), shots))
            else:
                self._say(f"{wanted.action}: not taken, no image came")

    def close(self, *, keep: bool) -> None:
        """Write what is complete and wait for it. keep: also clips whose end has not come, as far as they go."""
        for wanted in self._wanted if not keep else []:
            self._say(f"{wanted.action}: not kept, it was not over yet")
        if not keep:
            self._wanted.clear()
        self.tick(float("inf"))
        self._waiting.put(None)
        self._writer.join()

    def _free_path(self, action: str) -> Path:
        time = datetime.now().strftime("%Y%m%d_%H%M%S")
        name, number = time, 1
        while (path := self._folder / action / f"{name}.mp4") in self._names or path.exists():
            number += 1
            name = f"{time}_{number}"
        self._names.add(path)
        return path

    def _write(self) -> None:
        while (item := self._waiting.get()) is not None:
            action, path, shots = item
            try:
                write_clip(path, shots)
            except UserError as error:
                self.failure = error
                continue
            self.taken[action] += 1
            seconds = shots[-1].seconds - shots[0].seconds
            short = "" if seconds > 0.9 * (self._before + self._after) else ", shorter than asked for"
            self._say(f"{path}: {seconds:.1f} s, {len(shots)} images{short}; {action}: {self.taken[action]} taken")


def legend(keys: Mapping[str, str]) -> str:
    """The keys in a line: "w wave   n none"."""
    return "   ".join(f"{key} {action}" for key, action in keys.items())
