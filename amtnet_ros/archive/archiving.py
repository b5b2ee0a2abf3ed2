"""`amtnet archive`: find the recordings, have their pieces watched, keep what is found; go on where an earlier run was
stopped.

That a file of the archive is there is all that is remembered: a recording whose tubes are there is done, and so is a
piece. What a worker was at when it was stopped is done again, and is called the same.
"""

from __future__ import annotations

import fcntl
import json
from collections import defaultdict
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, Protocol

from amtnet_ros.archive.engines import Workers
from amtnet_ros.archive.index import write_index
from amtnet_ros.archive.pieces import Piece, cut, join
from amtnet_ros.archive.places import is_remote
from amtnet_ros.archive.recording import Recording
from amtnet_ros.archive.sources import Source
from amtnet_ros.archive.store import ABOUT, PARQUET, PIECES, TUBES, Store
from amtnet_ros.archive.tables import Failure, Identity, read_piece, recording_table, write_failures
from amtnet_ros.archive.worker import FoundRecordings, Setup, Watched
from amtnet_ros.errors import UserError
from amtnet_ros.files import PARTIAL
from amtnet_ros.inference.card import read_card


class Progress(Protocol):
    """Is told how the work goes on."""

    def looked_at(self, done: int, of: int) -> None:
        """So many sources were opened."""
        ...

    def begin(self, seconds: float, left: float) -> None:
        """Watching begins: of recordings of so many seconds so many are left."""
        ...

    def watched(self, seconds: float) -> None:
        """Recordings of so many seconds more are done."""
        ...

    def failed(self, failure: Failure) -> None:
        """Something could not be read."""
        ...


@dataclass
class Summary:
    """What a run did. recordings: that it watched to the end; tubes: found in them; known: that were done before.

    copies: recordings with the same content as another. seconds: of recordings; stages: of the workers' processors, see
    `Watched`; memory: bytes, the most that a worker has used.
    """

    recordings: int = 0
    known: int = 0
    copies: int = 0
    tubes: int = 0
    pictures: int = 0
    seconds: float = 0.0
    failures: list[Failure] = field(default_factory=list)
    stages: dict[str, float] = field(default_factory=lambda: defaultdict(float))
    memory: int = 0


def archive(
    sources: Sequence[Source], setup: Setup, start: Callable[[], Workers], length: float, progress: Progress
) -> Summary:
    """Add recordings to an archive. start: makes the workers. length: of pieces, in seconds.

    Raises UserError where the folder cannot be used or belongs to another model, and as workers do.
    """
    store = Store(setup.store)
    with _alone(store):
        _agree(store, setup)
        workers = start()
        try:
            return _Run(store, setup, workers, progress).through(sources, length)
        finally:
            workers.close()


class _Run:
    """One run over all sources."""

    def __init__(self, store: Store, setup: Setup, workers: Workers, progress: Progress) -> None:
        self._store, self._setup, self._workers, self._progress = store, setup, workers, progress
        self._summary = Summary()
        self._looked_at: set[str] = set()
        self._watched: set[Identity] = set()

    def through(self, sources: Sequence[Source], length: float) -> Summary:
        """Do all that is not done; see `archive`."""
        try:
            recordings = self._find(sources)
            self._watch([cut(recording, length) for recording in recordings])
        finally:  # also where it is stopped
            write_failures(self._store, self._summary.failures, self._looked_at, self._watched)
        write_index(self._store)
        return self._summary

    def _find(self, sources: Sequence[Source]) -> list[Recording]:
        """The recordings that are not done, each once."""
        known = set(self._store.names(TUBES))
        found: dict[str, Recording] = {}
        done: set[str] = set()
        answered = self._answers("find", sources)
        for count, (source, answer) in enumerate(answered, start=1):
            self._progress.looked_at(count, len(sources))
            self._looked_at.add(source.place)
            if answer is None or answer.reason:
                reason = answer.reason if answer else _DIED
                self._fail(Failure(source.place, "", None, reason, kept=False))
            for recording in answer.recordings if answer else ():
                self._summary.copies += recording.key in found or recording.key in done
                if recording.key in known:
                    done.add(recording.key)
                else:
                    found.setdefault(recording.key, recording)
        self._summary.known = len(done)
        return sorted(found.values(), key=lambda each: each.name)

    def _watch(self, recordings: Sequence[Sequence[Piece]]) -> None:
        """Watch all pieces that are not done; put a recording together when its last one is."""
        there = set(self._store.names(PIECES))
        pieces = [piece for each in recordings for piece in each]
        todo = [piece for piece in pieces if piece.count == 1 or piece.name not in there]
        self._progress.begin(sum(p.seconds for p in pieces), sum(p.seconds for p in todo))
        whole = {each[0].recording.key: each for each in recordings}
        missing = {key: len(each) for key, each in whole.items()}
        for piece in set(pieces) - set(todo):
            missing[piece.recording.key] -= 1
        reasons: dict[str, list[str]] = defaultdict(list)
        lost: set[str] = set()  # recordings that will not be whole in this run
        for key in [key for key, count in missing.items() if count == 0]:
            self._put_together(whole[key], [])
        for piece, watched in self._answers("watch", todo):
            self._count(piece, watched)
            key = piece.recording.key
            missing[key] -= 1
            if watched is None or watched.reason:
                reasons[key].append(watched.reason if watched else _DIED)
            complete = watched is not None and watched.done
            if not complete and key not in lost:
                lost.add(key)
                self._fail(_failure(piece.recording, reasons[key], kept=False))
            if missing[key] == 0 and key not in lost:
                self._put_together(whole[key], reasons[key])

    def _put_together(self, pieces: Sequence[Piece], reasons: Sequence[str]) -> None:
        """A recording is watched to its end."""
        recording = pieces[0].recording
        self._summary.recordings += 1
        if len(pieces) > 1:
            seen = [read_piece(self._store.read_table(PIECES, piece.name + PARQUET)) for piece in pieces]
            table = recording_table(join(seen), recording, self._setup.card)
            self._store.write_table(table, TUBES, recording.key + PARQUET)
            self._summary.tubes += len(table)
            for piece in pieces:
                self._store.remove(PIECES, piece.name + PARQUET)
        if reasons:
            self._fail(_failure(recording, reasons, kept=True))

    def _answers(self, method: str, tasks: Sequence[Any]) -> Iterator[tuple[Any, Any]]:
        """Each task with its answer, as they come; at last those that never came, with None."""
        waiting = dict.fromkeys(tasks)
        for answer in self._workers.run(method, tasks):
            task = answer.source if isinstance(answer, FoundRecordings) else answer.piece
            del waiting[task]
            yield task, answer
        yield from ((task, None) for task in waiting)

    def _count(self, piece: Piece, watched: Watched | None) -> None:
        self._watched.add(_identity(piece.recording))
        self._progress.watched(piece.seconds)
        if watched is not None:
            self._summary.pictures += watched.pictures
            self._summary.tubes += watched.tubes
            self._summary.seconds += piece.seconds
            for stage, took in watched.seconds.items():
                self._summary.stages[stage] += took
            self._summary.memory = max(self._summary.memory, watched.memory)

    def _fail(self, failure: Failure) -> None:
        self._summary.failures.append(failure)
        self._progress.failed(failure)


_DIED = "each worker died that was at it (killed, or out of memory)"


def _identity(recording: Recording) -> Identity:
    return recording.dataset or recording.file, recording.topic, recording.episode


def _failure(recording: Recording, reasons: Sequence[str], kept: bool) -> Failure:
    return Failure(*_identity(recording), "; ".join(dict.fromkeys(reasons)), kept)


def _agree(store: Store, setup: Setup) -> None:
    """An archive is of one model, watched in one way: else its scores could not be compared.

    Raises UserError where the folder's is another.
    """
    options = asdict(setup.options)
    wanted = {"format": 1, "card": setup.card, "rate": setup.rate, "fast_flow": setup.fast_flow, "options": options}
    about = store.read_about()
    if about is None:
        store.write_about(wanted | {"model": setup.model, "actions": read_card(Path(setup.model)).actions})
        return
    differing = [name for name, value in wanted.items() if about.get(name) != _as_json(value)]
    if differing:
        raise UserError(
            f"{store.place}: was made with another {' and '.join(differing)} ({ABOUT}); use another folder, or "
            f"the same settings as then"
        )


def _as_json(value: Any) -> Any:
    """The value as it comes back out of a JSON file."""
    return json.loads(json.dumps(value))


@contextmanager
def _alone(store: Store) -> Iterator[None]:
    """No other run writes to this archive at the same time. Raises UserError where one does.

    Only folders of this machine are locked. What killed runs left half-written is removed.
    """
    if is_remote(store.place):
        yield
        return
    folder = Path(store.place)
    try:
        folder.mkdir(parents=True, exist_ok=True)
        lock = (folder / ".lock").open("w")
    except OSError as error:
        raise UserError(f"{folder}: cannot be written ({error.strerror})") from error
    with lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise UserError(f"{folder}: another amtnet archive is at work there") from None
        for left in folder.rglob(f".*{PARTIAL}"):
            left.unlink(missing_ok=True)
        yield
