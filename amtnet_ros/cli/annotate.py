"""`amtnet annotate`: boxes for your own actions."""

from __future__ import annotations

import click

from amtnet_ros.cli.annotate_import import import_
from amtnet_ros.cli.annotate_review import review


@click.group("annotate")
def annotate() -> None:
    """Boxes for your own actions."""


annotate.add_command(import_)
annotate.add_command(review)
