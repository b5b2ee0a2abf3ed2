"""`amtnet run`: action tubes in a video, a webcam or a folder of images, without ROS."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path

import click
from rich.console import Console
from rich.progress import track

from amtnet_ros.command_options import precision_option
from amtnet_ros.contracts import TubeUpdate, UInt8
from amtnet_ros.inference.contract import Precision
from amtnet_ros.media.annotated_video import AnnotatedVideo
from amtnet_ros.media.tube_lines import TubeRecorder, table_of
from amtnet_ros.media.video import Source, VideoWriter, Webcam, open_source
from amtnet_ros.pipeline import Pipeline, PipelineOptions
from amtnet_ros.tubes import LinkerOptions

DEFAULT_MODEL = "light"


@dataclass
class _Sinks:
    """Where tubes and images go. video is None where none was asked for."""

    tubes: TubeRecorder
    video: AnnotatedVideo | None
    pipeline: Pipeline

    def take(self, updates: list[TubeUpdate]) -> None:
        labels = dict(enumerate(self.pipeline.card.labels))
        for update in updates:
            self.tubes.add(update, self.pipeline.session, labels, "")
            if self.video:
                self.video.add_tubes(update, labels)


@click.command()
@click.argument("source")
@click.option("--model", default=DEFAULT_MODEL, show_default=True, help="Name or folder of the model.")
@click.option("--device", default="auto", show_default=True, help="auto, cpu, cuda:N or tensorrt:N.")
@precision_option
@click.option("--delta", type=click.IntRange(1, 64), help="Frames between the two of a pair; default the model's.")
@click.option("--threshold", type=click.FloatRange(0, 1), default=0.05, show_default=True, help="Least score.")
@click.option(
    "--mode", type=click.Choice(["per_class", "actor"]), default="actor", show_default=True, help="Of linking."
)
@click.option(
    "--tubes", "tubes_file", type=click.Path(path_type=Path), help="JSON lines to write.  [default: beside OUT]"
)
@click.option(
    "-o", "--out", type=click.Path(path_type=Path), default=Path("tubes.mp4"), show_default=True, help="Video."
)
@click.option("--width", type=click.IntRange(64), default=1280, show_default=True, help="The video's width at most.")
@click.option("--no-video", is_flag=True, help="Write the tubes only.")
def run(
    source: str,
    model: str,
    device: str,
    precision: Precision,
    delta: int | None,
    threshold: float,
    mode: str,
    tubes_file: Path | None,
    out: Path,
    width: int,
    no_video: bool,
) -> None:
    """Find action tubes in SOURCE: a video file, a folder of images, or a webcam (0, 1, …; Ctrl-C ends it)."""
    console = Console(stderr=True)
    opened = open_source(source)
    options = PipelineOptions(delta=delta, score_threshold=threshold, linker=LinkerOptions(mode=mode))
    with console.status(f"loading {model}"):
        pipeline = Pipeline.from_model(model, device, options, precision)
    console.print(f"{pipeline.card.name} on {pipeline.provider}, {pipeline.precision}", highlight=False)
    with ExitStack() as files:
        recorder = files.enter_context(TubeRecorder(tubes_file or out.with_suffix(".jsonl")))
        video = None if no_video else AnnotatedVideo(files.enter_context(VideoWriter(out, opened.rate)), width)
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
