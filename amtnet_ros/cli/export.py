"""`amtnet export`: a checkpoint becomes a model folder. `amtnet quantise`: a model folder gets an int8 form."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Literal

import click
from rich.console import Console
from rich.progress import track

from amtnet_ros.command_options import data_root_option

if TYPE_CHECKING:
    from amtnet_ros.inference.card import ModelCard


@click.command()
@click.argument("checkpoint", type=click.Path(path_type=Path))
@click.option("-o", "--out", required=True, type=click.Path(path_type=Path), help="Model folder, e.g. models/light.")
@click.option(
    "--late", type=click.Path(path_type=Path), help="Checkpoint of a flow network, to fuse late with this one."
)
@click.option("--precision", type=click.Choice(["fp32", "fp16"]), default="fp32", show_default=True)
@click.option(
    "--half-weights", is_flag=True, help="Store the weights in half precision: half the size; computed with as before."
)
@click.option("--description", default="", help="One line for the model card.")
@click.option("--delta", type=click.IntRange(1, 64), help="Default distance of a pair; else the training's smallest.")
@click.option("--rate", type=float, default=30.0, show_default=True, help="Frames a second of the training videos.")
@click.option("--overwrite", is_flag=True, help="Replace the model folder if it is there.")
def export(
    checkpoint: Path,
    out: Path,
    late: Path | None,
    precision: Literal["fp32", "fp16"],
    half_weights: bool,
    description: str,
    delta: int | None,
    rate: float,
    overwrite: bool,
) -> None:
    """Export CHECKPOINT as a model folder (two ONNX graphs and a card), checked against torch."""
    from amtnet_ros.deploy.export import ExportOptions, export_model, read_trained

    trained = [read_trained(path) for path in (checkpoint, late) if path is not None]
    options = ExportOptions(description, delta, rate, precision, half_weights)
    card = export_model(trained, out, options, overwrite)
    click.echo(summary(out, card))


@click.command()
@click.argument("model")
@click.option("--dataset", default="jhmdb21:1", show_default=True, help="Whose training clips set the ranges.")
@click.option("--clips", type=click.IntRange(1), default=32, show_default=True, help="So many, spread over the list.")
@click.option("--frames", type=click.IntRange(1), default=2, show_default=True, help="Of each clip.")
@data_root_option
def quantise(model: str, dataset: str, clips: int, frames: int, data_root: Path) -> None:
    """Give the fp32 MODEL (a name or a folder) an int8 form, its ranges set by real clips.

    It lies beside the fp32 one, and CPUs with instructions for it then use it.
    """
    from amtnet_ros.data.sources import read_dataset
    from amtnet_ros.deploy.calibration import inputs_of_videos
    from amtnet_ros.deploy.quantise import quantise_model
    from amtnet_ros.inference.card import find_model, read_card

    folder = find_model(model)
    videos = read_dataset(dataset, data_root)
    names = videos.train[:: max(1, len(videos.train) // clips)][:clips]
    paths = [path for path in (videos.videos[name].path for name in names) if path is not None]
    shown = track(paths, "calibrating", console=Console(stderr=True), transient=True)
    card = quantise_model(folder, inputs_of_videos(read_card(folder), shown, frames), dataset)
    click.echo(summary(folder, card))


def summary(folder: Path, card: ModelCard) -> str:
    """What was written, in one line."""
    size = sum((folder / name).stat().st_size for name in card.files) / 2**20
    return (
        f"{folder}: {card.trunk}, {'+'.join(card.streams)}, {card.fusion} fusion, {len(card.actions)} labels, "
        f"{card.precision}{' and int8' if card.int8 else ''}, opset {card.opset}, {size:.1f} MiB"
    )
