"""`amtnet tubes`: what can be done with recorded tubes."""

from __future__ import annotations

from pathlib import Path

import click

from amtnet_ros.errors import UserError
from amtnet_ros.files import check_distinct, write_whole
from amtnet_ros.formats.export import as_ava, as_coco, as_mot, ava_action_list
from amtnet_ros.formats.recorded import Recording, read_recording
from amtnet_ros.formats.videos import measured

_PATH = click.Path(path_type=Path)
_SUFFIXES = {"coco": ".json", "mot": ".txt", "ava": ".csv"}


@click.group("tubes")
def tubes() -> None:
    """Recorded tubes for other tools."""


@tubes.command()
@click.argument("format_", type=click.Choice(list(_SUFFIXES)), metavar="coco|mot|ava")
@click.argument("file", type=_PATH)
@click.option("-o", "--out", type=_PATH, help="To write.  [default: FILE with the format's suffix]")
@click.option("--video", type=_PATH, help="The video that was watched: its name, rate and length.")
@click.option("--rate", type=click.FloatRange(0, min_open=True), help="Frames a second, where there is no video.")
@click.option("--start", type=int, default=0, show_default=True, help="Stamp of the first frame, in nanoseconds.")
@click.option("--unconfirmed", is_flag=True, help="Also tubes that were never confirmed.")
@click.option("--people", is_flag=True, help="ava: the tube's number in the last column, as in annotations; no score.")
def export(
    format_: str,
    file: Path,
    out: Path | None,
    video: Path | None,
    rate: float | None,
    start: int,
    unconfirmed: bool,
    people: bool,
) -> None:
    """Write the tubes of FILE (tubes.jsonl of `amtnet run` or the recorder) as COCO, MOT Challenge or AVA.

    A box has the label that its tube had at that time. With a recorder's file, whose stamps are a clock's, --start says
    when the video began.
    """
    if (video is None) == (rate is None):
        raise UserError("give --video, the video that was watched, or --rate, its frames a second")
    recording, file_name = _recording(file, video, rate, start, unconfirmed)
    out = out or file.with_suffix(_SUFFIXES[format_])
    check_distinct(out, file, video)
    if format_ == "ava":
        names = out.with_suffix(".pbtxt")
        check_distinct(names, out, file, video)
        write_whole(names, ava_action_list(recording))
        content = as_ava(recording, people=people)
    else:
        content = as_mot(recording) if format_ == "mot" else as_coco(recording, file_name)
    write_whole(out, content)
    boxes = sum(len(tube.boxes) for tube in recording.tubes) if format_ == "coco" else content.count("\n")
    click.echo(f"{out}: {len(recording.tubes)} tubes, {boxes} boxes in {recording.n_frames} frames")


def _recording(
    file: Path, video: Path | None, rate: float | None, start: int, unconfirmed: bool
) -> tuple[Recording, str]:
    if video is None:
        assert rate is not None
        return read_recording(file, file.stem, rate, start=start, unconfirmed=unconfirmed), f"{file.stem}.mp4"
    found = measured(video, video.stem)
    recording = read_recording(
        file, found.name, found.rate, n_frames=found.n_frames, start=start, unconfirmed=unconfirmed
    )
    if (recording.width, recording.height) != (found.width, found.height):
        raise UserError(
            f"{file}: of images of {recording.width}x{recording.height}, but {video} is {found.width}x{found.height}"
        )
    return recording, video.name
