"""`amtnet flow`: the optical flow of a video, to look at or to keep."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import islice, pairwise
from pathlib import Path

import click
import cv2
import numpy as np
from rich.console import Console
from rich.progress import track

from amtnet_ros.contracts import Float32, UInt8
from amtnet_ros.errors import UserError
from amtnet_ros.files import check_distinct, is_utf8, whole_folder, write_whole
from amtnet_ros.flow.contract import WORKING_SIZE, FlowEngine
from amtnet_ros.flow.encoding import encode_flow, picture
from amtnet_ros.flow.factory import ENGINES, make_flow
from amtnet_ros.media.video import Source, VideoWriter, files_of, open_source

Fields = Iterator[tuple[UInt8, Float32]]
"""Frames, each with the flow that starts from it."""

PICTURES = (".png", ".jpg", ".jpeg")
VIDEOS = (".mp4", ".mkv", ".mov")


@click.command()
@click.argument("source", required=False)
@click.option("-o", "--out", "output", type=click.Path(path_type=Path), help="Video, picture, or folder/ to write.")
@click.option("--engine", default="dis:medium", show_default=True, help=f"One of {ENGINES}.")
@click.option(
    "--size", type=(int, int), default=WORKING_SIZE, show_default=True, help="Width and height to compute at."
)
@click.option("--device", default="auto", show_default=True, help="auto, cpu or cuda:N.")
@click.option("--longest", type=click.FloatRange(0.1), default=8.0, show_default=True, help="Full colour, in pixels.")
@click.option("--encoded", is_flag=True, help="Show what the network sees instead of colours.")
@click.option(
    "--export", type=click.Path(path_type=Path), help="Write the engine (brox) as an ONNX graph, and no more."
)
def flow(
    source: str | None,
    output: Path | None,
    engine: str,
    size: tuple[int, int],
    device: str,
    longest: float,
    encoded: bool,
    export: Path | None,
) -> None:
    """Compute the optical flow of SOURCE, a video file or a folder of images.

    The ending of the output says what is written: .mp4, .mkv or .mov a colour-coded video (hue is direction; the wheel
    is in the corner), .png or .jpg a picture of the frame in the middle beside its flow, and a folder (ending in /) one
    .flo file for each field, in pixels of the working size.

    \b
    amtnet flow clip.mp4 -o flow.mp4
    amtnet flow clip.mp4 -o fields/ --engine brox:paper
    amtnet flow --export flow.onnx --engine brox:fast
    """
    if export is not None:
        from amtnet_ros.flow.onnx_graph import write_flow_graph

        write_flow_graph(engine, export, size)
        Console().print(f"{export}: use it as the engine onnx:{export}")
        return
    if source is None or output is None:
        raise UserError("amtnet flow needs a source and an output, as in: amtnet flow clip.mp4 -o flow.mp4")
    video = open_source(source)
    check_distinct(output, *files_of(video))
    fields = _fields(video, source, make_flow(engine, size, device))
    if output.suffix.lower() in VIDEOS:
        count = _write_video(output, _with_progress(fields, video), video.rate, longest, encoded)
    elif output.suffix.lower() in PICTURES:
        count = _write_picture(output, fields, video, longest)
    elif output.suffix:
        raise UserError(
            f"{output}: the output ends in {', '.join(VIDEOS + PICTURES)}, or in / for a folder of .flo files"
        )
    else:
        count = _write_fields(output, _with_progress(fields, video))
    Console().print(f"{output}: {count} flow field{'s' if count != 1 else ''} by {engine} at {size[0]}x{size[1]}")


def _fields(video: Source, name: str, engine: FlowEngine) -> Fields:
    frames = 0
    for previous, current in pairwise(video):
        frames += 1
        yield previous, engine(previous, current)
    if frames == 0:
        raise UserError(f"{name}: holds one frame only; flow needs two")


def _with_progress(fields: Fields, video: Source) -> Fields:
    yield from track(fields, description="flow", total=video.frames - 1 if video.frames else None)


def _write_video(output: Path, fields: Fields, rate: float, longest: float, encoded: bool) -> int:
    count = 0
    with VideoWriter(output, rate) as writer:
        for frame, vectors in fields:
            image = encode_flow(vectors) if encoded else picture(frame, vectors, longest)
            writer.write(image, count / rate)
            count += 1
    return count


def _write_picture(output: Path, fields: Fields, video: Source, longest: float) -> int:
    *_, (frame, vectors) = islice(fields, max(video.frames // 2, 1))
    encoded, data = cv2.imencode(output.suffix, picture(frame, vectors, longest)[..., ::-1])
    if not encoded:
        raise UserError(f"{output}: cannot be written as a picture")
    write_whole(output, data.tobytes())
    return 1


def _write_fields(output: Path, fields: Fields) -> int:
    if output.exists():
        raise UserError(f"{output}: is there already; name a folder that is not")
    if not is_utf8(output):
        raise UserError(f"{output}: the name is not UTF-8, and OpenCV, which writes the files, takes no other")
    count = 0
    with whole_folder(output) as folder:
        for _, vectors in fields:
            if not cv2.writeOpticalFlow(str(folder / f"{count:06d}.flo"), np.ascontiguousarray(vectors)):
                raise UserError(f"{output}: cannot be written; is the disk full?")
            count += 1
    return count
