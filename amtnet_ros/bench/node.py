"""`amtnet bench node`: the detector through real DDS, from an image's stamp to its tubes."""

from __future__ import annotations

import json
from typing import Any

import click
from rich.console import Console
from rich.table import Table

from amtnet_ros.bench.machine import machine
from amtnet_ros.command_options import device_option, json_option, model_option

IDLE_SECONDS = 10.0


@click.command("node")
@model_option
@device_option
@click.option(
    "--size", "sizes", multiple=True, default=("640x480", "1920x1080"), show_default=True, help="Of the images."
)
@click.option("--rate", type=click.FloatRange(1, 120), default=10.0, show_default=True, help="Images a second.")
@click.option("--images", type=click.IntRange(20), default=100, show_default=True, help="How many are timed a size.")
@json_option
def bench_node(model: str, device: str, sizes: tuple[str, ...], rate: float, images: int, as_json: bool) -> None:
    """Latency from an image's stamp to the receipt of its tubes, the node's share of it, and its CPU time while idle.

    A process publishes images, the detector is another. The overhead is the latency less what the
    pipeline's stages took by the detector's own account. Idle is a detector that was deactivated, while
    the camera goes on. Last, the live page: what it costs while nobody looks at it, one, or five, with images of the
    first size.
    """
    from amtnet_ros.bench.node_measures import measure_idle, measure_node
    from amtnet_ros.bench.page import measure_page

    console = Console(stderr=True)
    results = []
    for size in sizes:
        with console.status(f"{size} at {rate:g} Hz"):
            results.append(measure_node(model, device, size, rate, images))
    with console.status("deactivated"):
        idle = measure_idle(model, device, IDLE_SECONDS)
    with console.status("the live page"):
        page = measure_page(model, device, sizes[0], rate, images)
    report: dict[str, Any] = {"bench": "node", "machine": machine(), "model": model, "rate": rate, "sizes": results}
    report |= {"idle_cpu_percent": round(idle, 2), "page": page}
    if as_json:
        click.echo(json.dumps(report, indent=2))
        return
    _print(report)


def _print(report: dict[str, Any]) -> None:
    console = Console()
    table = Table("size", "stamp to tubes, median [ms]", "p95 [ms]", "overhead, median [ms]", "answered")
    for row in report["sizes"]:
        latency, overhead = row["latency_ms"], f"{row['overhead_ms']['median']:.1f}"
        table.add_row(row["size"], f"{latency['median']:.1f}", f"{latency['p95']:.1f}", overhead, row["answered"])
    console.print(table)
    console.print(f"deactivated: {report['idle_cpu_percent']:.1f} % of a core")
    columns = ("stamp to tubes, median [ms]", "ratio", "detector's CPU time, ratio", "viewer [% of a core]", "pictures")
    table = Table("people at the page", *columns)
    for row in report["page"]:
        ratios = f"{row['latency_ratio']:.2f}", f"{row['detector_cpu_ratio']:.2f}"
        cost, median = f"{row['viewer_cpu_percent']:.1f}", f"{row['latency_ms']['median']:.1f}"
        table.add_row(str(row["viewers"]), median, *ratios, cost, str(row["pictures_each"]))
    console.print(table)
