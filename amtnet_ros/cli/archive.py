"""`amtnet archive`: action tubes in many recordings, kept so that they can be searched."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click
from rich.console import Console
from rich.progress import BarColumn, Progress, TaskID, TextColumn, TimeElapsedColumn, TimeRemainingColumn

from amtnet_ros.archive.archiving import Summary, archive
from amtnet_ros.archive.engines import Workers, make_workers
from amtnet_ros.archive.pieces import LENGTH
from amtnet_ros.archive.sources import find_sources
from amtnet_ros.archive.tables import Failure
from amtnet_ros.archive.worker import DELTA, Setup
from amtnet_ros.command_options import settings_from, settings_options
from amtnet_ros.inference.card import CARD, find_model, read_card
from amtnet_ros.inference.graph_file import file_hash
from amtnet_ros.media.drawing import Style


class _Bar:
    """How far it is, for people: see `archiving.Progress`."""

    def __init__(self, console: Console) -> None:
        columns = (TextColumn("{task.description}"), BarColumn(), TextColumn("{task.fields[how_far]}"))
        self._bar = Progress(*columns, TimeElapsedColumn(), TimeRemainingColumn(), console=console, transient=True)
        self._task: TaskID | None = None

    def __enter__(self) -> _Bar:
        self._bar.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._bar.stop()

    def looked_at(self, done: int, of: int) -> None:
        """See `archiving.Progress`."""
        if self._task is None:
            self._task = self._bar.add_task("looking", total=of, how_far="")
        self._bar.update(self._task, completed=done, how_far=f"{done} of {of} files")

    def begin(self, seconds: float, left: float) -> None:
        """See `archiving.Progress`."""
        if self._task is not None:
            self._bar.remove_task(self._task)
        self._task = self._bar.add_task("watching", total=left, how_far=f"{_clock(left)} to watch")

    def watched(self, seconds: float) -> None:
        """See `archiving.Progress`."""
        if self._task is not None:
            self._bar.advance(self._task, seconds)
            task = self._bar.tasks[-1]
            self._bar.update(self._task, how_far=f"{_clock(task.completed)} of {_clock(task.total or 0)}")

    def failed(self, failure: Failure) -> None:
        """See `archiving.Progress`."""
        self._bar.console.print(f"{failure.file} {failure.topic}".strip(), failure.reason, sep=": ", markup=False)


@click.command("archive")
@click.argument("sources", nargs=-1, required=True)
@click.option("-o", "--out", required=True, help="Folder of the archive, or its URL; it may hold one already.")
@click.option("--topic", "topics", multiple=True, help="Of bags and LeRobot data sets, only these.  [default: all]")
@click.option("--rate", type=click.FloatRange(4, 240), help="Pictures a second that are watched.  [default: all]")
@click.option("--workers", type=click.IntRange(0), help="0: this process.  [default: one a core]")
@click.option("--engine", type=click.Choice(["auto", "ray", "processes"]), default="auto", show_default=True)
@click.option("--address", help="Of a Ray cluster, as ray.init takes it; `auto`: the one that this machine is in.")
@click.option("--gpus", type=click.FloatRange(0), default=0, help="Of each worker, on Ray; may be a fraction.")
@click.option("--threads", type=click.IntRange(0), default=1, show_default=True, help="Of each worker's network.")
@click.option("--fast-flow/--own-flow", default=True, help="DIS's fast form, or the flow of the model's training.")
@click.option("--piece", type=click.FloatRange(20), default=LENGTH, show_default=True, help="Seconds; see the docs.")
@settings_options(without=(Style,), delta=DELTA)
def archive_command(
    sources: tuple[str, ...],
    out: str,
    topics: tuple[str, ...],
    rate: float | None,
    workers: int | None,
    engine: str,
    address: str | None,
    gpus: float,
    threads: int,
    fast_flow: bool,
    piece: float,
    **given: Any,
) -> None:
    """Find action tubes in SOURCES, and keep them in a folder that `amtnet find` searches.

    SOURCES: videos, bags (MCAP, rosbag2, ROS 1), LeRobot data sets, and folders of all these, on this machine or
    anywhere that fsspec reaches (s3://, gs://). It may be stopped at any time: run again, it goes on.
    """
    console = Console(stderr=True)
    settings = settings_from(given)
    folder = find_model(settings["model"])
    read_card(folder)
    setup = Setup(
        out,
        str(folder),
        settings["device"],
        settings["precision"],
        settings.options,
        rate,
        file_hash(Path(folder) / CARD),
        topics,
        threads,
        fast_flow,
    )
    found = find_sources(sources)

    def start() -> Workers:
        with console.status("starting workers"):
            started = make_workers(setup, engine, workers, address, gpus)
        console.print(f"{started.count} × {started.name}, {len(found)} files", highlight=False)
        return started

    try:
        with _Bar(console) as bar:
            summary = archive(found, setup, start, piece, bar)
    except KeyboardInterrupt:
        console.print("interrupted: what is done is kept; run it again to go on")
        raise SystemExit(130) from None
    click.echo(_told(summary, out))


def _told(summary: Summary, out: str) -> str:
    """What was done, for people."""
    lines = [
        f"{summary.recordings} recordings of {_clock(summary.seconds)} watched ({summary.pictures} pictures), "
        f"{summary.tubes} tubes found"
    ]
    if summary.known or summary.copies:
        lines.append(f"{summary.known} were done before, {summary.copies} are copies of others")
    if summary.failures:
        lines.append(f"{len(summary.failures)} could not be read to the end: {out}/failed.parquet")
    return "\n".join([*lines, f'Archive: {out}; `amtnet find "waving hand" {out}` searches it'])


def _clock(seconds: float) -> str:
    """Hours, minutes and seconds."""
    whole = round(seconds)
    return f"{whole // 3600}:{whole // 60 % 60:02}:{whole % 60:02}"
