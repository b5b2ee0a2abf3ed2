"""`amtnet run`: action tubes in a video, a webcam or a folder of images, without ROS."""

from __future__ import annotations

import time
from functools import partial
from pathlib import Path
from typing import Any

import click
from rich.console import Console
from rich.progress import track

from amtnet_ros.cli.sinks import Sinks, Wanted, opened_sinks
from amtnet_ros.command_options import page_options, settings_from, settings_options
from amtnet_ros.files import check_distinct
from amtnet_ros.media.live import LiveSource
from amtnet_ros.media.tube_lines import table_of
from amtnet_ros.media.video import Source, files_of, open_source
from amtnet_ros.pipeline import Pipeline
from amtnet_ros.program import Interruption, interruption
from amtnet_ros.view.rerun_log import check_target


@click.command()
@click.argument("source")
@click.option(
    "--tubes", "tubes_file", type=click.Path(path_type=Path), help="JSON lines to write.  [default: beside OUT]"
)
@click.option(
    "-o", "--out", type=click.Path(path_type=Path), default=Path("tubes.mp4"), show_default=True, help="Video."
)
@click.option("--width", type=click.IntRange(64), default=1280, show_default=True, help="The video's width at most.")
@click.option("--no-video", is_flag=True, help="Write the tubes only.")
@click.option(
    "--events/--no-events",
    default=None,
    help="Print a line when an action begins and when it ends.  [default: of a webcam]",
)
@click.option("--view", is_flag=True, help="Show it on a local web page, live.")
@page_options
@click.option("--rerun", metavar="FILE|spawn", help="Log it for Rerun: an .rrd file to write, or its viewer, live.")
@settings_options()
def run(
    source: str,
    tubes_file: Path | None,
    out: Path,
    width: int,
    no_video: bool,
    events: bool | None,
    view: bool,
    view_host: str,
    view_port: int | None,
    rerun: str | None,
    **given: Any,
) -> None:
    """Find action tubes in SOURCE: a video file, a folder of images, a webcam (0, 1, …; Ctrl-C ends it), or a stream
    (rtsp://…).

    What a ROS parameter of the detector is called, is called the same here, with hyphens for dots and underscores:
    link.max_misses is --link-max-misses.
    """
    console = Console(stderr=True)
    settings = settings_from(given)
    opened = open_source(source, partial(console.print, markup=False, highlight=False, soft_wrap=True))
    wanted = Wanted(
        tubes=tubes_file or out.with_suffix(".jsonl"),
        video=None if no_video else out,
        width=width,
        events=isinstance(opened, LiveSource) if events is None else events,
        page=(view_host, view_port) if view else None,
        rerun=rerun,
    )
    if rerun:
        check_target(rerun)  # before a model is loaded
    for number, output in enumerate(wanted.files):
        check_distinct(output, *files_of(opened), *wanted.files[:number])
    with console.status(f"loading {settings['model']}"):
        pipeline = Pipeline.from_model(settings["model"], settings["device"], settings.options, settings["precision"])
    console.print(f"{pipeline.card.name} on {pipeline.provider}, {pipeline.precision}", highlight=False)
    with interruption() as ending:
        with opened_sinks(wanted, source, opened.rate, settings.style, pipeline, console) as sinks:
            count, seconds = _watch(opened, sinks, ending, console)
            if ending.is_set():
                console.print("interrupted: writing what was found so far")
            sinks.take(pipeline.finish())
        summaries = sinks.findings.summaries
        Console().print(table_of(summaries, 0))
        if not any(tube.confirmed for tube in summaries):
            click.echo(f"No action tube was found in {source}: nobody was seen for long enough to be sure.")
        console.print(f"{count} frames, {count / max(seconds, 1e-9):.1f} a second without decoding and drawing")
        click.echo(str(sinks.written(wanted)))
    if sinks.failed:
        raise click.exceptions.Exit(2)


def _watch(source: Source, sinks: Sinks, ending: Interruption, console: Console) -> tuple[int, float]:
    """Run the pipeline over the source. Returns the number of frames and the seconds the pipeline took."""
    count, seconds = 0, 0.0
    images = ending.over(source.stamped())
    for stamp, image in track(images, "watching", total=source.frames or None, console=console, transient=True):
        sinks.show(stamp, image)
        begin = time.perf_counter()
        updates = sinks.pipeline.push(stamp, image)
        seconds += time.perf_counter() - begin
        sinks.take(updates)
        count += 1
    return count, seconds
