"""`amtnet bench archive`: hours of video an hour, and what would limit more machines; what fewer pictures cost."""

from __future__ import annotations

import json
import tempfile
import time
from pathlib import Path
from typing import Any

import click
from rich.console import Console
from rich.table import Table

from amtnet_ros.archive.archiving import Summary, archive
from amtnet_ros.archive.engines import Workers, make_workers
from amtnet_ros.archive.failures import Failure
from amtnet_ros.archive.pieces import LENGTH
from amtnet_ros.archive.sources import find_sources
from amtnet_ros.archive.worker import Setup
from amtnet_ros.bench.archive_rates import compare
from amtnet_ros.bench.archive_search import search_times
from amtnet_ros.bench.machine import machine
from amtnet_ros.inference.card import CARD, find_model
from amtnet_ros.inference.graph_file import file_hash
from amtnet_ros.settings import Settings

NETWORK_STAGES = ("encode", "detect", "look")
"""Of a worker's time, what a GPU would take over."""
GIGABIT = 1e9 / 8


class _Silent:
    """Nobody looks at the progress of a measurement."""

    def looked_at(self, done: int, of: int) -> None:
        """See `archiving.Progress`."""

    def begin(self, seconds: float, left: float) -> None:
        """See `archiving.Progress`."""

    def watched(self, seconds: float) -> None:
        """See `archiving.Progress`."""

    def failed(self, failure: Failure) -> None:
        """See `archiving.Progress`."""


@click.command("archive")
@click.argument("sources", nargs=-1)
@click.option("--model", default="light", show_default=True, help="Name or folder of the model.")
@click.option("--workers", "counts", type=click.IntRange(1), multiple=True, default=(1, 2), show_default=True)
@click.option("--rate", "rates", type=click.FloatRange(0), multiple=True, default=(0, 10), help="0: all pictures.")
@click.option("--delta", type=click.IntRange(0), default=0, help="0: the model's own.")
@click.option("--tubes", type=click.IntRange(0), default=0, help="Search so many synthetic tubes instead.")
@click.option("--seed", type=int, default=0, show_default=True, help="Of the synthetic tubes.")
@click.option("--json", "as_json", is_flag=True, help="One JSON object.")
def bench_archive(
    sources: tuple[str, ...],
    model: str,
    counts: tuple[int, ...],
    rates: tuple[float, ...],
    delta: int,
    tubes: int,
    seed: int,
    as_json: bool,
) -> None:
    """Archive SOURCES anew with each number of workers (processes, one thread each) and each rate.

    Says how many hours of video an hour that is, by stage; on paper, what 10, 100 and 1,000 cores or GPUs would do; and
    how much of what all pictures find fewer pictures find. With --tubes N and no sources: how long a search takes.
    """
    if not sources and not tubes:
        raise click.UsageError("give SOURCES to archive, or --tubes N to search")
    result: dict[str, Any] = {"bench": "archive", "machine": machine()}
    with tempfile.TemporaryDirectory(prefix="amtnet_bench_") as folder:
        if tubes:
            result["search"] = search_times(Path(folder) / "synthetic", tubes, seed)
        if sources:
            result["runs"], places = _measure(sources, model, counts, rates, delta, Path(folder))
            result["on_paper"] = [_on_paper(run) for run in result["runs"] if run["workers"] == counts[0]]
            if len(rates) > 1:
                result["kept"] = compare(places[rates[0]], [(rate, places[rate]) for rate in rates[1:]])
    if as_json:
        click.echo(json.dumps(result, indent=2))
    else:
        _show(result)


def _measure(
    sources: tuple[str, ...], model: str, counts: tuple[int, ...], rates: tuple[float, ...], delta: int, folder: Path
) -> tuple[list[dict[str, Any]], dict[float, Path]]:
    """A row for each number of workers and each rate; and the archive of each rate."""
    found = find_sources(sources)
    size = sum(Path(source.place).stat().st_size for source in found if Path(source.place).is_file())
    rows, places = [], {}
    for rate in rates:
        for count in counts:
            place = places[rate] = folder / f"{rate:g}_{count}"
            setup = _setup(model, place, rate, delta)

            def start(setup: Setup = setup, count: int = count) -> Workers:
                return make_workers(setup, "processes", count, None, 0)

            begin = time.perf_counter()
            summary = archive(found, setup, start, LENGTH, _Silent())
            rows.append(_row(summary, count, rate, time.perf_counter() - begin, size))
    return rows, places


def _setup(model: str, place: Path, rate: float, delta: int) -> Setup:
    folder = find_model(model)
    options = Settings().replaced({"delta": delta}).options
    return Setup(str(place), str(folder), "auto", "auto", options, rate or None, file_hash(folder / CARD))


def _row(summary: Summary, count: int, rate: float, wall: float, size: int) -> dict[str, Any]:
    stages = {stage: round(took / summary.seconds, 4) for stage, took in summary.stages.items()}
    return {
        "workers": count,
        "rate": rate or None,
        "video_hours": round(summary.seconds / 3600, 4),
        "video_hours_an_hour": round(summary.seconds / wall, 3),
        "pictures_a_second": round(summary.pictures / wall, 1),
        "tubes": summary.tubes,
        "worker_seconds_a_second_of_video": stages,
        "megabytes_a_second_of_video": round(size / summary.seconds / 1e6, 4),
    }


def _on_paper(run: dict[str, Any]) -> dict[str, Any]:
    """What follows from one worker's times if nothing but these times and the files' bytes counts: no measurement."""
    stages = run["worker_seconds_a_second_of_video"]
    cores = sum(stages.values())
    beside_gpu = sum(took for stage, took in stages.items() if stage not in NETWORK_STAGES)
    bytes_a_second = run["megabytes_a_second_of_video"] * 1e6
    return {
        "rate": run["rate"],
        "hours_an_hour": {f"{n} cores": round(n / cores, 1) for n in (10, 100, 1000)},
        "cores_that_feed_a_gpu_which_does_100_hours_an_hour": round(100 * beside_gpu, 1),
        "hours_an_hour_with_8_cores_a_gpu": {f"{n} GPUs": round(8 * n / beside_gpu, 1) for n in (10, 100, 1000)},
        "hours_an_hour_that_a_gigabit_a_second_carries": round(GIGABIT / bytes_a_second) if bytes_a_second else None,
    }


def _show(result: dict[str, Any]) -> None:
    """The figures as tables."""
    console = Console()
    if "search" in result:
        console.print_json(json.dumps(result["search"]))
    if "runs" not in result:
        return
    stages = list(result["runs"][0]["worker_seconds_a_second_of_video"])
    table = Table(title=f"{result['machine']}", caption="by stage: a worker's seconds for a second of video")
    for column in ("workers", "pictures/s asked", "hours of video an hour", "pictures/s", "tubes", *stages):
        table.add_column(column, justify="right")
    for run in result["runs"]:
        times = (f"{run['worker_seconds_a_second_of_video'][stage]:.3f}" for stage in stages)
        first = (str(run["workers"]), f"{run['rate'] or 'all'}", f"{run['video_hours_an_hour']:.2f}")
        table.add_row(*first, f"{run['pictures_a_second']:.1f}", str(run["tubes"]), *times)
    console.print(table)
    console.print("On paper, from the first rows' times alone:")
    console.print_json(json.dumps(result["on_paper"]))
    if "kept" in result:
        console.print("Of the seconds in which all pictures say an action of at least 0.3, found with fewer:")
        console.print_json(json.dumps(result["kept"]))
