"""`amtnet add-people`: what a model's actor stream sees of people, for those who will teach it something else."""

from __future__ import annotations

from pathlib import Path

import click
from rich.console import Console
from rich.progress import track

from amtnet_ros.command_options import data_root_option
from amtnet_ros.errors import UserError


@click.command("add-people")
@click.argument("model")
@click.option(
    "--split", type=click.IntRange(1, 3), default=1, show_default=True, help="Of J-HMDB-21: its training clips."
)
@click.option("--seed", type=int, default=0, show_default=True, help="Of the windows without anybody.")
@data_root_option
def add_people(model: str, split: int, seed: int, data_root: Path) -> None:
    """Give MODEL (a name or a folder) people to tell new actions from: `amtnet teach` needs them.

    Features of the people of some training clips of J-HMDB-21, 480 numbers each, in the file people.npz.
    """
    from amtnet_ros.data.sources import read_dataset
    from amtnet_ros.deploy.folder import write_card
    from amtnet_ros.inference.card import PEOPLE, find_model, read_card
    from amtnet_ros.inference.factory import make_actor_engine
    from amtnet_ros.teaching.known_people import look_at_people, some_of_each

    folder = find_model(model)
    card = read_card(folder)
    if card.actor is None:
        raise UserError(f"model '{card.name}' has no actor stream")
    dataset = read_dataset(f"jhmdb21:{split}", data_root)
    shown = track(some_of_each(dataset), "looking at people", console=Console(stderr=True))
    people = look_at_people(make_actor_engine(folder, "cpu"), card.actor, dataset, shown, seed)
    people.write(folder / PEOPLE)
    write_card(folder, card)
    click.echo(f"{folder / PEOPLE}: {len(people.labels)} moments of people, and of nobody")
