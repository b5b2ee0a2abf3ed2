"""`amtnet annotate`: boxes for your own actions."""

from __future__ import annotations

import click

from amtnet_ros.cli.annotate_import import import_


@click.group("annotate")
def annotate() -> None:
    """Boxes for your own actions."""


annotate.add_command(import_)
