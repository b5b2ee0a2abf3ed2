"""`amtnet annotate import`: boxes and actions that were drawn with other tools."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, Literal

import click
from rich.console import Console

from amtnet_ros.data.actions_file import ActionsFile, write_actions_file
from amtnet_ros.errors import UserError
from amtnet_ros.formats.actions import ImportedVideo, as_actions_file
from amtnet_ros.formats.ava import read_action_list, read_ava
from amtnet_ros.formats.coco import read_coco
from amtnet_ros.formats.cvat import read_cvat
from amtnet_ros.formats.label_studio import read_label_studio
from amtnet_ros.formats.videos import VideoFolder
from amtnet_ros.formats.yolo import read_names, read_yolo

_Command = Callable[..., Any]
_PATH = click.Path(path_type=Path)


@click.group("import")
def import_() -> None:
    """Make actions.json of what was drawn with CVAT, Label Studio or another tool."""


def _options(command: _Command) -> _Command:
    """What every format has: the files, where the videos are, and where the result goes."""
    for option in reversed(
        [
            click.argument("files", nargs=-1, required=True, type=_PATH, metavar="FILE..."),
            click.option("-o", "--out", type=_PATH, default=Path("actions.json"), show_default=True, help="To write."),
            click.option("--videos", type=_PATH, help="Folder that holds the videos.  [default: that of FILE]"),
            click.option(
                "--split",
                type=click.Choice(["train", "test"]),
                default="train",
                show_default=True,
                help="Of all videos.",
            ),
            click.option("--rename", multiple=True, metavar="LABEL=NEW", help="Call a label otherwise; repeatable."),
            click.option("--overwrite", is_flag=True, help="Replace OUT if it exists."),
        ]
    ):
        command = option(command)
    return command


@import_.command()
@_options
@click.option("--attribute", help="The attribute that says what a person does.  [default: the track's label does]")
def cvat(attribute: str | None, **options: Any) -> None:
    """CVAT for video 1.1: the annotations.xml of each task."""
    _run(lambda file, videos: read_cvat(file, videos, attribute), **options)


@import_.command()
@_options
@click.option("--first", type=int, default=0, show_default=True, help="Number of a video's first frame.")
def coco(first: int, **options: Any) -> None:
    """COCO JSON with videos (CocoVID, TAO).

    A category is an action, a track a person.
    """
    _run(lambda file, videos: read_coco(file, videos, first), **options)


@import_.command()
@_options
@click.option("--names", type=_PATH, help="data.yaml or a text file of class names.  [default: beside the files]")
@click.option("--video", help="The video that all files are of.  [default: as the files are named]")
@click.option("--first", type=int, default=1, show_default=True, help="Number of the first frame's file.")
def yolo(names: Path | None, video: str | None, first: int, **options: Any) -> None:
    """YOLO: folders with a text file a frame.

    FILE is such a folder; its files are called clip_1.txt, clip_2.txt …
    """
    _run(lambda file, videos: read_yolo(file, videos, read_names(file, names), video, first), **options)


@import_.command()
@_options
@click.option("--actions", type=_PATH, required=True, help="List of the actions, such as ava_action_list_v2.2.pbtxt.")
@click.option("--start", type=float, default=0.0, show_default=True, help="Second at which the videos begin.")
def ava(actions: Path, start: float, **options: Any) -> None:
    """AVA's CSV, v2.2: a box and an action a line."""
    names = read_action_list(actions)
    _run(lambda file, videos: read_ava(file, videos, names, start), **options)


@import_.command("label-studio")
@_options
def label_studio(**options: Any) -> None:
    """Label Studio's JSON, with VideoRectangles."""
    _run(read_label_studio, **options)


def _run(
    read: Callable[[Path, VideoFolder], Sequence[ImportedVideo]],
    files: Sequence[Path],
    out: Path,
    videos: Path | None,
    split: Literal["train", "test"],
    rename: Sequence[str],
    overwrite: bool,
) -> None:
    if out.exists() and not overwrite:
        raise UserError(f"{out}: exists already; give another with -o, or --overwrite it")
    renamed = _renamed(rename)
    imported: list[ImportedVideo] = []
    for file in files:
        if not file.exists():
            raise UserError(f"{file}: no such file or folder")
        with Console(stderr=True).status(f"reading {file}, and its videos from start to end"):
            imported += read(file, VideoFolder(videos or file.parent))
    content = as_actions_file(imported, out.parent, split, renamed)
    write_actions_file(out, content)
    click.echo(f"{out}: {_inventory(content)}")


def _renamed(pairs: Sequence[str]) -> dict[str, str]:
    renamed = {}
    for pair in pairs:
        label, equals, new = pair.partition("=")
        if not (label and equals and new):
            raise UserError(f"--rename {pair}: expected LABEL=NEW")
        renamed[label] = new
    return renamed


def _inventory(content: ActionsFile) -> str:
    labels = Counter(action.label for video in content.videos.values() for action in video.actions)
    boxes = sum(len(action.boxes) for video in content.videos.values() for action in video.actions)
    named = ", ".join(f"{label} {count}" for label, count in sorted(labels.items()))
    return f"{len(content.videos)} videos, {boxes} boxes; actions: {named}"
