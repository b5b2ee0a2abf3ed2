"""Options that several commands share."""

from __future__ import annotations

from pathlib import Path

import click

precision_option = click.option(
    "--precision",
    type=click.Choice(["auto", "fp32", "fp16", "int8"]),
    default="auto",
    show_default=True,
    help="Of the network's arithmetic; auto: int8 on a CPU made for it, if the model has that form.",
)
data_root_option = click.option(
    "--data-root",
    envvar="AMTNET_DATA",
    type=click.Path(path_type=Path),
    default=Path("../shared/data"),
    show_default=True,
    help="Folder of the data sets (also AMTNET_DATA).",
)
