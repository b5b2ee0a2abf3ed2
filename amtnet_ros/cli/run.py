"""`amtnet run`: action tubes in a video, a webcam or a folder of images, without ROS."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import click
from rich.console import Console
from rich.progress import track

from amtnet_ros.command_options import setting_option
from amtnet_ros.contracts import TubeUpdate, UInt8
from amtnet_ros.media.annotated_video import AnnotatedVideo
from amtnet_ros.media.tube_lines import TubeRecorder, table_of
from amtnet_ros.media.video import Source, VideoWriter, Webcam, open_source
from amtnet_ros.pipeline import Pipeline
from amtnet_ros.settings import GROUPS, TABLE, Settings

SHORT = {"score_threshold": "threshold", "link.mode": "mode"}
"""Settings that have a short name besides their own: --threshold, --mode."""


@dataclass
class _Sinks:
    """Where tubes and images go. video is None where none was asked for."""

    tubes: TubeRecorder
    video: AnnotatedVideo | None
    pipeline: Pipeline

    def take(self, updates: list[TubeUpdate]) -> None:
        labels = dict(enumerate(self.pipeline.labels))
        for update in updates:
            self.tubes.add(update, self.pipeline.session, labels, "")
            if self.video:
                self.video.add_tubes(update, labels)


def _settings_options(command: Callable[..., Any]) -> Callable[..., Any]:
    """Every setting that is not for robots only, as an option; the first of the table is the first in the help."""
    for group in reversed(GROUPS):
        for setting in reversed([] if group.on_robots else group.options):
            command = setting_option(setting, SHORT.get(setting.name, ""))(command)
    return command


def settings_from(given: Mapping[str, Any]) -> Settings:
    """The settings that the command line asks for, by the names under which click hands them over."""
    named = {SHORT.get(name, name.replace(".", "_")): name for name in TABLE}
    return Settings().replaced({named[argument]: value for argument, value in given.items()})


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
@_settings_options
def run(source: str, tubes_file: Path | None, out: Path, width: int, no_video: bool, **given: Any) -> None:
    """Find action tubes in SOURCE: a video file, a folder of images, or a webcam (0, 1, …; Ctrl-C ends it).

    What a ROS parameter of the detector is called, is called the same here, with hyphens for dots and underscores:
    link.max_misses is --link-max-misses.
    """
    console = Console(stderr=True)
    settings = settings_from(given)
    opened = open_source(source)
    with console.status(f"loading {settings['model']}"):
        pipeline = Pipeline.from_model(settings["model"], settings["device"], settings.options, settings["precision"])
    console.print(f"{pipeline.card.name} on {pipeline.provider}, {pipeline.precision}", highlight=False)
    with ExitStack() as files:
        recorder = files.enter_context(TubeRecorder(tubes_file or out.with_suffix(".jsonl")))
        video = None
        if not no_video:
            video = AnnotatedVideo(files.enter_context(VideoWriter(out, opened.rate)), width, settings.style)
        sinks = _Sinks(recorder, video, pipeline)
        count, seconds = _watch(opened, sinks, console)
        sinks.take(pipeline.finish())
        if video:
            video.finish()
    Console().print(table_of(recorder.summaries, 0))
    console.print(f"{count} frames, {count / max(seconds, 1e-9):.1f} a second without decoding and drawing")


def _watch(source: Source, sinks: _Sinks, console: Console) -> tuple[int, float]:
    """Run the pipeline over the source. Returns the number of frames and the seconds the pipeline took."""
    count, seconds = 0, 0.0
    try:
        for stamp, image in track(
            _stamped(source), "watching", total=source.frames or None, console=console, transient=True
        ):
            if sinks.video:
                sinks.video.add_image(stamp, image)
            begin = time.perf_counter()
            updates = sinks.pipeline.push(stamp, image)
            seconds += time.perf_counter() - begin
            sinks.take(updates)
            count += 1
    except KeyboardInterrupt:
        console.print("interrupted: writing what was found so far")
    return count, seconds


def _stamped(source: Source) -> Iterator[tuple[int, UInt8]]:
    """Images with stamps in nanoseconds: a file's from its frame rate, a webcam's from the clock."""
    begin = time.monotonic_ns()
    for number, image in enumerate(source):
        live = isinstance(source, Webcam)
        yield (time.monotonic_ns() - begin if live else round(number / source.rate * 1e9)), image
