"""`amtnet models`: which models there are, what they know, and how well they do."""

from __future__ import annotations

import textwrap
from pathlib import Path

import click

from amtnet_ros.errors import UserError
from amtnet_ros.inference.card import ModelCard, list_models, read_card

WIDTH = 80


@click.command()
@click.argument("name", default="")
def models(name: str) -> None:
    """List the models that can be given by name, their actions, forms and figures; or the model NAME alone."""
    found = list_models()
    if name and name not in found:
        raise UserError(f"no model '{name}'; there are: {', '.join(found) or 'none'}")
    if not found:
        click.echo("No model is installed; `amtnet export` makes one of a checkpoint.")
    for each, folder in found.items():
        if name in ("", each):
            click.echo("\n".join([f"{each}  {folder}", *_described(folder), ""]))


def _described(folder: Path) -> list[str]:
    try:
        card = read_card(folder)
    except UserError as error:
        return _wrapped(f"cannot be used: {error}")
    actor, fp = card.actor, card.precision
    looks = "persons are looked at: others are `other`, and actions can be asked for by name" if actor else ""
    lines = [card.description, f"{len(card.named_actions)} actions: {', '.join(card.named_actions)}", looks]
    lines += [f"streams {' and '.join(card.streams)}, delta {card.delta}, {fp}{', int8 for CPUs' if card.int8 else ''}"]
    return [part for line in lines if line for part in _wrapped(line)] + _figures(card)


def _figures(card: ModelCard) -> list[str]:
    """Measured figures, of each form."""
    forms = [("", card.accuracy), ("int8 ", card.int8.accuracy if card.int8 else {})]
    if card.actor is not None:
        forms.append(("persons ", card.actor.accuracy))
    return [f"  {value:7.1f}  {form}{name}" for form, figures in forms for name, value in figures.items()]


def _wrapped(text: str) -> list[str]:
    return textwrap.wrap(text, WIDTH, initial_indent="  ", subsequent_indent="    ", break_on_hyphens=False)
