"""`amtnet actions`: which actions can be asked for by name."""

from __future__ import annotations

import click

from amtnet_ros.actors.names import kinetics_names, nearest_names, search_names
from amtnet_ros.errors import UserError


@click.command()
@click.argument("word", default="")
def actions(word: str) -> None:
    """List the actions that can be asked for by name, or those that hold WORD."""
    if not word:
        click.echo("\n".join(kinetics_names()))
        return
    found = search_names(word)
    if not found:
        near = nearest_names(word)
        raise UserError(f"no action's name holds '{word}'" + (f"; the nearest: {', '.join(near)}" if near else ""))
    click.echo("\n".join(found))
