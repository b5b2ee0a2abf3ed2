"""`amtnet bench engines`: the engines side by side, and how much faster than the network run as it was published."""

from __future__ import annotations

import json
import os
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from importlib.util import find_spec
from itertools import islice, pairwise
from pathlib import Path
from typing import Any

import click
import numpy as np
from rich.console import Console
from rich.progress import track
from rich.table import Table

from amtnet_ros.bench.machine import machine
from amtnet_ros.bench.pipeline import moving_texture, quantiles
from amtnet_ros.command_options import device_option, json_option, model_option
from amtnet_ros.contracts import Frame, MicroTubes, UInt8
from amtnet_ros.errors import UserError
from amtnet_ros.files import WholeFile, cache_folder
from amtnet_ros.inference.card import ModelCard, find_model, read_card
from amtnet_ros.inference.contract import Encoded, Engine, EngineName, Precision, Selection
from amtnet_ros.inference.factory import make_engine
from amtnet_ros.inference.gpu import gpu_energy, gpu_memory

SELECTION = Selection(score_threshold=0.01, nms_iou=0.45, max_per_class=20)
"""As in the authors' release."""
RELEASED, UNSPLIT = "as released", "unsplit"
TURN = 4
"""Pairs that a candidate is timed for before it is the next one's turn; one before them finds caches warm again."""

Observed = tuple[Frame, UInt8 | None]
Way = Callable[[Observed, Observed], MicroTubes]


@dataclass
class Candidate:
    """One way to get from two frames to micro-tubes, and what was measured of it.

    memory: MiB that it took to load and to run a pair: of the GPU it is on, else of this process.
    energy: joules of the GPU, in all.
    """

    name: str
    provider: str
    precision: str
    way: Way
    memory: int
    seconds: list[float] = field(default_factory=list)
    energy: float | None = None


@click.command("engines")
@model_option
@click.option("--trunk", help="Instead of a model: a two-stream network of this trunk with random weights, e.g. vgg16.")
@device_option
@click.option(
    "--threads", type=click.IntRange(0), default=0, show_default=True, help="Of the engines; 0 is one a core."
)
@click.option("--pairs", type=click.IntRange(3), default=40, show_default=True, help="Timed of each candidate.")
@click.option("--size", default="640x480", show_default=True, help="Width x height of the frames.")
@click.option("--picture", type=click.Path(path_type=Path), help="Draw the bars to this PNG.")
@json_option
def bench_engines(
    model: str,
    trunk: str | None,
    device: str,
    threads: int,
    pairs: int,
    size: str,
    picture: Path | None,
    as_json: bool,
) -> None:
    """A pair of frames to micro-tubes by every engine, and by the network run as it was published; flow excluded.

    An engine encodes the newer frame and detects; as published, both frames pass the trunks in eager torch, all priors
    are softmaxed and copied to the host, and NumPy suppresses class by class. Candidates take turns.
    """
    console = Console(stderr=True)
    with console.status("preparing"):
        folder = find_model(model) if trunk is None else _random_model(trunk)
        card = read_card(folder)
        frames = _observed(card, size)
        candidates = list(_candidates(folder, card, device, threads, (next(frames), next(frames)), console))
    _take_turns(candidates, frames, pairs, console)
    result = _result(card, candidates, size, random_weights=trunk is not None)
    if picture is not None:
        draw(result, picture)
    if as_json:
        click.echo(json.dumps(result, indent=2))
    else:
        show(result)


def _candidates(
    folder: Path, card: ModelCard, device: str, threads: int, pair: tuple[Observed, Observed], console: Console
) -> Iterator[Candidate]:
    """Everything that can run the model here, the release's way first; each is loaded, and runs a pair, when asked."""
    from amtnet_ros.inference.device import choose_device

    chosen = choose_device(device)
    on_torch = "cpu" if chosen.kind == "cpu" else f"cuda:{chosen.index}"
    ways: list[tuple[EngineName, str, Precision]] = [("onnxruntime", chosen.name, card.precision)]
    if card.int8 is not None and chosen.kind == "cpu":
        ways.append(("onnxruntime", chosen.name, "int8"))
    if find_spec("torch") is None:
        console.print("torch is not installed: without the network as published, and without the torch engine")
    else:
        yield from _published(folder, card, on_torch, threads, pair)
        ways.append(("torch", on_torch, "auto"))
    for engine_name, on, precision in ways:
        before = _held(on_torch)
        engine = make_engine(folder, on, engine=engine_name, precision=precision, threads=threads)
        way = _Split(engine)
        way(*pair)
        yield Candidate(engine_name, engine.provider, engine.precision, way, _held(on_torch) - before)


def _published(
    folder: Path, card: ModelCard, device: str, threads: int, pair: tuple[Observed, Observed]
) -> Iterator[Candidate]:
    """The network in eager torch, with both ways of selection."""
    import torch

    from amtnet_ros.bench.paired_network import PairedNetwork

    if threads:
        torch.set_num_threads(threads)
    before = _held(device)
    network = PairedNetwork(folder, card, torch.device(device))
    for name, way in ((RELEASED, network.as_released), (UNSPLIT, network.unsplit)):
        way(*pair, SELECTION)
        yield Candidate(name, f"torch {device}", "fp32", _with_selection(way), _held(device) - before)


def _with_selection(way: Callable[[Observed, Observed, Selection], MicroTubes]) -> Way:
    return lambda at_t, later: way(at_t, later, SELECTION)


class _Split:
    """Encode once, detect any pair: the older frame of a pair was encoded as the newer one of the pair before."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine
        self._before: tuple[int, Encoded] | None = None

    def __call__(self, at_t: Observed, later: Observed) -> MicroTubes:
        if self._before is None or self._before[0] != at_t[0].index:
            self._before = at_t[0].index, self._engine.encode(*at_t)
        encoded = self._engine.encode(*later)
        found = self._engine.detect(self._before[1], encoded, SELECTION)
        self._before = later[0].index, encoded
        return found


def _take_turns(candidates: Sequence[Candidate], frames: Iterator[Observed], pairs: int, console: Console) -> None:
    """Time at least `pairs` pairs of every candidate."""
    for _ in track(range(-(-pairs // TURN)), "timing", console=console, transient=True):
        window = list(islice(frames, TURN + 2))
        for candidate in candidates:
            candidate.way(window[0], window[1])
            energy = gpu_energy(candidate.provider)
            for at_t, later in pairwise(window[1:]):
                begin = time.perf_counter()
                candidate.way(at_t, later)
                candidate.seconds.append(time.perf_counter() - begin)
            if energy is not None:
                candidate.energy = (candidate.energy or 0.0) + (gpu_energy(candidate.provider) or energy) - energy


def _observed(card: ModelCard, size: str) -> Iterator[Observed]:
    """Frames of a moving texture with flow stacks that fit it."""
    width, height = (int(part) for part in size.split("x")) if size.count("x") == 1 else (0, 0)
    if min(width, height) < 16:
        raise UserError(f"--size {size}: must look like 640x480, at least 16x16")
    side, rng = card.image_size, np.random.default_rng(0)
    stack = None
    for number, image in enumerate(moving_texture((width, height), 0)):
        if card.flow is not None:
            stack = rng.integers(118, 139, (side, side, 3 * card.flow.length), dtype=np.uint8)
        yield Frame(number, round(number * 1e9 / card.rate), image), stack


def _random_model(trunk: str) -> Path:
    """The folder of a two-stream network with random weights; kept, since writing a large one takes minutes."""
    from amtnet_ros.bench.random_model import write_random_model

    folder = cache_folder() / "bench" / f"random-{trunk}"
    if not folder.is_dir():
        write_random_model(trunk, folder)
    return folder


def _result(card: ModelCard, candidates: Sequence[Candidate], size: str, random_weights: bool) -> dict[str, Any]:
    medians = {candidate.name: float(np.median(candidate.seconds)) for candidate in candidates}
    rows = []
    for candidate in candidates:
        seconds = np.array(candidate.seconds, np.float32)
        row: dict[str, Any] = {
            "engine": candidate.name,
            "provider": candidate.provider,
            "precision": candidate.precision,
            "milliseconds_a_pair": quantiles(seconds),
            "pairs_per_second": round(1 / float(seconds.mean()), 2),
            "memory_mib": candidate.memory,
        }
        for name in (RELEASED, UNSPLIT):
            if name in medians:
                row[f"times_as_fast_as_{name.replace(' ', '_')}"] = round(medians[name] / float(np.median(seconds)), 2)
        if candidate.energy is not None:
            row["joules_a_pair"] = round(candidate.energy / len(seconds), 4)
        rows.append(row)
    return {
        "bench": "engines",
        "machine": machine(),
        "model": card.name,
        "trunk": card.trunk,
        "streams": list(card.streams),
        "weights": "random" if random_weights else "trained",
        "pairs": len(candidates[0].seconds),
        "size": size,
        "engines": rows,
    }


def show(result: dict[str, Any]) -> None:
    """The figures as a table."""
    table = Table(
        title=f"{result['model']} ({result['weights']} weights) on {result['machine']}",
        caption="milliseconds a pair of frames; × how many times as fast as",
    )
    for column in ("engine", ""):
        table.add_column(column, no_wrap=True)
    for column in ("median", "p95", "p99", "pairs/s", "× released", "× unsplit", "MiB"):
        table.add_column(column, justify="right")
    with_energy = any("joules_a_pair" in row for row in result["engines"])
    if with_energy:
        table.add_column("J", justify="right")
    for row in result["engines"]:
        times = (
            f"{row[f'times_as_fast_as_{name}']:.2f}" if f"times_as_fast_as_{name}" in row else "–" for name in _KEYS
        )
        table.add_row(
            row["engine"],
            row["precision"],
            *(f"{row['milliseconds_a_pair'][name]:.1f}" for name in ("median", "p95", "p99")),
            f"{row['pairs_per_second']:.2f}",
            *times,
            str(row["memory_mib"]),
            *([f"{row.get('joules_a_pair', 0):.3f}"] if with_energy else []),
        )
    Console().print(table)


_KEYS = tuple(name.replace(" ", "_") for name in (RELEASED, UNSPLIT))


def draw(result: dict[str, Any], path: Path) -> None:
    """Pairs a second of every candidate as bars, in a PNG. Raises UserError where matplotlib is missing."""
    if find_spec("matplotlib") is None:
        raise UserError("--picture needs matplotlib: pip install matplotlib")
    from matplotlib.figure import Figure

    rows = result["engines"]
    figure = Figure(figsize=(7, 0.6 + 0.5 * len(rows)), layout="constrained")
    axes = figure.add_subplot()
    names = [f"{row['engine']}, {row['precision']}" for row in rows]
    colours = ["0.6" if row["engine"] in (RELEASED, UNSPLIT) else "tab:blue" for row in rows]
    bars = axes.barh(names, [row["pairs_per_second"] for row in rows], color=colours)
    key = f"times_as_fast_as_{_KEYS[0]}"
    labels = [f"{row['pairs_per_second']:.2f}" + (f"  (× {row[key]:.1f})" if key in row else "") for row in rows]
    axes.bar_label(bars, labels, padding=4)
    axes.invert_yaxis()
    axes.margins(x=0.3)
    axes.set_xlabel("pairs a second, flow excluded")
    axes.set_title(f"{result['model']} on {result['machine']}", fontsize="medium")
    with WholeFile(path) as temporary:
        figure.savefig(temporary, format="png", dpi=150)


def _held(device: str) -> int:
    """Memory in use now, in MiB: of the GPU, else of this process."""
    if (memory := gpu_memory(device)) is not None:
        return memory[0] >> 20
    pages = int(Path("/proc/self/statm").read_text().split()[1])
    return pages * os.sysconf("SC_PAGE_SIZE") >> 20
