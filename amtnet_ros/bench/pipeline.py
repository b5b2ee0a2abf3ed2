"""`amtnet bench`: the pipeline's speed, stage by stage, on this machine."""

from __future__ import annotations

import itertools
import json
import math
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import click
import numpy as np
from rich.console import Console
from rich.progress import track
from rich.table import Table

from amtnet_ros.bench.machine import machine
from amtnet_ros.command_options import device_option, json_option, model_option, precision_option
from amtnet_ros.contracts import Float32, TubeState, UInt8
from amtnet_ros.errors import UserError
from amtnet_ros.inference.contract import EngineName, Precision
from amtnet_ros.inference.factory import make_actor_engine, make_engine
from amtnet_ros.inference.resize import RESIZE_PLACEMENTS, ResizePlacement
from amtnet_ros.media.video import open_source
from amtnet_ros.pipeline import STAGES, Pipeline, PipelineOptions

RATE = 30.0
WARM_UP = 12
"""Frames before the clock starts: the first window of flow fills, and caches warm."""


@click.command("pipeline")
@model_option
@device_option
@click.option("--engine", type=click.Choice(["auto", "onnxruntime", "torch"]), default="auto", show_default=True)
@precision_option
@click.option(
    "--resize", type=click.Choice(RESIZE_PLACEMENTS), default="auto", show_default=True, help="Of images: where."
)
@click.option("--threads", type=click.IntRange(0), default=0, show_default=True, help="Of the engine; 0 is one a core.")
@click.option("--delta", type=click.IntRange(1, 64), default=1, show_default=True, help="Frames between a pair's two.")
@click.option("--actor-stream/--no-actor-stream", default=True, help="Look at persons, where the model can.")
@click.option("--frames", type=click.IntRange(10), default=200, show_default=True, help="How many are timed.")
@click.option(
    "--video",
    "videos",
    multiple=True,
    help="Instead of a moving texture this video, to and fro; of several, all in one picture, in rows.",
)
@click.option("--size", default="640x480", show_default=True, help="Width x height of what is shown.")
@click.option("--seed", type=int, default=0, show_default=True)
@json_option
def bench_pipeline(
    model: str,
    device: str,
    engine: EngineName,
    precision: Precision,
    resize: ResizePlacement,
    threads: int,
    delta: int,
    actor_stream: bool,
    frames: int,
    videos: tuple[str, ...],
    size: str,
    seed: int,
    as_json: bool,
) -> None:
    """Flow, both trunks, heads, selection, linking and looks at persons: milliseconds a stage and frames a second,
    decoding excluded."""
    images = in_rows(videos, _parse_size(size)) if videos else moving_texture(_parse_size(size), seed)
    loaded = make_engine(model, device, engine=engine, precision=precision, threads=threads, resize=resize)
    looks = actor_stream and loaded.card.actor is not None
    actors = make_actor_engine(model, device, engine=engine, precision=precision, threads=threads) if looks else None
    pipeline = Pipeline(loaded, PipelineOptions(delta=delta), actors=actors)
    stages, totals, persons = measure(pipeline, images, frames)
    result = {
        "bench": "pipeline",
        "machine": machine(),
        "model": pipeline.card.name,
        "precision": pipeline.precision,
        "provider": pipeline.provider,
        "resize": resize,
        "delta": delta,
        "actor_stream": looks,
        "frames": frames,
        "source": f"{' '.join(Path(video).name for video in videos) or f'moving texture, seed {seed}'}, {size}",
        "persons": round(float(persons.mean()), 2),
        "frames_per_second": round(1.0 / float(totals.mean()), 2),
        "milliseconds": {name: quantiles(values) for name, values in (*stages.items(), ("whole", totals))},
        "peak_memory_mib": peak_memory(),
    }
    if as_json:
        click.echo(json.dumps(result, indent=2))
    else:
        show(result)


def measure(pipeline: Pipeline, images: Iterator[UInt8], frames: int) -> tuple[dict[str, Float32], Float32, Float32]:
    """Seconds of each stage, and of the whole push, for each of `frames` frames after the warm-up; and how many persons
    had an ACTIVE tube at each."""
    latencies: dict[str, list[float]] = {stage: [] for stage in STAGES}
    totals, persons = [], [0]
    console = Console(stderr=True)
    numbered = enumerate(itertools.islice(images, WARM_UP + frames))
    for number, image in track(numbered, "timing", total=WARM_UP + frames, console=console, transient=True):
        begin = time.perf_counter()
        updates = pipeline.push(round(number / RATE * 1e9), image)
        elapsed = time.perf_counter() - begin
        active = [sum(tube.state == TubeState.ACTIVE for tube in update.tubes) for update in updates]
        if number >= WARM_UP:
            totals.append(elapsed)
            persons.append((active or persons)[-1])
            for stage in STAGES:
                latencies[stage].append(pipeline.latency[stage])
    if len(totals) < frames:
        raise UserError(f"the source ended after {len(totals)} timed frames; {frames} were asked for")
    seconds = {stage: np.array(values, np.float32) for stage, values in latencies.items()}
    return seconds, np.array(totals, np.float32), np.array(persons[1:], np.float32)


def quantiles(seconds: Float32) -> dict[str, float]:
    """Median, 95th and 99th percentile and mean, in milliseconds."""
    values = {name: float(np.quantile(seconds, q)) for name, q in (("median", 0.5), ("p95", 0.95), ("p99", 0.99))}
    values["mean"] = float(seconds.mean())
    return {name: round(value * 1000, 3) for name, value in values.items()}


def moving_texture(size: tuple[int, int], seed: int) -> Iterator[UInt8]:
    """Endless frames (height, width, 3) uint8: a smooth texture that drifts, so that flow has something to do."""
    import cv2

    width, height = size
    rng = np.random.default_rng(seed)
    noise = cv2.GaussianBlur(rng.uniform(0, 255, (2 * height, 2 * width, 3)).astype(np.float32), (0, 0), 4)
    low, high = float(noise.min()), float(noise.max())
    texture = ((noise - low) * (255 / (high - low))).astype(np.uint8)
    for t in itertools.count():
        x, y = (3 * t) % width, (2 * t) % height
        yield np.ascontiguousarray(texture[y : y + height, x : x + width])


def in_rows(videos: Sequence[str], size: tuple[int, int]) -> Iterator[UInt8]:
    """Endless frames (height, width, 3) uint8 of that size (width, height), with all videos side by side, in rows.

    Each runs to and fro, so that nothing is cut.
    """
    import cv2

    width, height = size
    columns = math.ceil(math.sqrt(len(videos)))
    field = (width // columns, height // columns)
    shows = []
    for video in videos:
        images = [cv2.resize(image, field) for image in itertools.islice(open_source(video), 300)]
        shows.append(itertools.cycle(images + images[-2:0:-1]))
    while True:
        picture = np.full((height, width, 3), 128, np.uint8)
        for number, show in enumerate(shows):
            y, x = (number // columns) * field[1], (number % columns) * field[0]
            picture[y : y + field[1], x : x + field[0]] = next(show)
        yield picture


def show(result: dict[str, Any]) -> None:
    """The figures as a table."""
    title = f"{result['model']} ({result['precision']}) on {result['machine']}, {result['provider']}"
    rate, persons = f"{result['frames_per_second']} frames a second", f"{result['persons']} persons in view"
    table = Table(title=title, caption=f"{rate} at delta {result['delta']}, {persons}")
    table.add_column("stage")
    for column in ("median", "p95", "p99", "mean"):
        table.add_column(f"{column} [ms]", justify="right")
    for stage, values in result["milliseconds"].items():
        table.add_row(stage, *(f"{values[column]:.2f}" for column in ("median", "p95", "p99", "mean")))
    Console().print(table)


def peak_memory() -> int:
    """Most memory this process ever held, in MiB."""
    import resource

    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024


def _parse_size(text: str) -> tuple[int, int]:
    try:
        width, height = (int(part) for part in text.split("x"))
    except ValueError:
        raise UserError(f"--size {text}: must look like 640x480") from None
    if min(width, height) < 16:
        raise UserError(f"--size {text}: at least 16x16")
    return width, height
