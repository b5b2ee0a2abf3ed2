"""`amtnet bench flow`: the engines of optical flow side by side, how fast and how right they are."""

from __future__ import annotations

import json
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from importlib.util import find_spec
from itertools import islice
from pathlib import Path
from typing import Any

import click
import cv2
import numpy as np
from rich.console import Console
from rich.progress import track
from rich.table import Table

from amtnet_ros.bench.machine import machine
from amtnet_ros.bench.synthetic_flow import (
    KINDS,
    FlowSample,
    end_point_error,
    noise_texture,
    photometric_error,
    samples,
)
from amtnet_ros.command_options import data_root_option, json_option
from amtnet_ros.contracts import Float32, UInt8
from amtnet_ros.data.sources import read_dataset
from amtnet_ros.errors import UserError
from amtnet_ros.flow.contract import WORKING_SIZE, FlowEngine, to_grey, to_working_size
from amtnet_ros.flow.encoding import encode_flow
from amtnet_ros.flow.factory import ENGINES, make_flow
from amtnet_ros.flow.onnx_graph import write_flow_graph
from amtnet_ros.media.video import open_source

DEFAULT = ("dis:ultrafast", "dis:fast", "dis:medium", "brox:fast", "brox:paper", "onnx:brox:fast")
"""`onnx:brox:fast` is the graph of brox:fast, written for the occasion."""
PARTS = ("accuracy", "speed")

Pair = tuple[UInt8, UInt8]


@click.command("flow")
@click.option("--engine", "engines", multiple=True, default=DEFAULT, help=f"Repeatable; {ENGINES}.  [default: all]")
@click.option(
    "--part", "parts", multiple=True, type=click.Choice(PARTS), default=PARTS, help="Repeatable.  [default: both]"
)
@click.option("--pairs", type=click.IntRange(1), default=8, show_default=True, help="Synthetic pairs of each kind.")
@click.option("--clips", type=click.IntRange(0), default=40, show_default=True, help="Real clips, one pair of each.")
@click.option(
    "--batch", type=click.IntRange(2), default=8, show_default=True, help="Pairs at once, as of many cameras."
)
@click.option("--seconds", type=click.FloatRange(0.05), default=1.0, show_default=True, help="Spent on each timing.")
@click.option("--seed", type=int, default=1, show_default=True)
@json_option
@data_root_option
def bench_flow(
    engines: tuple[str, ...],
    parts: tuple[str, ...],
    pairs: int,
    clips: int,
    batch: int,
    seconds: float,
    seed: int,
    as_json: bool,
    data_root: Path,
) -> None:
    """Milliseconds a pair at 320x240, encoding included; end-point error on synthetic motion; agreement on real clips.

    Textures and real pairs are from J-HMDB-21 clips; where these are not at hand, textures are random.
    """
    real = _real_pairs(data_root, clips, seed)
    rng = np.random.default_rng(seed)
    textures = [previous for previous, _ in real] or [noise_texture(rng) for _ in range(20)]
    synthetic = samples(textures, pairs, seed=seed)
    result: dict[str, Any] = {
        "bench": "flow",
        "machine": machine(),
        "gpu": _gpu(),
        "working_size": list(WORKING_SIZE),
        "textures": "J-HMDB-21" if real else "random",
        "synthetic_pairs": len(synthetic),
        "real_pairs": len(real),
        "seed": seed,
    }
    console = Console(stderr=True)
    with tempfile.TemporaryDirectory() as folder:
        specs = {name: _spec(name, Path(folder)) for name in engines}
        if "speed" in parts:
            result["speed"] = [
                row
                for name in track(engines, "speed", console=console)
                for row in _speed(name, specs[name], synthetic[0], batch, seconds)
            ]
        if "accuracy" in parts:
            accuracy, fields = {}, {}
            for name in track(engines, "accuracy", console=console):
                accuracy[name], fields[name] = _accuracy(make_flow(specs[name]), synthetic, real)
            agreement = {a: {b: _agreement(fields[a], fields[b]) for b in engines} for a in engines} if real else {}
            result |= {"accuracy": accuracy, "agreement": agreement}
    if as_json:
        click.echo(json.dumps(result, indent=2))
    else:
        _show(result)


def _real_pairs(data_root: Path, count: int, seed: int) -> list[Pair]:
    """Two neighbouring frames from the middle of each of some J-HMDB-21 clips; none where the data are missing."""
    try:
        dataset = read_dataset("jhmdb21:1", data_root)
    except UserError:
        return []
    videos = [video for video in dataset.videos.values() if video.path is not None]
    chosen = np.random.default_rng(seed).permutation(len(videos))[:count]
    result = []
    for i in chosen:
        video = videos[i]
        middle = video.n_frames // 2
        previous, current = islice(open_source(str(video.path)), middle - 1, middle + 1)
        result.append((to_working_size(previous, WORKING_SIZE), to_working_size(current, WORKING_SIZE)))
    return result


def _spec(name: str, folder: Path) -> str:
    """What make_flow calls the engine; `onnx:brox:<preset>` is written first."""
    if not name.startswith("onnx:brox"):
        return name
    file = folder / f"{name.replace(':', '-')}.onnx"
    write_flow_graph(name.removeprefix("onnx:"), file)
    return f"onnx:{file}"


def _accuracy(
    engine: FlowEngine, synthetic: Sequence[FlowSample], real: Sequence[Pair]
) -> tuple[dict[str, Any], list[Float32]]:
    """Errors on both sets, and the fields of the real one."""
    flows = [engine(sample.previous, sample.current) for sample in synthetic]
    errors = [end_point_error(flow, s.flow, s.valid) for flow, s in zip(flows, synthetic, strict=True)]
    visible = [end_point_error(flow, s.flow, s.visible) for flow, s in zip(flows, synthetic, strict=True)]
    by_kind = {k: [e for e, s in zip(errors, synthetic, strict=True) if s.kind == k] for k in KINDS}
    result: dict[str, Any] = {
        "end_point_error": {
            **{kind: round(float(np.mean(values)), 3) for kind, values in by_kind.items()},
            "all": round(float(np.mean(errors)), 3),
            "median": round(float(np.median(errors)), 3),
            "visible": round(float(np.mean(visible)), 3),
        }
    }
    fields = [engine(previous, current) for previous, current in real]
    if real:
        greys = [(to_grey(a, WORKING_SIZE), to_grey(b, WORKING_SIZE)) for a, b in real]
        result["photometric_error"] = _mean(photometric_error(*g, f) for g, f in zip(greys, fields, strict=True))
        result["photometric_error_without_flow"] = _mean(photometric_error(*g, np.zeros_like(fields[0])) for g in greys)
    return result, fields


def _mean(values: Iterator[float]) -> float:
    return round(float(np.mean(list(values))), 3)


def _agreement(first: Sequence[Float32], second: Sequence[Float32]) -> float:
    """Mean end-point difference over the real pairs, in pixels."""
    return _mean(end_point_error(a, b) for a, b in zip(first, second, strict=True))


def _speed(name: str, spec: str, sample: FlowSample, batch: int, seconds: float) -> Iterator[dict[str, Any]]:
    """Rows of the speed table: each device, one pair and several, and on the CPU one core and all."""
    many = tuple(np.stack([image] * batch) for image in (sample.previous, sample.current))
    for device in ("cpu", *(["cuda"] if name.partition(":")[0] != "dis" and _has_gpu(name) else [])):
        engine = make_flow(spec, device=device)

        def one(engine: FlowEngine = engine) -> None:
            encode_flow(engine(sample.previous, sample.current))

        def several(engine: FlowEngine = engine) -> None:
            for vectors in engine.batch(*many):
                encode_flow(vectors)

        row = {"engine": name, "device": device}
        if device == "cpu" and not name.startswith("onnx"):
            with _one_thread():
                yield {**row, "cores": 1, "pairs_at_once": 1, **_timing(one, seconds, 1)}
        cores = "all" if device == "cpu" else None
        yield {**row, "cores": cores, "pairs_at_once": 1, **_timing(one, seconds, 1)}
        yield {**row, "cores": cores, "pairs_at_once": batch, **_timing(several, seconds, batch)}


def _timing(work: Callable[[], None], seconds: float, pairs: int) -> dict[str, float]:
    """Milliseconds a pair over the calls that fit into the time, three at least.

    median_ms, best_ms: by the clock. cpu_ms: mean time on its cores, which a busy machine changes less.
    """
    work()
    times: list[float] = []
    cpu = time.process_time()
    while len(times) < 3 or sum(times) < seconds:
        start = time.perf_counter()
        work()
        times.append(time.perf_counter() - start)
    cpu = (time.process_time() - cpu) / len(times)
    figures = {"median_ms": float(np.median(times)), "best_ms": min(times), "cpu_ms": cpu}
    return {name: round(1e3 * value / pairs, 3) for name, value in figures.items()}


@contextmanager
def _one_thread() -> Iterator[None]:
    """OpenCV and torch on one core."""
    opencv = cv2.getNumThreads()
    cv2.setNumThreads(1)
    torch = __import__("torch") if find_spec("torch") else None
    threads = torch.get_num_threads() if torch else 0
    if torch:
        torch.set_num_threads(1)
    try:
        yield
    finally:
        cv2.setNumThreads(opencv)
        if torch:
            torch.set_num_threads(threads)


def _has_gpu(name: str) -> bool:
    if name.startswith("onnx"):
        import onnxruntime

        return "CUDAExecutionProvider" in onnxruntime.get_available_providers()
    return _gpu() is not None


def _gpu() -> str | None:
    """The GPU's name, where torch sees one."""
    if not find_spec("torch"):
        return None
    import torch

    return torch.cuda.get_device_name() if torch.cuda.is_available() else None


def _show(result: dict[str, Any]) -> None:
    console = Console()
    console.print(f"{result['machine']}, {result['gpu'] or 'no GPU'}")
    if "speed" in result:
        console.print(_speed_table(result))
    if "accuracy" in result:
        console.print(_accuracy_table(result))
        if result["agreement"]:
            console.print(_agreement_table(result))


def _speed_table(result: dict[str, Any]) -> Table:
    table = Table(title="Flow at 320x240")
    for column in ("engine", "device", "cores", "pairs at once", "ms a pair", "best", "CPU", "pairs a second"):
        table.add_column(column, justify="left" if column in ("engine", "device") else "right")
    for row in result["speed"]:
        times = [f"{row[key]:.2f}" for key in ("median_ms", "best_ms", "cpu_ms")]
        cells = [str(row[key] or "") for key in ("engine", "device", "cores", "pairs_at_once")]
        table.add_row(*cells, *times, f"{1e3 / row['median_ms']:.0f}")
    return table


def _accuracy_table(result: dict[str, Any]) -> Table:
    columns = [*KINDS, "all", "median", "visible"]
    title = f"End-point error in pixels, {result['synthetic_pairs']} pairs, {result['textures']} textures"
    table = Table("engine", title=title)
    for column in (*columns, "photometric"):
        table.add_column(column, justify="right")
    for engine, values in result["accuracy"].items():
        errors = values["end_point_error"]
        table.add_row(engine, *(f"{errors[c]:.3f}" for c in columns), str(values.get("photometric_error", "")))
    return table


def _agreement_table(result: dict[str, Any]) -> Table:
    table = Table("", title=f"Difference between engines in pixels, {result['real_pairs']} real pairs")
    for engine in result["agreement"]:
        table.add_column(engine, justify="right")
    for engine, row in result["agreement"].items():
        table.add_row(engine, *(f"{value:.2f}" for value in row.values()))
    return table
