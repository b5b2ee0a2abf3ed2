"""`amtnet export` makes a model folder of a checkpoint; `quantise` and `add-actor` give it more graphs."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Literal

import click
from rich.console import Console
from rich.progress import track

from amtnet_ros.command_options import data_root_option

if TYPE_CHECKING:
    from amtnet_ros.data.actor_tracks import PersonTrack
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
    from amtnet_ros.deploy.quantise import inputs_of_videos, quantise_model
    from amtnet_ros.inference.card import find_model, read_card

    folder = find_model(model)
    videos = read_dataset(dataset, data_root)
    names = videos.train[:: max(1, len(videos.train) // clips)][:clips]
    paths = [path for path in (videos.videos[name].path for name in names) if path is not None]
    shown = track(paths, "calibrating", console=Console(stderr=True), transient=True)
    card = quantise_model(folder, inputs_of_videos(read_card(folder), shown, frames), dataset)
    click.echo(summary(folder, card))


@click.command("add-actor")
@click.argument("model")
@click.argument("checkpoint", type=click.Path(path_type=Path))
@click.option(
    "--rule",
    type=click.Path(path_type=Path),
    help="JSON file with w_light, w_taught, w_names, temperature, other; without it the rule is chosen by people held "
    "out of the stream's training, which takes some minutes.",
)
@click.option(
    "--cache",
    type=click.Path(path_type=Path),
    help="Decoded frames, as `amtnet train` keeps them. Default: training/ in $AMTNET_CACHE or ~/.cache/amtnet_ros.",
)
@data_root_option
def add_actor(model: str, checkpoint: Path, rule: Path | None, cache: Path | None, data_root: Path) -> None:
    """Give MODEL (a name or a folder) the actor stream of CHECKPOINT, in floats and in 8 bits.

    Its 8-bit ranges are set by people that it was taught by. The rule joins its answers and the two-stream network's.
    """
    from amtnet_ros.data.actor_clips import plain_clip
    from amtnet_ros.data.actor_tracks import few_of_each, read_tracks
    from amtnet_ros.data.jpeg_store import JpegStore
    from amtnet_ros.deploy.actor_export import UNCHOSEN, add_actor, choose_card_rule, read_rule, read_trained_actor
    from amtnet_ros.files import cache_folder
    from amtnet_ros.inference.card import find_model
    from amtnet_ros.model.movinet import IMAGE_SIZE

    folder, trained = find_model(model), read_trained_actor(checkpoint)
    data, seed = trained.experiment["data"], trained.experiment["run"]["seed"]
    tracks = read_tracks(data_root, data["split"], data["held_out"], seed)
    people = few_of_each(tracks.learnt, 1)
    held_out = [] if rule else few_of_each([one for one in tracks.held_out if is_plain(one)], OF_EACH_CLASS)
    decoded = (cache or cache_folder() / "training") / "jpeg"
    store = JpegStore(decoded, {one.video: tracks.videos[one.video] for one in (*people, *held_out)})
    store.fill()

    def shown(persons: Sequence[PersonTrack], what: str = "watching people held out") -> Iterable[PersonTrack]:
        return track(persons, what, console=Console(stderr=True), transient=True)

    clips = (plain_clip(person, store, IMAGE_SIZE) for person in shown(people, "reading"))
    calibration = f"jhmdb21:{data['split']}, ucf101_24, ucf101_people"
    card = add_actor(folder, trained, read_rule(rule) if rule else UNCHOSEN, clips, calibration)
    if not rule:
        card = choose_card_rule(folder, held_out, store, shown)
    click.echo(summary(folder, card))


@click.command()
@click.argument("model")
def shrink(model: str) -> None:
    """Store the weights of MODEL (a name or a folder) in fewer bits: the last layers in 8, the others in 16.

    It computes as before. Measure it anew: `amtnet eval --model MODEL`.
    """
    from amtnet_ros.deploy.stored_weights import shrink_model
    from amtnet_ros.inference.card import find_model

    folder = find_model(model)
    click.echo(summary(folder, shrink_model(folder)))


OF_EACH_CLASS, LEAST_FRAMES = 10, 20
"""People of each class by whom a rule is chosen, and in how many frames each must be known."""


def is_plain(person: PersonTrack) -> bool:
    """Whether one thing is known of a person, and for long enough."""
    return len(person.answers) == 1 and len(person.boxes) >= LEAST_FRAMES


def summary(folder: Path, card: ModelCard) -> str:
    """What was written, in one line."""
    size = sum((folder / name).stat().st_size for name in card.files) / 2**20
    return (
        f"{folder}: {card.trunk}, {'+'.join(card.streams)}, {card.fusion} fusion, {len(card.named_actions)} labels, "
        f"{card.precision}{' and int8' if card.int8 else ''}"
        f"{', with an actor stream' if card.actor else ''}, opset {card.opset}, {size:.1f} MiB"
    )
