"""`amtnet run`: action tubes in a video, a webcam or a folder of images, without ROS."""

from __future__ import annotations

import sys
import time
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import click
from rich.console import Console
from rich.progress import track

from amtnet_ros.command_options import settings_from, settings_options
from amtnet_ros.contracts import TubeUpdate
from amtnet_ros.files import check_distinct
from amtnet_ros.media.events import ActionEvents
from amtnet_ros.media.findings import Findings
from amtnet_ros.media.tube_lines import table_of
from amtnet_ros.media.video import Source, files_of, open_source
from amtnet_ros.pipeline import Pipeline


@dataclass
class _Sinks:
    """Where tubes and images go. events: None where they were not asked for."""

    recording: Findings
    events: ActionEvents | None
    pipeline: Pipeline
    console: Console

    def take(self, updates: list[TubeUpdate]) -> None:
        labels = dict(enumerate(self.pipeline.labels))
        for update in updates:
            self.recording.add_tubes(update, self.pipeline.session, labels, "")
            for event in self.events.add(update) if self.events else ():
                self._say(event.line(0))

    def _say(self, line: str) -> None:
        """To stdout; above the progress bar, where both are in one terminal."""
        if self.console.is_terminal and sys.__stdout__ is not None and sys.__stdout__.isatty():
            self.console.print(line, markup=False, highlight=False)
        else:
            print(line, file=sys.__stdout__, flush=True)


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
@click.option("--events", is_flag=True, help="Print a line when an action begins and when it ends.")
@settings_options()
def run(
    source: str, tubes_file: Path | None, out: Path, width: int, no_video: bool, events: bool, **given: Any
) -> None:
    """Find action tubes in SOURCE: a video file, a folder of images, a webcam (0, 1, …; Ctrl-C ends it), or a stream
    (rtsp://…).

    What a ROS parameter of the detector is called, is called the same here, with hyphens for dots and underscores:
    link.max_misses is --link-max-misses.
    """
    console = Console(stderr=True)
    settings = settings_from(given)
    say = partial(console.print, markup=False, highlight=False, soft_wrap=True)
    opened = open_source(source, say)
    lines = tubes_file or out.with_suffix(".jsonl")
    for output in [lines] if no_video else [lines, out]:
        check_distinct(output, *files_of(opened))
    with console.status(f"loading {settings['model']}"):
        pipeline = Pipeline.from_model(settings["model"], settings["device"], settings.options, settings["precision"])
    console.print(f"{pipeline.card.name} on {pipeline.provider}, {pipeline.precision}", highlight=False)
    with Findings(lines, None if no_video else out, width, opened.rate, settings.style, say) as recording:
        sinks = _Sinks(recording, ActionEvents(pipeline.labels) if events else None, pipeline, console)
        count, seconds = _watch(opened, sinks, console)
        sinks.take(pipeline.finish())
    Console().print(table_of(recording.summaries, 0))
    if not any(tube.confirmed for tube in recording.summaries):
        click.echo(f"No action tube was found in {source}: nobody was seen for long enough to be sure.")
    console.print(f"{count} frames, {count / max(seconds, 1e-9):.1f} a second without decoding and drawing")
    click.echo(f"Tubes: {lines}" + (f"\nVideo: {out}" if recording.has_video else ""))
    if recording.failed:
        raise click.exceptions.Exit(2)


def _watch(source: Source, sinks: _Sinks, console: Console) -> tuple[int, float]:
    """Run the pipeline over the source. Returns the number of frames and the seconds the pipeline took."""
    count, seconds = 0, 0.0
    try:
        for stamp, image in track(
            source.stamped(), "watching", total=source.frames or None, console=console, transient=True
        ):
            sinks.recording.add_image(stamp, image)
            begin = time.perf_counter()
            updates = sinks.pipeline.push(stamp, image)
            seconds += time.perf_counter() - begin
            sinks.take(updates)
            count += 1
    except KeyboardInterrupt:
        console.print("interrupted: writing what was found so far")
    return count, seconds
