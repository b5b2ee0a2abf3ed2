"""`amtnet annotate`: boxes for your own actions, found in a folder of clips, imported, reviewed."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from pathlib import Path

import click
from rich.console import Console
from rich.markup import escape
from rich.progress import track

from amtnet_ros.cli.annotate_import import import_
from amtnet_ros.command_options import device_option
from amtnet_ros.data.actions_file import ActionsFile
from amtnet_ros.data.custom import read_custom
from amtnet_ros.libraries import library
from amtnet_ros.pipeline import Pipeline, PipelineOptions
from amtnet_ros.review.frames import FrameStore
from amtnet_ros.review.reviewed import ReviewedFile
from amtnet_ros.teaching.annotate import annotate as annotate_clips
from amtnet_ros.teaching.clips import Clip, find_clips
from amtnet_ros.teaching.people import DetectorTubes, LinkedBoxes, PeopleFinder
from amtnet_ros.view.server import HOST, PORT, address_of

DELTA = 2
"""Every second frame passes the network: boxes between are interpolated, and it takes two thirds of the time."""


@click.command("folder")
@click.argument("folder", type=click.Path(path_type=Path))
@click.option("-o", "--out", type=click.Path(path_type=Path), default=Path("actions.json"), show_default=True)
@click.option("--model", default="light", show_default=True, help="Whose tubes are the boxes: a name or a folder.")
@device_option
@click.option(
    "--person-detector",
    type=click.Path(path_type=Path),
    help="Take the boxes of this ONNX file instead, linked by overlap; docs/teach.md says what it must look like.",
)
@click.option("--seed", type=int, default=0, show_default=True, help="Of the drawing of test clips.")
def of_folder(folder: Path, out: Path, model: str, device: str, person_detector: Path | None, seed: int) -> None:
    """Find the people in FOLDER/ACTION/*.mp4, and in FOLDER/none/*.mp4, and write them to a file.

    Of a clip of an action the person followed longest is taken, of `none` everybody. What is in the file already stays
    as it is, so that the same command goes on where it was stopped, and takes in new clips.
    """
    console = Console(stderr=True)
    clips, remarks = find_clips(folder)
    for remark in remarks:
        _say(console, remark)

    def shown(left: list[Clip]) -> Iterable[Clip]:
        return track(left, "finding people", console=console, disable=not left)

    content = annotate_clips(
        clips, out, _finder(model, device, person_detector), seed, lambda line: _say(console, line), shown
    )
    read_custom(out)  # whoever reads it next must not be the first to see a mistake
    click.echo(_summary(out, content))


def _finder(model: str, device: str, person_detector: Path | None) -> PeopleFinder:
    if person_detector is not None:
        return LinkedBoxes(person_detector)
    return DetectorTubes(Pipeline.from_model(model, device, PipelineOptions(delta=DELTA)))


def _say(console: Console, line: str) -> None:
    console.print(escape(line), highlight=False, soft_wrap=True)


def _summary(out: Path, content: ActionsFile) -> str:
    kept = [video for video in content.videos.values() if video.review != "dropped"]
    actions = Counter(action.label for video in kept for action in video.actions)
    tests = sum(video.split == "test" for video in kept)
    told = ", ".join(f"{count} {label}" for label, count in sorted(actions.items()))
    return f"{out}: {len(kept)} clips ({tests} for tests), people: {told}"


@click.command("review")
@click.argument("file", type=click.Path(path_type=Path))
@click.option("--port", type=click.IntRange(0, 65535), default=PORT, show_default=True, help="0: any that is free.")
def review(file: Path, port: int) -> None:
    """Look at the clips of FILE (actions.json) in a browser; accept or drop them, and correct their boxes.

    Every change is in FILE at once. Over ssh: ssh -L 8765:localhost:8765 ROBOT, then open the address here. Ctrl-C ends
    it.
    """
    library("werkzeug", "amtnet annotate review")
    from amtnet_ros.review.server import ReviewApp, listen

    reviewed, frames = ReviewedFile(file), FrameStore()
    try:
        server = listen(ReviewApp(reviewed, frames), port)
        click.echo(f"{file}: {reviewed.inventory()}\nReview at {address_of(HOST, server.port)}/ (Ctrl-C ends it)")
        server.serve_forever()
    except KeyboardInterrupt:
        pass
    finally:
        frames.close()
    click.echo(f"{file}: {reviewed.inventory()}")


class _FolderOrCommand(click.Group):
    """What is no command's name is a folder of clips."""

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        if args and args[0] not in {*self.commands, *self.get_help_option_names(ctx)}:
            args = ["folder", *args]
        return super().parse_args(ctx, args)


@click.group("annotate", cls=_FolderOrCommand)
def annotate() -> None:
    """Boxes for your own actions: `amtnet annotate FOLDER -o actions.json` finds the people in a folder of clips."""


annotate.add_command(of_folder)
annotate.add_command(import_)
annotate.add_command(review)
