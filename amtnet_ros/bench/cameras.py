"""`amtnet bench cameras`: how many cameras one engine can serve, and at what rate."""

from __future__ import annotations

import json
import time
from concurrent.futures import ThreadPoolExecutor
from itertools import islice
from threading import Barrier
from typing import Any

import click
import numpy as np
from rich.console import Console
from rich.table import Table

from amtnet_ros.bench.machine import machine
from amtnet_ros.bench.pipeline import WARM_UP, moving_texture, quantiles
from amtnet_ros.command_options import device_option, json_option, model_option, precision_option
from amtnet_ros.contracts import UInt8
from amtnet_ros.inference.contract import Precision
from amtnet_ros.inference.factory import make_engine
from amtnet_ros.inference.shared_engine import SharedEngine
from amtnet_ros.pipeline import Pipeline, PipelineOptions

SIZE = (640, 480)


@click.command("cameras")
@model_option
@device_option
@precision_option
@click.option("--cameras", "counts", type=click.IntRange(1, 64), multiple=True, default=(1, 2, 4), show_default=True)
@click.option("--delta", type=click.IntRange(1, 64), default=1, show_default=True, help="Frames between a pair's two.")
@click.option("--frames", type=click.IntRange(5), default=40, show_default=True, help="Timed of each camera.")
@json_option
def bench_cameras(
    model: str, device: str, precision: Precision, counts: tuple[int, ...], delta: int, frames: int, as_json: bool
) -> None:
    """Cameras of 640x480 on one engine, whole pipelines with flow, each as fast as it goes: frames a second of each."""
    rows = []
    for count in counts:
        engine = make_engine(model, device, precision=precision)
        described = {"model": engine.card.name, "provider": engine.provider, "precision": engine.precision}
        rows.append(measure(SharedEngine(engine), count, delta, frames))
    result = {"bench": "cameras", "machine": machine(), **described, "delta": delta, "frames": frames, "cameras": rows}
    if as_json:
        click.echo(json.dumps(result, indent=2))
    else:
        show(result)


def measure(shared: SharedEngine, count: int, delta: int, frames: int) -> dict[str, Any]:
    """Run so many cameras, each in its own thread; the engine is closed afterwards."""
    pipelines = [Pipeline(shared.camera(), PipelineOptions(delta=delta)) for _ in range(count)]
    videos = [list(islice(moving_texture(SIZE, seed), WARM_UP + frames)) for seed in range(count)]
    together = Barrier(count)

    def watch(pipeline: Pipeline, video: list[UInt8]) -> list[float]:
        """Seconds of each frame after the warm-up."""
        seconds = []
        for number, image in enumerate(video):
            if number == WARM_UP:
                together.wait()
            begin = time.perf_counter()
            pipeline.push(round(number * 1e9 / pipeline.card.rate), image)
            seconds.append(time.perf_counter() - begin)
        return seconds[WARM_UP:]

    with ThreadPoolExecutor(count) as threads:
        seconds = np.array(list(threads.map(watch, pipelines, videos)), np.float32)
    for pipeline in pipelines:
        pipeline.close()
    batches = sum(shared.batches.values())
    return {
        "cameras": count,
        "frames_per_second_of_each": round(frames / float(seconds.sum(axis=1).max()), 2),
        "frames_per_second_together": round(count * frames / float(seconds.sum(axis=1).max()), 2),
        "milliseconds_a_frame": quantiles(seconds.ravel()),
        "frames_a_batch": round(sum(size * n for size, n in shared.batches.items()) / batches, 2),
    }


def show(result: dict[str, Any]) -> None:
    """The figures as a table."""
    table = Table(title=f"{result['model']} ({result['precision']}) on {result['machine']}, {result['provider']}")
    for column in ("cameras", "frames/s of each", "frames/s together", "median [ms]", "p95 [ms]", "frames a batch"):
        table.add_column(column, justify="right")
    for row in result["cameras"]:
        table.add_row(
            str(row["cameras"]),
            f"{row['frames_per_second_of_each']:.1f}",
            f"{row['frames_per_second_together']:.1f}",
            f"{row['milliseconds_a_frame']['median']:.1f}",
            f"{row['milliseconds_a_frame']['p95']:.1f}",
            f"{row['frames_a_batch']:.2f}",
        )
    Console().print(table)
