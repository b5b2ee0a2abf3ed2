"""`amtnet bench archive`: hours of video an hour, and what would limit more machines; what fewer pictures cost."""

from __future__ import annotations

import json
import shutil
import tempfile
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import click
import cv2
import numpy as np
from rich.console import Console
from rich.table import Table

from amtnet_ros.archive.archiving import Summary, archive
from amtnet_ros.archive.engines import make_workers
from amtnet_ros.archive.pieces import LENGTH
from amtnet_ros.archive.sources import Source, find_sources
from amtnet_ros.archive.tables import Failure
from amtnet_ros.archive.worker import DELTA, Setup
from amtnet_ros.bench.archive_rates import compare
from amtnet_ros.bench.archive_search import search_times
from amtnet_ros.bench.machine import machine
from amtnet_ros.command_options import json_option, model_option
from amtnet_ros.contracts import UInt8
from amtnet_ros.errors import UserError
from amtnet_ros.inference.card import CARD, find_model
from amtnet_ros.inference.graph_file import file_hash
from amtnet_ros.media.video import VideoWriter, open_source
from amtnet_ros.settings import Settings

SIZE, RATE = (640, 480), 30
NOISE = 2.0
"""Grey levels (standard deviation) of a camera's noise, which a codec has to deal with."""


def write_camera(path: Path, clips: Sequence[str], seconds: float, seed: int) -> None:
    """Write a video as a camera would, of so many seconds: the clips, one at least, in a random order, again and again.

    Raises UserError where one cannot be read.
    """
    rng = np.random.default_rng(seed)
    noise = [np.rint(rng.normal(0, NOISE, (*SIZE[::-1], 1))).astype(np.int16) for _ in range(8)]
    count = round(seconds * RATE)
    with VideoWriter(path, RATE) as writer:
        for number, image in zip(range(count), _pictures(clips, rng), strict=False):
            large = cv2.resize(image, SIZE, interpolation=cv2.INTER_CUBIC) + noise[number % len(noise)]
            writer.write(np.clip(large, 0, 255).astype(np.uint8), number / RATE)


def _pictures(clips: Sequence[str], rng: np.random.Generator) -> Iterator[UInt8]:
    while True:
        for clip in rng.permutation(np.array(clips)):
            yield from open_source(str(clip))


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
@click.option("--camera", type=click.FloatRange(0.1), multiple=True, help="Minutes of a recording, see above.")
@model_option
@click.option("--workers", "counts", type=click.IntRange(1), multiple=True, default=(1, 2), show_default=True)
@click.option("--rate", "rates", type=click.FloatRange(0), multiple=True, default=(0, 10), help="0: all pictures.")
@click.option("--delta", type=click.IntRange(1), default=DELTA, show_default=True)
@click.option("--kept", is_flag=True, help="How much is found of what all pictures and all pairs (delta 1) tell.")
@click.option("--tubes", type=click.IntRange(0), default=0, help="Search so many synthetic tubes instead.")
@click.option("--seed", type=int, default=0, show_default=True, help="Of the synthetic tubes, and of --camera.")
@json_option
def bench_archive(
    sources: tuple[str, ...],
    camera: tuple[float, ...],
    model: str,
    counts: tuple[int, ...],
    rates: tuple[float, ...],
    delta: int,
    kept: bool,
    tubes: int,
    seed: int,
    as_json: bool,
) -> None:
    """Archive SOURCES anew with each number of workers (processes, one thread each) and each rate.

    Says what a second of video takes of a processor, by stage, the most memory that a worker uses, and how many times
    real time that makes; on paper, what 10, 100 and 1,000 cores or GPUs would do. With --camera the videos among
    SOURCES are joined first, to recordings of a 640×480 camera (30 pictures a second) of so many minutes, two each; a
    further length is archived with the last rate alone, to see the memory. With --tubes N: how long a search takes.
    """
    if not sources and not tubes:
        raise click.UsageError("give SOURCES to archive, or --tubes N to search")
    result: dict[str, Any] = {"bench": "archive", "machine": machine()}
    with tempfile.TemporaryDirectory(prefix="amtnet_bench_") as name:
        folder = Path(name)
        if tubes:
            result["search"] = search_times(folder / "synthetic", tubes, seed)
        if sources:
            watched = _cameras(sources, camera, folder, seed) if camera else [find_sources(sources)]
            todo = [(watched[0], rate, count) for rate in rates for count in counts]
            todo += [(longer, rates[-1], counts[0]) for longer in watched[1:]]
            result["runs"] = [_run(*each, model, delta, folder) for each in todo]
            result["on_paper"] = [_on_paper(run) for run in result["runs"][:: len(counts)][: len(rates)]]
        if sources and kept:
            _run(watched[0], 0, counts[-1], model, 1, folder)
            full = _place(folder, watched[0], 0, 1)
            others = [(rate, _place(folder, watched[0], rate, delta)) for rate in rates]
            result["kept"] = [{"rate": rate or None, **compare(full, other)} for rate, other in others]
    if as_json:
        click.echo(json.dumps(result, indent=2))
    else:
        _show(result)


def _cameras(sources: tuple[str, ...], minutes: tuple[float, ...], folder: Path, seed: int) -> list[list[Source]]:
    """For each length two recordings of the sources' videos, one for each of two workers."""
    clips = [source.place for source in find_sources(sources) if source.kind == "video"]
    if not clips:
        raise UserError("--camera joins videos, and there is none among the sources")
    made = []
    for length in minutes:
        videos = [folder / f"{length:g} minutes" / f"{number}.mp4" for number in range(2)]
        for number, video in enumerate(videos):
            write_camera(video, clips, 60 * length, seed + number)
        made.append(find_sources([str(video) for video in videos]))
    return made


def _place(folder: Path, found: list[Source], rate: float, delta: int) -> Path:
    """Where the archive goes of some sources, watched in one way."""
    return folder / f"{Path(found[0].place).parent.name} rate {rate:g} delta {delta}"


def _run(found: list[Source], rate: float, count: int, model: str, delta: int, folder: Path) -> dict[str, Any]:
    """Archive sources anew: a row of figures."""
    place = _place(folder, found, rate, delta)
    shutil.rmtree(place, ignore_errors=True)
    model_folder = find_model(model)
    options = Settings().replaced({"delta": delta}).options
    card = file_hash(model_folder / CARD)
    fast = delta > 1  # what all pairs tell is told by the flow of the model's training
    setup = Setup(str(place), str(model_folder), "auto", "auto", options, rate or None, card, fast_flow=fast)
    begin = time.perf_counter()
    summary = archive(found, setup, lambda: make_workers(setup, "processes", count, None, 0), LENGTH, _Silent())
    size = sum(Path(source.place).stat().st_size for source in found if Path(source.place).is_file())
    return _row(summary, count, rate, time.perf_counter() - begin, size)


def _row(summary: Summary, count: int, rate: float, wall: float, size: int) -> dict[str, Any]:
    stages = {stage: round(took / summary.seconds, 4) for stage, took in summary.stages.items()}
    processor = sum(summary.stages.values()) / summary.seconds
    return {
        "workers": count,
        "rate": rate or None,
        "video_minutes": round(summary.seconds / 60, 2),
        "processor_seconds_a_second_of_video": round(processor, 4),
        "by_stage": stages,
        "times_real_time_on_as_many_free_cores": round(count / processor, 2),
        "times_real_time_here": round(summary.seconds / wall, 2),
        "pictures": summary.pictures,
        "tubes": summary.tubes,
        "worker_megabytes": round(summary.memory / 1e6),
        "megabytes_a_second_of_video": round(size / summary.seconds / 1e6, 4),
    }


def _on_paper(run: dict[str, Any]) -> dict[str, Any]:
    """What follows from one worker's times if nothing but these times and the files' bytes counts: no measurement."""
    stages = run["by_stage"]
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
    stages = list(result["runs"][0]["by_stage"])
    caption = (
        "by stage: seconds of the processor for a second of video; times real time: with as many cores that are free"
    )
    table = Table(title=result["machine"], caption=caption)
    for column in ("workers", "rate", "minutes", "times real time", "here", "tubes", "MB a worker", "all", *stages):
        table.add_column(column, justify="right")
    for run in result["runs"]:
        speeds = (f"{run[name]:.1f}" for name in ("times_real_time_on_as_many_free_cores", "times_real_time_here"))
        what = (str(run["workers"]), f"{run['rate'] or 'all'}", f"{run['video_minutes']:.1f}")
        times = (f"{took:.3f}" for took in (run["processor_seconds_a_second_of_video"], *run["by_stage"].values()))
        table.add_row(*what, *speeds, str(run["tubes"]), str(run["worker_megabytes"]), *times)
    console.print(table)
    console.print("On paper, from one worker's times alone:")
    console.print_json(json.dumps(result["on_paper"]))
    if "kept" in result:
        console.print("Of what all pictures and all pairs tell (actions of at least 0.3, by the second; boxes):")
        console.print_json(json.dumps(result["kept"]))
