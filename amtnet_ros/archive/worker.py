"""What each worker does: finds recordings, watches pieces of them, writes what it sees."""

from __future__ import annotations

import resource
import time
from collections.abc import Iterator
from dataclasses import dataclass, field, replace

import cv2

from amtnet_ros.archive.pieces import Mark, Piece, WatchedPiece
from amtnet_ros.archive.places import is_remote, one_line
from amtnet_ros.archive.recording import SECOND, Picture, Recording, thinned
from amtnet_ros.archive.sources import Source, pictures_of, recordings_in
from amtnet_ros.archive.store import PARQUET, PIECES, TUBES, Store
from amtnet_ros.archive.tables import piece_table, recording_table
from amtnet_ros.archive.tube_log import TubeLog
from amtnet_ros.archive.videos import PATIENCE
from amtnet_ros.contracts import UInt8
from amtnet_ros.errors import UserError
from amtnet_ros.flow.factory import make_flow
from amtnet_ros.inference.contract import ActorEngine, Engine, Precision
from amtnet_ros.inference.factory import make_actor_engine, make_engine
from amtnet_ros.pipeline import Pipeline, PipelineOptions

DELTA = 4
"""How an archive is watched unless it is told otherwise: what one loses by it is in docs/archive.md."""
MISSING = SECOND
"""Nanoseconds that a video may end before the time that it says."""


@dataclass(frozen=True)
class Setup:
    """How pictures are watched, and where what is seen goes.

    store: the archive's folder. rate: pictures a second that are watched; None: all. card: SHA-256 of the model's card.
    topics: of bags and data sets, only these; none: all. threads: of the network, on a CPU; 0: one a core.
    fast_flow: DIS in its fast form stands in for the medium one of the model's training.
    """

    store: str
    model: str
    device: str
    precision: Precision
    options: PipelineOptions
    rate: float | None
    card: str
    topics: tuple[str, ...] = ()
    threads: int = 1
    fast_flow: bool = False


@dataclass(frozen=True)
class FoundRecordings:
    """What a source holds. reason: why it could not be read, "" where it could."""

    source: Source
    recordings: tuple[Recording, ...]
    reason: str


@dataclass(frozen=True)
class Watched:
    """A piece that is done. pictures: that were watched; tubes: of the recording, where it is of one piece.

    reason: why not all of it could be read, "" where it could. done: whether what was found is kept.
    seconds: of the processor's time that it took, by stage: reading is `decode`, what belongs to none is `other`.
    memory: bytes, the most that the worker has used so far.
    """

    piece: Piece
    pictures: int
    tubes: int
    reason: str
    done: bool
    seconds: dict[str, float]
    memory: int


@dataclass
class _Reading:
    """A recording's pictures as long as they can be read. reason: why not to the end; position: of the newest one;
    lost: pictures left out."""

    recording: Recording
    pictures: Iterator[Picture]
    reason: str = ""
    position: int = 0
    lost: int = 0
    read: int = 0
    seconds: float = 0.0
    _in_a_row: int = field(default=0, repr=False)

    def __iter__(self) -> Iterator[tuple[int, int, UInt8]]:
        """Position, stamp, and image."""
        while True:
            begin = time.process_time()
            try:
                picture = next(self.pictures, None)
                loaded = None if picture is None else self._loaded(picture)
            except Exception as error:  # whatever a broken file makes a library raise, it costs that file alone
                self.reason = one_line(error)
                return
            self.seconds += time.process_time() - begin
            if picture is None:
                break
            self.position = picture.position
            if loaded is not None:
                yield picture.position, *loaded
        if self.lost:
            self.reason = f"{self.lost} of {self.lost + self.read} pictures cannot be decoded; the last: {self.reason}"

    def _loaded(self, picture: Picture) -> tuple[int, UInt8] | None:
        try:
            loaded = picture.load()
        except UserError as error:
            self.lost, self._in_a_row, self.reason = self.lost + 1, self._in_a_row + 1, one_line(error)
            if self._in_a_row >= PATIENCE:
                raise
            return None
        self._in_a_row, self.read = 0, self.read + 1
        return loaded


class Worker:
    """One of several that do the same. The model is loaded with the first piece, once."""

    def __init__(self, setup: Setup) -> None:
        cv2.setNumThreads(1)
        self._setup = setup
        self._store = Store(setup.store)
        self._engines: tuple[Engine, ActorEngine | None] | None = None

    def find(self, source: Source) -> FoundRecordings:
        """The recordings of a source."""
        try:
            return FoundRecordings(source, tuple(recordings_in(source, self._setup.topics)), "")
        except Exception as error:  # as above
            return FoundRecordings(source, (), one_line(error))

    def watch(self, piece: Piece) -> Watched:
        """Watch a piece, write what is seen. Raises UserError where the model or the archive's folder is at fault."""
        pipeline = self._pipeline()
        start = time.process_time()
        reading = _Reading(piece.recording, thinned(self._pictures(piece), self._setup.rate))
        seen, seconds = _watch(pipeline, reading, piece)
        seconds["decode"] = reading.seconds
        reading.reason = reading.reason or _cut_short(piece, reading.position)
        # What a network broke off may come whole the next time; a file here stays broken.
        something = reading.read > 0 or piece.count > 1
        done = not reading.reason or (something and not is_remote(piece.recording.file))
        tubes = self._write(piece, seen) if done else 0
        seconds["other"] = time.process_time() - start - sum(seconds.values())
        memory = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024
        return Watched(piece, reading.read, tubes, reading.reason, done, seconds, memory)

    def _loaded_engines(self) -> tuple[Engine, ActorEngine | None]:
        if self._engines is None:
            model, device, how = self._setup.model, self._setup.device, self._setup.precision
            engine = make_engine(model, device, precision=how, threads=self._setup.threads)
            looks = self._setup.options.actor_stream and engine.card.actor is not None
            actor = make_actor_engine(model, device, precision=how, threads=self._setup.threads) if looks else None
            self._engines = engine, actor
        return self._engines

    def _pipeline(self) -> Pipeline:
        """A new one; the model is loaded once."""
        engine, actors = self._loaded_engines()
        needs, flow = engine.card.flow, None
        if self._setup.fast_flow and needs is not None and needs.engine == "dis:medium":
            flow = make_flow("dis:fast", needs.working_size)
        options = replace(self._setup.options, pairs_by_clock=True)  # the same in every piece
        return Pipeline(engine, options, flow, time.process_time, actors)

    @staticmethod
    def _pictures(piece: Piece) -> Iterator[Picture]:
        return pictures_of(piece.recording, piece.read_from, piece.read_to)

    def _write(self, piece: Piece, seen: WatchedPiece) -> int:
        if piece.count > 1:
            self._store.write_table(piece_table(seen), PIECES, piece.name + PARQUET)
            return 0
        table = recording_table(seen.tubes, piece.recording, self._setup.card)
        self._store.write_table(table, TUBES, piece.recording.key + PARQUET)
        return len(table)


def _cut_short(piece: Piece, last: int) -> str:
    """What to say of a video that ends sooner than it says, which raises nothing where it is cut off; "" of others."""
    end = piece.recording.end
    if piece.recording.kind != "video" or piece.end is not None or end is None or last >= end - MISSING:
        return ""
    return f"ends sooner than after the {end / SECOND:.1f} s that it says"


def _watch(pipeline: Pipeline, reading: _Reading, piece: Piece) -> tuple[WatchedPiece, dict[str, float]]:
    """What is seen in a piece, and the seconds of each of the pipeline's stages."""
    log = TubeLog(pipeline)
    begin = end = None
    seconds = dict.fromkeys(pipeline.latency, 0.0)
    for position, stamp, image in reading:
        log.push(position, stamp, image)
        for stage, took in pipeline.latency.items():
            seconds[stage] += took
        if begin is None and piece.begin is not None and position >= piece.begin:
            begin = Mark(log.session, stamp)
        if end is None and piece.end is not None and position >= piece.end:
            end = Mark(log.session, stamp)
    log.finish()
    return WatchedPiece(tuple(log.tubes), begin, end), seconds
